//! How the CLOCK_MONOTONIC of another machine is to ours, from exchanges of time as in RFC 5905, section 8.
//!
//! Each exchange bounds the offset by the time that it took, however unevenly that was spent on the two ways. Bounds grow
//! with time by the most that two clocks drift apart, and each new exchange cuts them again. Times of the other machine
//! are mapped by a function that is continuous, increasing and never changed for the past: what that machine saw one after
//! the other stays so.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::MonoTime;
use crate::model::time::nanos;

/// The most that two clocks drift apart, in ppm. Linux steers CLOCK_MONOTONIC by at most 500 ppm (MAXFREQ in
/// include/linux/timex.h, and adjtime(3)), on either machine. A clock that is driven harder contradicts its earlier
/// exchanges, and widens the bounds by as much.
pub const DRIFT_PPM_MAX: u64 = 1_000;

/// How fast the mapping follows the best estimate.
const FOLLOW: Duration = Duration::from_secs(1);

/// From one change of the mapping's slope to the next.
const SEGMENT_MIN: Duration = Duration::from_secs(1);

/// Older parts of the mapping but the first are forgotten: what is told of later than 16,384 of them, which is four hours at
/// least, is mapped by the first.
const SEGMENTS_MAX: usize = 16_384;

/// One exchange of time.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// We asked, on our clock, or later.
    pub asked: MonoTime,
    /// They had the question, on theirs.
    pub got: MonoTime,
    /// They sent the answer, on theirs.
    pub sent: MonoTime,
    /// We had it, on ours.
    pub answered: MonoTime,
}

/// What is known of the offset, theirs minus ours, and the mapping that comes of it.
#[derive(Debug)]
pub struct Offsets {
    /// The bounds at `at`, in nanoseconds; none before the first exchange.
    bounds: Option<Bounds>,
    /// Their time at the first exchange, and at the last.
    exchanged: Option<(i128, i128)>,
    segments: VecDeque<Segment>,
    /// The latest of their times that was mapped.
    mapped_until: i128,
    /// The most that a mapped time can be off.
    widest: i128,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// On our clock.
    at: i128,
    lowest: i128,
    highest: i128,
}

/// From `from`, on their clock, the mapping's offset is `offset` and changes by `slope_ppm` until [`FOLLOW`] has passed.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: i128,
    offset: i128,
    slope_ppm: i128,
    /// The most that the true offset was from this one at `from`.
    off_by: i128,
}

impl Bounds {
    /// As they are at another time.
    fn aged(self, to: i128) -> Self {
        let drift = drift((to - self.at).abs());
        Self { at: to, lowest: self.lowest - drift, highest: self.highest + drift }
    }

    fn middle(self) -> i128 {
        i128::midpoint(self.lowest, self.highest)
    }

    /// The most that the true offset can be from this one.
    fn distance(self, offset: i128) -> i128 {
        (self.highest - offset).max(offset - self.lowest)
    }

    /// The same at their time `theirs`.
    fn off_by(self, offset: i128, theirs: i128) -> i128 {
        let distance = self.distance(offset);
        distance + drift((theirs - offset - self.at).abs() + distance)
    }
}

impl Segment {
    fn offset_at(&self, theirs: i128) -> i128 {
        let passed = (theirs - self.from).clamp(0, i128::from(nanos(FOLLOW)));
        self.offset + passed * self.slope_ppm / 1_000_000
    }

    /// The most that the true offset is from this one at another time: both change meanwhile.
    fn off_by_at(&self, theirs: i128) -> i128 {
        self.off_by + 2 * drift((theirs - self.from).abs())
    }
}

