//! Progress on a terminal, in two lines: what is done, and how it goes. A few plain lines elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{inform, is_quiet, stderr_width};
use crate::render::text;
use crate::run::progress::{Figures, Progress, Stage};

/// Shows on stderr how a scenario goes.
#[derive(Debug)]
pub struct Watcher {
    name: String,
    bar: Option<ProgressBar>,
    /// How long the load is to last; none if nobody said.
    expected: Option<Duration>,
    /// When the load started.
    started: Cell<Option<Instant>>,
    /// When figures came last, and how many requests were due then.
    last: Cell<Option<(Instant, u64)>>,
    /// Requests due per second, smoothed.
    rate: Cell<f64>,
}

/// The share of the newest rate in the one that is shown: enough to follow, too little to flicker.
const NEWEST_SHARE: f64 = 0.3;

impl Watcher {
    /// Watches the scenario of that name: a bar on a terminal, lines elsewhere.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let bar = (io::stderr().is_terminal() && !is_quiet()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            set_style(&bar, ENDLESS);
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self::with(name, bar)
    }

    /// As [`Self::new`], with lines on a terminal too.
    #[must_use]
    pub fn in_lines(name: &str) -> Self {
        Self::with(name, None)
    }

    fn with(name: &str, bar: Option<ProgressBar>) -> Self {
        Self {
            name: name.to_owned(),
            bar,
            expected: None,
            started: Cell::default(),
            last: Cell::default(),
            rate: Cell::default(),
        }
    }

    /// Shows how much of that time is left as well.
    #[must_use]
    pub fn expecting(mut self, duration: Duration) -> Self {
        if let Some(bar) = &self.bar {
            bar.set_length(millis(duration));
            set_style(bar, BOUNDED);
        }
        self.expected = Some(duration);
        self
    }

    /// Requests due per second, from the difference to the last figures.
    fn rate(&self, due: u64) -> f64 {
        let now = Instant::now();
        if let Some((then, before)) = self.last.replace(Some((now, due))) {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            // A difference of two looks fits 32 bits: nobody sends four billion requests in between.
            let newest = f64::from(u32::try_from(due.saturating_sub(before)).unwrap_or(u32::MAX)) / seconds;
            let smoothed = self.rate.get() + NEWEST_SHARE * (newest - self.rate.get());
            self.rate.set(if self.rate.get() == 0.0 { newest } else { smoothed });
        }
        self.rate.get()
    }

    /// The line of figures, in this number of columns.
    fn line(&self, figures: Figures, columns: usize) -> String {
        let elapsed = self.started.get().map_or(Duration::ZERO, |started| started.elapsed());
        let expected = self.expected.filter(|&expected| elapsed < expected);
        fitted(elapsed, expected, self.rate(figures.due), figures, columns)
    }
}

/// `0:03 of about 0:15  148/s, 313 ok, 0 failed, p99 2.1 ms`. Where that has no room, without what is expected, then
/// without the p99 too, then cut: a line that wraps would push up what is above it.
fn fitted(elapsed: Duration, expected: Option<Duration>, rate: f64, figures: Figures, columns: usize) -> String {
    let clock = minutes(elapsed);
    let of_about = expected.map(|expected| format!(" of about {}", minutes(expected))).unwrap_or_default();
    let sentence_of = |p99_ms| sentence(rate, Figures { p99_ms, ..figures });
    let shortest = format!("{clock}  {}", sentence_of(None));
    let longer = [(of_about.as_str(), figures.p99_ms), ("", figures.p99_ms)];
    longer
        .map(|(of_about, p99_ms)| format!("{clock}{of_about}  {}", sentence_of(p99_ms)))
        .into_iter()
        .find(|line| line.len() <= columns)
        .unwrap_or_else(|| shortest.chars().take(columns).collect())
}

