//! Shows how a scenario goes: in the last rows of a terminal, from a thread of its own; in lines elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::screen::Screen;
use super::seen::Seen;
use super::view;
use crate::app::output::{inform, is_quiet, secrets, stderr_color};
use crate::run::Surroundings;
use crate::run::estimate;
use crate::run::progress::{Figures, Progress, Stage};
use crate::scenario::plan::Plan;

/// From one drawing to the next.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Shows on stderr how a scenario goes.
#[derive(Debug)]
pub struct Watcher<'a> {
    plan: &'a Plan,
    surroundings: Surroundings,
    live: Option<Live>,
}

impl<'a> Watcher<'a> {
    /// Watches a run of that plan.
    #[must_use]
    pub fn new(plan: &'a Plan, surroundings: Surroundings) -> Self {
        let is_possible = io::stderr().is_terminal() && !is_quiet() && Screen::is_possible();
        Self { plan, surroundings, live: is_possible.then(|| Live::start(&secrets().hide_known(&plan.name))).flatten() }
    }
}

/// What is done in a stage.
fn doing(stage: &Stage) -> String {
    match stage {
        Stage::SettingUp => "setting up".to_owned(),
        Stage::AwaitingStart => "waiting for the time to start".to_owned(),
        Stage::WarmingUp => "warming up".to_owned(),
        Stage::Step { action, unit, event, events } => {
            let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            format!("step {event}/{events} {action}{unit}")
        }
        Stage::CoolingDown => "cooling down".to_owned(),
        Stage::Restoring => "putting units back".to_owned(),
    }
}

impl Progress for Watcher<'_> {
    fn stage(&self, stage: &Stage) {
        let doing = doing(stage);
        let Some(live) = &self.live else { return inform(&format!("{}: {doing}", self.plan.name)) };
        // Without a warmup the load starts with the first step.
        let is_under_load = !matches!(stage, Stage::SettingUp | Stage::AwaitingStart);
        let left = estimate::left(self.plan, stage, self.surroundings);
        live.shared.update(|seen| seen.stage(secrets().hide_known(&doing), is_under_load, left, Instant::now()));
        live.shared.changed.notify_one();
    }

    fn figures(&self, figures: Figures) {
        if let Some(live) = &self.live {
            live.shared.update(|seen| seen.figures(figures, Instant::now()));
        }
    }

    fn say(&self, sentence: &str) {
        inform(&format!("{}: {sentence}", self.plan.name));
    }
}

/// The thread that draws. A terminal that takes nothing holds up this thread alone, and the run goes on.
#[derive(Debug)]
struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    seen: Seen,
    is_over: bool,
}

impl Live {
    /// None where there can be no thread.
    fn start(name: &str) -> Option<Self> {
        let state = State { seen: Seen::of(name), is_over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let drawing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("live-view".to_owned()).spawn(move || drawing.draw());
        Some(Self { shared, thread: Some(thread.ok()?) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // What comes next on the terminal has to wait for it to be cleared.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock().seen);
    }

    /// Draws until the run is over, or the terminal is gone.
    fn draw(&self) {
        let (mut screen, color) = (Screen::default(), stderr_color());
        let mut state = self.lock();
        while !state.is_over {
            let drawn = {
                let view = state.seen.view(Instant::now());
                drop(state);
                screen.draw(|columns| view::lines(&view, columns), color)
            };
            if drawn.is_err() {
                return;
            }
            state = self.lock();
            if !state.is_over {
                let waited = self.changed.wait_timeout(state, DRAW_EVERY);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        drop(state);
        // Fails if it is gone.
        let _ = screen.leave();
    }
}
