//! Knows when the load thread did not run though it should have: the process was stopped, or got no CPU.
//!
//! What passed its timeout meanwhile says nothing about the target.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::model::MonoTime;
use crate::record::line::Pause;

/// From when on being late is more than a hiccup: far beyond what a scheduler does to a thread that it lets run.
const HELD_UP_MIN: Duration = Duration::from_millis(500);

/// The pulse of the load thread.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// When the engine wants to run next; none while it runs.
    wake_at: Cell<Option<MonoTime>>,
    /// When the thread was last held up.
    last: Cell<Option<Pause>>,
    /// What was not taken yet.
    pauses: RefCell<Vec<Pause>>,
}

impl Heartbeat {
    /// The engine sleeps, until `wake_at` at the latest.
    pub(super) fn sleeps_until(&self, wake_at: MonoTime) {
        self.wake_at.set(Some(wake_at));
    }

    /// Something on the thread runs at `now`, the engine or a task that was woken before it.
    pub(super) fn beat(&self, now: MonoTime) {
        let Some(wake_at) = self.wake_at.get().filter(|&at| now.since(at) >= HELD_UP_MIN) else { return };
        self.wake_at.set(None);
        let pause = Pause { from: wake_at, to: now };
        self.last.set(Some(pause));
        self.pauses.borrow_mut().push(pause);
    }

    /// Whether the thread was held up, as seen from `now`, in the time that a request due at `due` had: until
    /// `deadline`.
    pub(super) fn cut_into(&self, due: MonoTime, deadline: MonoTime, now: MonoTime) -> bool {
        self.beat(now);
        self.last.get().is_some_and(|pause| pause.from <= deadline && due <= pause.to)
    }

    /// Takes the oldest pause that was not taken yet.
    pub(super) fn take(&self) -> Option<Pause> {
        let mut pauses = self.pauses.borrow_mut();
        (!pauses.is_empty()).then(|| pauses.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_micros(ms * 1_000)
    }

    #[test]
    fn a_thread_that_wakes_a_little_late_was_not_held_up() {
        let heartbeat = Heartbeat::default();
        heartbeat.beat(at(5_000));
        heartbeat.sleeps_until(at(6_000));
        assert!(!heartbeat.cut_into(at(5_000), at(6_100), at(6_499)));
        assert_eq!(heartbeat.take(), None);
    }

    #[test]
    fn requests_that_lost_time_while_the_thread_was_held_up_are_told_from_all_others() {
        let heartbeat = Heartbeat::default();
        heartbeat.sleeps_until(at(1_000));
        assert!(heartbeat.cut_into(at(500), at(1_500), at(3_000)), "a task may notice before the engine does");
        heartbeat.beat(at(3_000));
        assert!(heartbeat.cut_into(at(2_900), at(3_900), at(3_950)), "it was sent late");
        assert!(!heartbeat.cut_into(at(0), at(999), at(3_001)) && !heartbeat.cut_into(at(3_001), at(4_001), at(4_002)));
        heartbeat.sleeps_until(at(4_000));
        heartbeat.beat(at(4_600));
        let pauses: Vec<Pause> = std::iter::from_fn(|| heartbeat.take()).collect();
        let pause = |from, to| Pause { from: at(from), to: at(to) };
        assert_eq!(pauses, [pause(1_000, 3_000), pause(4_000, 4_600)]);
    }
}
