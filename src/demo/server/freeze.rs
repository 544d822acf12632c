//! The one second in which nothing is answered: `--freeze-at`, `--freeze-for`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pause::pause;
use crate::clock;
use crate::model::MonoTime;

/// A span on `CLOCK_MONOTONIC` in which no byte of an answer is sent: an answer that falls due within goes out at
/// its end, or up to a millisecond later, the grain of the timer. The true latency of every request follows from its
/// due time and these two points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Its first moment.
    #[serde(rename = "from_ns")]
    pub from: MonoTime,
    /// The first moment after it.
    #[serde(rename = "until_ns")]
    pub until: MonoTime,
}

impl Freeze {
    /// The span that begins `delay` after `start` and lasts `length`.
    #[must_use]
    pub fn new(start: MonoTime, delay: Duration, length: Duration) -> Self {
        let from = start + delay;
        Self { from, until: from + length }
    }

    /// How long an answer that is due at `now` has to wait.
    #[must_use]
    pub fn wait_at(self, now: MonoTime) -> Duration {
        if now < self.from { Duration::ZERO } else { self.until.since(now) }
    }

    /// Returns at once outside the span, at its end inside it.
    pub(super) async fn pass(self) {
        pause(self.wait_at(clock::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_due_inside_waits_and_to_the_end() {
        let freeze = Freeze::new(MonoTime::from_micros(1_000), Duration::from_micros(500), Duration::from_micros(100));
        let wait_us = |at_us: u64| freeze.wait_at(MonoTime::from_micros(at_us)).as_micros();
        assert_eq!((wait_us(1_499), wait_us(1_500), wait_us(1_560), wait_us(1_600)), (0, 100, 40, 0));
    }
}