/// What a bar shows: the stage, cut where it is wider than the terminal, then the clock and the figures.
const ENDLESS: &str = "{spinner} {wide_msg}\n  {prefix}";
/// The same, with how much of the expected time is over.
const BOUNDED: &str = "{spinner} {wide_msg}\n  {prefix}  {wide_bar}";
/// What stands beside the figures, and must fit in the same line.
const MARGINS: usize = "    ".len();

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `1:05`.
fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// `148/s, 313 ok, 0 failed, p99 2.1 ms`.
fn sentence(rate: f64, figures: Figures) -> String {
    let p99 = match figures.p99_ms {
        None => String::new(),
        Some(ms) if ms.is_finite() => format!(", p99 {} ms", text::ms(Some(ms))),
        Some(_) => ", p99 never".to_owned(),
    };
    format!("{rate:.0}/s, {} ok, {} failed{p99}", figures.ok, figures.failed)
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Watcher {
    fn stage(&self, stage: &Stage) {
        // Without a warmup the load starts with the first step.
        if *stage != Stage::SettingUp && self.started.get().is_none() {
            self.started.set(Some(Instant::now()));
        }
        let text = match stage {
            Stage::SettingUp => "setting up".to_owned(),
            Stage::WarmingUp => "warming up".to_owned(),
            Stage::Step { action, unit, event, events } => {
                let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("{event}/{events} {action}{unit}")
            }
            Stage::CoolingDown => "cooling down".to_owned(),
            Stage::Restoring => "putting units back".to_owned(),
        };
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {text}", self.name)),
            None => inform(&format!("{}: {text}", self.name)),
        }
    }

    fn figures(&self, figures: Figures) {
        let Some(bar) = &self.bar else { return };
        if let Some(started) = self.started.get() {
            bar.set_position(millis(started.elapsed()));
        }
        bar.set_prefix(self.line(figures, stderr_width().saturating_sub(MARGINS)));
    }

    fn say(&self, sentence: &str) {
        let line = format!("{}: {sentence}", self.name);
        match &self.bar {
            Some(bar) => bar.suspend(|| inform(&line)),
            None => inform(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ActionKind;

    #[test]
    fn the_line_of_figures_says_what_failed_before_how_fast_it_was() {
        let figures = Figures { due: 320, ok: 313, failed: 0, p99_ms: None };
        assert_eq!(sentence(148.4, figures), "148/s, 313 ok, 0 failed");
        assert_eq!(sentence(148.4, Figures { p99_ms: Some(2.14), ..figures }), "148/s, 313 ok, 0 failed, p99 2.14 ms");
        let lost = Figures { failed: 7, p99_ms: Some(f64::INFINITY), ..figures };
        assert_eq!(sentence(148.4, lost), "148/s, 313 ok, 7 failed, p99 never");
    }

    #[test]
    fn the_clock_runs_from_the_first_stage_under_load_be_it_the_warmup_or_a_step() {
        let step = Stage::Step { action: ActionKind::Wait, unit: None, event: 1, events: 1 };
        for under_load in [Stage::WarmingUp, step] {
            let watcher = Watcher::in_lines("load");
            watcher.stage(&Stage::SettingUp);
            assert_eq!(watcher.started.get(), None);
            watcher.stage(&under_load);
            let started = watcher.started.get().expect("it runs");
            watcher.stage(&Stage::CoolingDown);
            assert_eq!(watcher.started.get(), Some(started));
        }
    }

    #[test]
    fn the_line_of_figures_says_less_where_there_is_less_room() {
        let figures = Figures { due: 320, ok: 313, failed: 7, p99_ms: Some(2.14) };
        let in_columns = |columns| {
            let (elapsed, expected) = (Duration::from_secs(3), Duration::from_secs(75));
            fitted(elapsed, Some(expected), 148.4, figures, columns)
        };
        assert_eq!(in_columns(56), "0:03 of about 1:15  148/s, 313 ok, 7 failed, p99 2.14 ms");
        assert_eq!(in_columns(55), "0:03  148/s, 313 ok, 7 failed, p99 2.14 ms");
        assert_eq!(in_columns(41), "0:03  148/s, 313 ok, 7 failed");
        assert_eq!(in_columns(10), "0:03  148/");
    }
}
