//! Knows when the load thread did not run though it should have: the process was stopped, or got no CPU.
//!
//! What passed its timeout meanwhile says nothing about the target.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::model::MonoTime;
use crate::record::generator::{PAUSE_MIN, PAUSES_KEPT};
use crate::record::line::Pause;

/// From when on being late is more than a hiccup: far beyond what a scheduler does to a thread that it lets run.
const HELD_UP_MIN: Duration = Duration::from_millis(500);

/// The thread wants to run at least this often, whatever is due: so a pause shows also when nothing is.
pub(super) const BEAT_EVERY: Duration = Duration::from_millis(100);

/// Pauses that were not handed over yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pauses {
    /// Longest first, at most [`PAUSES_KEPT`].
    pub(super) kept: Vec<Pause>,
    /// Shorter ones.
    pub(super) left_out: u64,
}

impl Pauses {
    fn add(&mut self, pause: Pause) {
        let place = self.kept.partition_point(|kept| kept.length_ns() >= pause.length_ns());
        self.kept.insert(place, pause);
        if self.kept.len() > PAUSES_KEPT {
            self.kept.truncate(PAUSES_KEPT);
            self.left_out += 1;
        }
    }
}

/// The pulse of the load thread.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// When the engine wants to run next; none while it runs.
    wake_at: Cell<Option<MonoTime>>,
    /// When the thread was last held up.
    last: Cell<Option<Pause>>,
    /// When it was held up, not taken yet.
    held_up: RefCell<Vec<Pause>>,
    /// When it was late at all, not taken yet.
    pauses: RefCell<Pauses>,
}

impl Heartbeat {
    /// The engine sleeps, until `wake_at` at the latest.
    pub(super) fn sleeps_until(&self, wake_at: MonoTime) {
        self.wake_at.set(Some(wake_at));
    }

    /// Something on the thread runs at `now`, the engine or a task that was woken before it.
    pub(super) fn beat(&self, now: MonoTime) {
        let Some(wake_at) = self.wake_at.get().filter(|&at| now.since(at) >= PAUSE_MIN) else { return };
        self.wake_at.set(None);
        let pause = Pause { from: wake_at, to: now };
        self.pauses.borrow_mut().add(pause);
        if now.since(wake_at) >= HELD_UP_MIN {
            self.last.set(Some(pause));
            self.held_up.borrow_mut().push(pause);
        }
    }

    /// Whether the thread was held up, as seen from `now`, in the time that a request due at `due` had: until
    /// `deadline`.
    pub(super) fn cut_into(&self, due: MonoTime, deadline: MonoTime, now: MonoTime) -> bool {
        self.beat(now);
        self.last.get().is_some_and(|last| last.from <= deadline && due <= last.to)
    }

    /// Takes the oldest time that the thread was held up and that was not taken yet.
    pub(super) fn take(&self) -> Option<Pause> {
        let mut held_up = self.held_up.borrow_mut();
        (!held_up.is_empty()).then(|| held_up.remove(0))
    }

    /// The pauses since they were last taken.
    pub(super) fn take_pauses(&self) -> Pauses {
        self.pauses.take()
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
        let held_up: Vec<Pause> = std::iter::from_fn(|| heartbeat.take()).collect();
        let pause = |from, to| Pause { from: at(from), to: at(to) };
        assert_eq!(held_up, [pause(1_000, 3_000), pause(4_000, 4_600)]);
    }

    #[test]
    fn each_pause_is_told_once_with_its_times() {
        let heartbeat = Heartbeat::default();
        let pause = |from, to| Pause { from: at(from), to: at(to) };
        heartbeat.sleeps_until(at(100));
        heartbeat.beat(at(109));
        heartbeat.sleeps_until(at(200));
        heartbeat.beat(at(215));
        heartbeat.beat(at(230));
        heartbeat.sleeps_until(at(300));
        heartbeat.beat(at(900));
        assert_eq!(heartbeat.take_pauses(), Pauses { kept: vec![pause(300, 900), pause(200, 215)], left_out: 0 });
        assert_eq!(heartbeat.take_pauses(), Pauses::default());
    }

    #[test]
    fn of_many_pauses_the_longest_are_kept() {
        let heartbeat = Heartbeat::default();
        for number in 1..=12 {
            heartbeat.sleeps_until(at(number * 1_000));
            heartbeat.beat(at(number * 1_000 + 10 + number));
        }
        let Pauses { kept, left_out } = heartbeat.take_pauses();
        let lengths: Vec<u64> = kept.iter().map(|pause| pause.length_ns() / 1_000_000).collect();
        assert_eq!((lengths, left_out), (vec![22, 21, 20, 19, 18, 17, 16, 15], 4));
    }
}
