//! A span of time.

use std::time::Duration;

use super::MonoTime;

/// A span of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: MonoTime,
    pub(crate) to: MonoTime,
}

impl Span {
    pub(crate) fn new(from: MonoTime, to: MonoTime) -> Self {
        Self { from, to: to.max(from) }
    }

    /// From the beginning of the earlier to the end of the later one.
    pub(crate) fn hull(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    pub(crate) fn holds(self, at: MonoTime) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// How long both last, in nanoseconds.
    pub(crate) fn shared_ns(self, other: Self) -> u64 {
        self.to.min(other.to).nanos_since(self.from.max(other.from))
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// Longer by `slack_ns` at both ends; shorter if that is negative. What is left of a shorter one may end before it
    /// begins: it overlaps what holds all the time in between, and holds no moment.
    pub(crate) fn stretched(self, slack_ns: i64) -> Self {
        let moved = |at: MonoTime, by: i64| MonoTime::from_nanos(at.as_nanos().saturating_add_signed(by));
        Self { from: moved(self.from, slack_ns.saturating_neg()), to: moved(self.to, slack_ns) }
    }

    /// Longer by `slack_ns` at both ends.
    pub(crate) fn widened(self, slack_ns: u64) -> Self {
        let slack = Duration::from_nanos(slack_ns);
        Self { from: self.from - slack, to: self.to + slack }
    }
}
