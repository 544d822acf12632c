//! Progress on a terminal; a few plain lines elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::say;
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
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
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

    /// `about 12 s left, `, `any moment now, `; empty if nobody said how long it takes.
    fn remaining(&self) -> String {
        let Some((expected, started)) = self.expected.zip(self.started.get()) else { return String::new() };
        match expected.saturating_sub(started.elapsed()).as_secs() {
            0 => "any moment now, ".to_owned(),
            left => format!("about {left} s left, "),
        }
    }
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
                format!("[{event}/{events}] {action}{unit}")
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
        if let Some(bar) = &self.bar {
            let (remaining, rate) = (self.remaining(), self.rate(figures.due));
            bar.set_message(format!("{remaining}{rate:.0}/s, {} ok, {} failed", figures.ok, figures.failed));
        }
    }
}