impl Offsets {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self { bounds: None, exchanged: None, segments: VecDeque::new(), mapped_until: 0, widest: 0 }
    }

    /// Learns from an exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        let [asked, got, sent, answered] =
            [exchange.asked, exchange.got, exchange.sent, exchange.answered].map(of_time);
        let drift = drift(answered - asked);
        let told = Bounds { at: answered, lowest: sent - answered - drift, highest: got - asked + drift };
        let bounds = self.bounds.map_or(told, |known| {
            let known = known.aged(answered);
            let (lowest, highest) = (known.lowest.max(told.lowest), known.highest.min(told.highest));
            if lowest <= highest { Bounds { at: answered, lowest, highest } } else { hull(known, told) }
        });
        self.bounds = Some(bounds);
        self.exchanged = Some((self.exchanged.map_or(got, |(first, _)| first), sent));
        self.steer(bounds, sent);
    }

    /// Lets the mapping follow what is known now, from their time `sent` on.
    fn steer(&mut self, bounds: Bounds, sent: i128) {
        let Some(last) = self.segments.back() else { return };
        // A clock that jumped: what was mapped lately may be off by as much.
        self.widest = self.widest.max(bounds.distance(last.offset_at(sent)).min(bounds.highest - bounds.lowest));
        let from = sent.max(self.mapped_until);
        if from - last.from < i128::from(nanos(SEGMENT_MIN)) {
            return;
        }
        let offset = last.offset_at(from);
        let limit = i128::from(DRIFT_PPM_MAX);
        let slope_ppm = ((bounds.middle() - offset) * 1_000_000 / i128::from(nanos(FOLLOW))).clamp(-limit, limit);
        self.segments.push_back(Segment { from, offset, slope_ppm, off_by: bounds.off_by(offset, from) });
        if self.segments.len() > SEGMENTS_MAX {
            self.segments.remove(1);
        }
    }

    /// One of their times, told by `now`, on our clock. It is never later than `now`. One from before the first exchange may
    /// be further off than is said, but as far as is said it is from before it here as well.
    pub fn ours(&mut self, theirs: MonoTime, now: MonoTime) -> MonoTime {
        let (theirs, now) = (of_time(theirs), of_time(now));
        let (Some(bounds), Some((first, last))) = (self.bounds, self.exchanged) else { return to_time(now) };
        if self.segments.is_empty() {
            let offset = bounds.middle();
            self.segments.push_back(Segment { from: last, offset, slope_ppm: 0, off_by: bounds.off_by(offset, last) });
        }
        let place = self.segments.partition_point(|segment| segment.from <= theirs).saturating_sub(1);
        let segment = self.segments[place];
        let offset = segment.offset_at(theirs);
        self.mapped_until = self.mapped_until.max(theirs);
        let ours = theirs - offset;
        let by_now = bounds.aged(now).aged(ours.min(now)).distance(offset);
        // Before the first exchange, all that counts is that it was before.
        let by_then = if theirs < first { segment.off_by } else { segment.off_by_at(theirs) };
        self.widest = self.widest.max(by_now.min(by_then));
        to_time(ours.min(now))
    }

    /// What their clock is ahead of ours, in nanoseconds, as times are mapped now.
    #[must_use]
    pub fn offset_ns(&self) -> i64 {
        let known = self.bounds.map_or(0, Bounds::middle);
        let offset = self.segments.back().map_or(known, |last| last.offset_at(i128::MAX));
        i64::try_from(offset).unwrap_or(if offset < 0 { i64::MIN } else { i64::MAX })
    }

    /// The most that a time which was mapped until now can be off, in nanoseconds; before any was, one that would be.
    #[must_use]
    pub fn half_width_ns(&self) -> u64 {
        let now = self.bounds.map_or(i128::MAX, |bounds| bounds.distance(bounds.middle()));
        u64::try_from(if self.widest > 0 { self.widest } else { now }).unwrap_or(u64::MAX)
    }
}

impl Default for Offsets {
    fn default() -> Self {
        Self::new()
    }
}

/// They contradict each other: the truth was here and is there, and what comes next will tell.
fn hull(known: Bounds, told: Bounds) -> Bounds {
    let ends = [known.lowest, known.highest, told.lowest, told.highest];
    let lowest = ends.into_iter().min().unwrap_or_default();
    let highest = ends.into_iter().max().unwrap_or_default();
    Bounds { at: told.at, lowest, highest }
}

/// The most that two clocks drift apart in `passed` nanoseconds.
fn drift(passed: i128) -> i128 {
    passed * i128::from(DRIFT_PPM_MAX) / 1_000_000 + 1
}

fn of_time(time: MonoTime) -> i128 {
    i128::from(time.as_nanos())
}

