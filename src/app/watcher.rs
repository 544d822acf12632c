//! Progress on a terminal; a few plain lines elsewhere.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::say;
use crate::run::progress::{Figures, Progress, Stage};

/// Shows on stderr how a scenario goes.
#[derive(Debug)]
pub struct Watcher {
    name: String,
    bar: Option<ProgressBar>,
}

impl Watcher {
    /// Watches the scenario of that name.
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
        Self { name: name.to_owned(), bar }
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
            Stage::WarmingUp => "warming up".to_owned(),
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
            bar.set_message(format!("{} due, {} ok, {} failed", figures.due, figures.ok, figures.failed));
        }
    }
}
