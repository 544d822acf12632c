//! Spans without an `ok` while requests were due.

use std::time::Duration;

use crate::model::MonoTime;
use crate::record::segment::Gap;

/// How many gaps a segment keeps.
pub(super) const GAPS_KEPT: usize = 8;

/// A gap of a load that is shared tells little by itself: an answer to another generator may lie in it. All of this length
/// are kept: at most 200 of a segment of ten seconds.
pub(super) const TOLD_TO_A_MERGE: Duration = Duration::from_millis(50);

/// Follows one cohort and knows since when it has waited for an `ok`.
#[derive(Debug, Default)]
pub(super) struct GapWatch {
    since: Option<MonoTime>,
}

impl GapWatch {
    /// A request fell due.
    pub(super) fn fell_due(&mut self, due: MonoTime) {
        self.since.get_or_insert(due);
    }

    /// A request ended `ok` while `outstanding` others had not ended: the gap that this closes, if there was one.
    pub(super) fn ok(&mut self, end: MonoTime, outstanding: u64) -> Option<Gap> {
        let next = (outstanding > 0).then_some(end);
        std::mem::replace(&mut self.since, next).map(|from| Gap { from, to: end })
    }

    /// Since when it has waited for an `ok`; none if nothing is due.
    pub(super) fn since(&self) -> Option<MonoTime> {
        self.since
    }

    /// Cuts the current gap at `at`: its first part, while the rest goes on.
    pub(super) fn cut(&mut self, at: MonoTime) -> Option<Gap> {
        let from = self.since.filter(|&from| from < at)?;
        self.since = Some(at);
        Some(Gap { from, to: at })
    }

    /// The load ended at `at`: the gap that no `ok` has closed.
    pub(super) fn finish(&mut self, at: MonoTime) -> Option<Gap> {
        self.since.take().filter(|&from| from < at).map(|from| Gap { from, to: at })
    }
}

/// Keeps `gap` among `gaps`, longest first, if it is one of the `kept` longest.
pub(super) fn keep_longest(gaps: &mut Vec<Gap>, gap: Gap, kept: usize) {
    let length = |gap: &Gap| gap.to.nanos_since(gap.from);
    if gaps.len() >= kept && gaps.last().is_some_and(|shortest| length(shortest) >= length(&gap)) {
        return;
    }
    let place = gaps.partition_point(|kept| length(kept) >= length(&gap));
    gaps.insert(place, gap);
    gaps.truncate(kept.max(gaps.len() - 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    const fn gap(from: u64, to: u64) -> Gap {
        Gap { from: at(from), to: at(to) }
    }

    #[test]
    fn a_gap_starts_at_the_last_ok_if_something_was_outstanding_then() {
        let mut watch = GapWatch::default();
        watch.fell_due(at(0));
        watch.fell_due(at(5));
        assert_eq!(watch.ok(at(10), 1), Some(gap(0, 10)));
        watch.fell_due(at(20));
        assert_eq!(watch.ok(at(30), 0), Some(gap(10, 30)));
    }

    #[test]
    fn a_gap_starts_at_the_next_due_time_if_nothing_was_outstanding() {
        let mut watch = GapWatch::default();
        watch.fell_due(at(0));
        watch.ok(at(10), 0);
        watch.fell_due(at(40));
        assert_eq!(watch.ok(at(41), 0), Some(gap(40, 41)));
        assert_eq!(watch.finish(at(99)), None);
    }

    #[test]
    fn a_gap_that_no_ok_ends_is_ended_by_the_load() {
        let mut watch = GapWatch::default();
        watch.fell_due(at(3));
        assert_eq!(watch.cut(at(7)), Some(gap(3, 7)));
        assert_eq!(watch.finish(at(9)), Some(gap(7, 9)));
        assert_eq!(watch.finish(at(9)), None);
    }

    #[test]
    fn only_the_longest_are_kept() {
        let mut gaps = Vec::new();
        for length in [5, 1, 9, 2, 8, 3, 7, 4, 6, 10, 0] {
            keep_longest(&mut gaps, gap(100, 100 + length), GAPS_KEPT);
        }
        let kept: Vec<u64> = gaps.iter().map(|gap| gap.to.nanos_since(gap.from) / 1_000_000).collect();
        assert_eq!(kept, [10, 9, 8, 7, 6, 5, 4, 3]);
    }
}