fn to_time(nanos: i128) -> MonoTime {
    MonoTime::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Their clock: ahead by `offset` at the beginning, and drifting by so many ppm in each second.
    #[derive(Clone, Debug)]
    struct Theirs {
        offset: i64,
        drifts_ppm: Vec<i64>,
    }

    impl Theirs {
        fn at(&self, ours: u64) -> u64 {
            let mut time = 1_i128 << 62;
            let mut left = i128::from(ours);
            for drift in &self.drifts_ppm {
                let passed = left.min(1_000_000_000);
                time += passed + passed * i128::from(*drift) / 1_000_000;
                left -= passed;
            }
            u64::try_from(time + left + i128::from(self.offset)).expect("in range")
        }
    }

    /// What happens next: so long after what came before.
    #[derive(Clone, Debug)]
    enum Next {
        Exchange {
            after: u64,
            to: u64,
            there: u64,
            back: u64,
        },
        /// Something happens there and is told so much later.
        Event {
            after: u64,
            told: u64,
        },
    }

    fn next() -> impl Strategy<Value = Next> {
        let exchange = (0..200_000_000_u64, 0..50_000_000_u64, 0..5_000_000_u64, 0..50_000_000_u64);
        let event = (0..50_000_000_u64, 0..300_000_000_u64);
        prop_oneof![
            2 => exchange.prop_map(|(after, to, there, back)| Next::Exchange { after, to, there, back }),
            1 => event.prop_map(|(after, told)| Next::Event { after, told }),
        ]
    }

    proptest! {
        #[test]
        fn a_mapped_time_is_never_further_off_than_is_said(
            offset in -(1_i64 << 60)..(1_i64 << 60),
            drifts_ppm in prop::collection::vec(-900_i64..900, 20),
            happens in prop::collection::vec(next(), 1..80),
        ) {
            let theirs = Theirs { offset, drifts_ppm };
            let mut offsets = Offsets::new();
            let mut now = 0;
            let mut mapped: Vec<(u64, u64)> = Vec::new();
            let at = MonoTime::from_nanos;
            let mut is_known = false;
            for next in happens {
                match next {
                    Next::Exchange { after, to, there, back } => {
                        let asked = now + after;
                        let (got, sent) = (asked + to, asked + to + there);
                        now = sent + back;
                        let [got, sent] = [got, sent].map(|time| at(theirs.at(time)));
                        offsets.add(&Exchange { asked: at(asked), got, sent, answered: at(now) });
                        is_known = true;
                    }
                    Next::Event { after, told } if is_known => {
                        let happened = now + after;
                        now = happened + told;
                        let ours = offsets.ours(at(theirs.at(happened)), at(now)).as_nanos();
                        let off = ours.abs_diff(happened);
                        prop_assert!(off <= offsets.half_width_ns(), "{off} ns off, {} said", offsets.half_width_ns());
                        mapped.push((happened, ours));
                    }
                    Next::Event { .. } => {}
                }
            }
            // What came first there stays first.
            mapped.sort_unstable();
            prop_assert!(mapped.is_sorted_by_key(|&(_, ours)| ours), "{mapped:?}");
        }
    }

    #[test]
    fn many_exchanges_know_the_offset_as_well_as_the_quickest_of_them() {
        let mut offsets = Offsets::new();
        let at = MonoTime::from_nanos;
        let mut now = 0;
        for delay in [900_000, 40_000, 700_000, 300_000] {
            let asked = now;
            now += 3 * delay;
            // The way back takes twice as long.
            let theirs = at(asked + delay + 5_000_000_000);
            offsets.add(&Exchange { asked: at(asked), got: theirs, sent: theirs, answered: at(now) });
        }
        assert_eq!(offsets.ours(at(5_000_000_000 + now), at(now)), at(now));
        assert!(offsets.half_width_ns() < 65_000, "{} ns", offsets.half_width_ns());
        assert!(offsets.offset_ns().abs_diff(5_000_000_000) <= offsets.half_width_ns());
    }

    #[test]
    fn a_clock_that_jumps_widens_the_bound_by_as_much() {
        let at = MonoTime::from_nanos;
        let mut offsets = Offsets::new();
        let exchange = |now: u64, ahead: u64| {
            let theirs = at(now + 50_000 + ahead);
            Exchange { asked: at(now), got: theirs, sent: theirs, answered: at(now + 100_000) }
        };
        offsets.add(&exchange(0, 1_000_000_000));
        offsets.ours(at(1_000_000_000), at(100_000));
        assert!(offsets.half_width_ns() < 51_000);
        offsets.add(&exchange(1_000_000_000, 1_500_000_000));
        assert!(offsets.half_width_ns() >= 500_000_000, "{}", offsets.half_width_ns());
    }

    #[test]
    fn what_happened_long_before_the_first_exchange_leaves_the_bound_as_it_is() {
        let at = MonoTime::from_nanos;
        let mut offsets = Offsets::new();
        let (day, second, ahead) = (86_400_000_000_000_u64, 1_000_000_000_u64, 5_000_000_000_u64);
        let exchange = |now: u64| {
            let theirs = at(now + 50_000 + ahead);
            Exchange { asked: at(now), got: theirs, sent: theirs, answered: at(now + 100_000) }
        };
        // Nothing is mapped for a while.
        (0..5).for_each(|nth| offsets.add(&exchange(10 * day - (5 - nth) * second)));
        let mapped: Vec<MonoTime> = (0..10_000_u64)
            .map(|nth| {
                let now = 10 * day + nth * second;
                offsets.add(&exchange(now));
                offsets.ours(at(now + ahead), at(now + 100_000));
                offsets.ours(at(day + ahead), at(now + 100_000))
            })
            .collect();
        assert!(offsets.half_width_ns() < 60_000, "{}", offsets.half_width_ns());
        assert!(mapped.iter().all(|time| *time == mapped[0]), "it is always the same time");
        assert!(mapped[0] < at(10 * day));
    }

    proptest! {
        #[test]
        fn no_times_are_too_odd_to_be_taken(times in prop::collection::vec(any::<[u64; 5]>(), 1..20)) {
            let mut offsets = Offsets::new();
            for times in times {
                let [asked, got, sent, answered, event] = times.map(MonoTime::from_nanos);
                offsets.add(&Exchange { asked, got, sent, answered });
                prop_assert!(offsets.ours(event, answered) <= answered);
                let _ = (offsets.half_width_ns(), offsets.offset_ns());
            }
        }
    }
}
