//! Progress on a terminal, in two lines: what is done, and how it goes. A few plain lines elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::say;
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
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            set_style(&bar, ENDLESS);
            bar.set_prefix(name.to_owned());
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

    /// `0:03 of about 0:15`; without the latter if nobody said how long it takes.
    fn clock(&self) -> String {
        let elapsed = self.started.get().map_or(Duration::ZERO, |started| started.elapsed());
        match self.expected {
            Some(expected) if elapsed < expected => format!("{} of about {}", minutes(elapsed), minutes(expected)),
            _ => minutes(elapsed),
        }
    }
}

/// What a bar shows: the stage, then the clock and the figures.
const ENDLESS: &str = "{spinner} {prefix}\n  {msg}";
/// The same, with how much of the expected time is over.
const BOUNDED: &str = "{spinner} {prefix}\n  {msg}  {wide_bar}";

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
        let text = match stage {
            Stage::SettingUp => "setting up".to_owned(),
            Stage::WarmingUp => {
                self.started.set(Some(Instant::now()));
                "warming up".to_owned()
            }
            Stage::Step { action, unit, event, events } => {
                let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("{event}/{events} {action}{unit}")
            }
            Stage::CoolingDown => "cooling down".to_owned(),
            Stage::Restoring => "putting units back".to_owned(),
        };
        match &self.bar {
            Some(bar) => bar.set_prefix(format!("{}: {text}", self.name)),
            None => say(&format!("{}: {text}", self.name)),
        }
    }

    fn figures(&self, figures: Figures) {
        let Some(bar) = &self.bar else { return };
        if let Some(started) = self.started.get() {
            bar.set_position(millis(started.elapsed()));
        }
        bar.set_message(format!("{}  {}", self.clock(), sentence(self.rate(figures.due), figures)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_figures_says_what_failed_before_how_fast_it_was() {
        let figures = Figures { due: 320, ok: 313, failed: 0, p99_ms: None };
        assert_eq!(sentence(148.4, figures), "148/s, 313 ok, 0 failed");
        assert_eq!(sentence(148.4, Figures { p99_ms: Some(2.14), ..figures }), "148/s, 313 ok, 0 failed, p99 2.14 ms");
        let lost = Figures { failed: 7, p99_ms: Some(f64::INFINITY), ..figures };
        assert_eq!(sentence(148.4, lost), "148/s, 313 ok, 7 failed, p99 never");
    }
}
