//! How far the clock of the other machine is from ours: CLOCK_MONOTONIC counts from each machine's boot.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::master::Master;
use crate::clock::{self, offsets::Offsets};
use crate::model::MonoTime;

/// Round trips that are measured.
const ROUNDS: usize = 12;

const ROUND_MAX: Duration = Duration::from_secs(10);

/// /proc/uptime counts in hundredths of a second, and cuts off the rest.
const UPTIME_TICK_NS: i128 = 10_000_000;

/// The clock that a systemd dates by.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// Ours.
    #[default]
    Ours,
    /// That of another machine, compared with ours when it was connected to.
    Measured(Offset),
    /// That of another machine, compared with ours all the time.
    Kept(Arc<Mutex<Offsets>>),
}

impl Clock {
    /// One of its times on our clock; the earliest there is where we had not booted yet.
    #[must_use]
    pub fn here(&self, there: MonoTime) -> MonoTime {
        match self {
            Self::Ours => there,
            Self::Measured(offset) => offset.here(there),
            Self::Kept(offsets) => offsets.lock().unwrap_or_else(PoisonError::into_inner).ours(there, clock::now()),
        }
    }
}

/// What has to be added to our CLOCK_MONOTONIC for that of the other machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    ahead_ns: i128,
    half_width_ns: u64,
    /// On our clock.
    measured_at: MonoTime,
}

impl Offset {
    /// From bounds: it is ahead by no less than `low` and no more than `high` ns.
    fn between(low: i128, high: i128, measured_at: MonoTime) -> Self {
        let half_width_ns = u64::try_from((high - low).max(0) / 2).unwrap_or(u64::MAX);
        Self { ahead_ns: low + (high - low) / 2, half_width_ns, measured_at }
    }

    /// A time of ours as the other machine tells it; the earliest there is where it had not booted yet.
    #[must_use]
    pub fn there(&self, here: MonoTime) -> MonoTime {
        shifted(here, self.ahead_ns)
    }

    /// A time of the other machine as we tell it; the earliest there is where we had not booted yet.
    #[must_use]
    pub fn here(&self, there: MonoTime) -> MonoTime {
        shifted(there, -self.ahead_ns)
    }

    /// The clock there was ahead of ours by this number of nanoseconds; negative where it was behind.
    #[must_use]
    pub fn ahead_ns(&self) -> i64 {
        i64::try_from(self.ahead_ns).unwrap_or(if self.ahead_ns < 0 { i64::MIN } else { i64::MAX })
    }

    /// When it was measured the true offset was within this of the one that is used.
    #[must_use]
    pub fn half_width(&self) -> Duration {
        Duration::from_nanos(self.half_width_ns)
    }

    /// When it was measured, on our clock.
    #[must_use]
    pub fn measured_at(&self) -> MonoTime {
        self.measured_at
    }
}

fn shifted(time: MonoTime, by_ns: i128) -> MonoTime {
    let nanos = i128::from(time.as_nanos()) + by_ns;
    MonoTime::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

/// Each round trip bounds the offset from both sides: the answer was read between the question and its arrival.
pub(super) async fn measure(master: &mut Master) -> io::Result<Offset> {
    let (mut low, mut high) = (i128::MIN, i128::MAX);
    for _ in 0..ROUNDS {
        let asked = i128::from(clock::now().as_nanos());
        let line =
            timeout(ROUND_MAX, master.ask_time()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let heard = i128::from(clock::now().as_nanos());
        let (from, to) = read(&line).ok_or_else(|| io::Error::other(format!("it tells no time: {line:?}")))?;
        low = low.max(from - heard);
        high = high.min(to - asked);
    }
    Ok(Offset::between(low, high.max(low), clock::now()))
}

/// The bounds of the time that a line tells, in ns since boot.
fn read(line: &str) -> Option<(i128, i128)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["now", "at", nanos, "nsecs"] => nanos.parse().ok().map(|nanos| (nanos, nanos)),
        ["up", seconds] => {
            let (whole, hundredths) = seconds.split_once('.')?;
            let ticks = whole.parse::<i128>().ok()? * 100 + hundredths.get(..2)?.parse::<i128>().ok()?;
            Some((ticks * UPTIME_TICK_NS, (ticks + 1) * UPTIME_TICK_NS))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::offsets::Exchange;

    #[test]
    fn both_ways_of_telling_the_time_are_read_with_their_bounds() {
        assert_eq!(read("now at 728801812016 nsecs"), Some((728_801_812_016, 728_801_812_016)));
        assert_eq!(read("up 728.81"), Some((728_810_000_000, 728_820_000_000)));
        assert_eq!((read(""), read("up x"), read("now")), (None, None, None));
    }

    #[test]
    fn a_time_goes_there_and_back_and_none_is_before_a_boot() {
        let here = MonoTime::from_nanos(10_000);
        let offset = Offset::between(-5_000, -3_000, here);
        assert_eq!(offset.there(here), MonoTime::from_nanos(6_000));
        assert_eq!(offset.here(offset.there(here)), here);
        assert_eq!(offset.there(MonoTime::from_nanos(1)), MonoTime::from_nanos(0));
        assert_eq!(offset.half_width(), Duration::from_micros(1));
        assert_eq!(Clock::default().here(here), here);
    }

    #[test]
    fn a_clock_that_is_kept_maps_its_times_by_its_exchanges() {
        const AHEAD_NS: u64 = 7_200_000_000_000;
        let kept = Arc::new(Mutex::new(Offsets::new()));
        let (asked, answered) = (MonoTime::from_nanos(1_000_000), MonoTime::from_nanos(1_000_100));
        let theirs = MonoTime::from_nanos(AHEAD_NS + 1_000_050);
        kept.lock().unwrap().add(&Exchange { asked, got: theirs, sent: theirs, answered });
        let mapped = Clock::Kept(kept).here(theirs);
        assert!((asked..=answered).contains(&mapped), "{mapped:?}");
    }
}
