//! Knows when the load thread did not run though it should have: the process was stopped, or got no CPU.
//!
//! What passed its timeout meanwhile says nothing about the target.

use std::cell::Cell;
use std::time::Duration;

use crate::model::MonoTime;

/// From when on being late is more than a hiccup: far beyond what a scheduler does to a thread that it lets run.
const HELD_UP_MIN: Duration = Duration::from_millis(500);

/// How often and how long the load thread did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldUp {
    /// So many times.
    pub times: u32,
    /// For so long at most.
    pub longest: Duration,
}

/// The pulse of the load thread.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// When the engine wants to run next; none while it runs.
    wake_at: Cell<Option<MonoTime>>,
    /// From when to when the thread was last held up.
    last: Cell<Option<(MonoTime, MonoTime)>>,
    total: Cell<HeldUp>,
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
        self.last.set(Some((wake_at, now)));
        let HeldUp { times, longest } = self.total.get();
        self.total.set(HeldUp { times: times.saturating_add(1), longest: longest.max(now.since(wake_at)) });
    }

    /// Whether the thread was held up, as seen from `now`, in the time that a request due at `due` had: until
    /// `deadline`.
    pub(super) fn cut_into(&self, due: MonoTime, deadline: MonoTime, now: MonoTime) -> bool {
        self.beat(now);
        self.last.get().is_some_and(|(from, to)| from <= deadline && due <= to)
    }

    /// All of it so far.
    pub(super) fn total(&self) -> HeldUp {
        self.total.get()
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
        assert_eq!(heartbeat.total(), HeldUp::default());
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
        let longest = Duration::from_secs(2);
        assert_eq!(heartbeat.total(), HeldUp { times: 2, longest });
    }
}
