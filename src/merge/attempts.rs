//! The longest time in which no generator tried to connect: what a listener gap may have hidden in.
//!
//! Of each tenth of a second every shard tells its first and its last attempt. The gaps between what all of them tell are no
//! shorter than the true ones. Where two times are from different clocks, each may be wrong by what these differ.

use std::collections::BTreeMap;

use crate::model::MonoTime;
use crate::record::segment::Scope;

/// The attempts of one cohort, over all shards.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Those to come, with what each time may be wrong by, in nanoseconds.
    points: BTreeMap<MonoTime, u64>,
    last: (MonoTime, u64),
    scope: Scope,
    /// Where the scope changes, the next one last.
    boundaries: Vec<(MonoTime, Scope)>,
    longest: BTreeMap<Scope, u64>,
}

impl Attempts {
    /// From the start of the load on.
    pub(super) fn new(start: MonoTime, boundaries: impl Iterator<Item = (MonoTime, Scope)>) -> Self {
        let mut boundaries: Vec<_> = boundaries.collect();
        boundaries.reverse();
        Self { points: BTreeMap::new(), last: (start, 0), scope: Scope::Warmup, boundaries, longest: BTreeMap::new() }
    }

    /// An attempt was made at `at`, to within `off_ns`.
    pub(super) fn add(&mut self, at: MonoTime, off_ns: u64) {
        let known = self.points.entry(at).or_insert(off_ns);
        *known = off_ns.min(*known);
    }

    /// All attempts of before `until` are known.
    pub(super) fn settle(&mut self, until: MonoTime) {
        let rest = self.points.split_off(&until);
        for (at, off_ns) in std::mem::replace(&mut self.points, rest) {
            self.pass(at);
            self.gap_until(at, off_ns);
        }
    }

    /// The load ended: the longest gap of each scope, its edges included.
    pub(super) fn finish(mut self, end: MonoTime) -> BTreeMap<Scope, u64> {
        self.settle(end);
        self.pass(end);
        self.gap_until(end, 0);
        self.longest
    }

    /// The scopes that end before `at` do.
    fn pass(&mut self, at: MonoTime) {
        while let Some((boundary, next)) = self.boundaries.pop_if(|(boundary, _)| *boundary <= at) {
            self.gap_until(boundary, 0);
            self.scope = next;
        }
    }

    fn gap_until(&mut self, at: MonoTime, off_ns: u64) {
        let (last, last_off_ns) = self.last;
        let gap_ns = at.nanos_since(last).saturating_add(off_ns).saturating_add(last_off_ns);
        let longest = self.longest.entry(self.scope).or_default();
        *longest = gap_ns.max(*longest);
        if at >= last {
            self.last = (at, off_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::EventId;

    const fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    const EVENT: Scope = Scope::Event(EventId(0));

    fn of(points: &[(u64, u64)]) -> BTreeMap<Scope, u64> {
        let mut attempts = Attempts::new(at(0), [(at(100), Scope::Before), (at(500), EVENT)].into_iter());
        points.iter().for_each(|&(ms, off_ms)| attempts.add(at(ms), off_ms * 1_000_000));
        attempts.finish(at(1_000)).into_iter().map(|(scope, ns)| (scope, ns / 1_000_000)).collect()
    }

    #[test]
    fn the_edges_of_a_scope_count_and_a_time_of_another_clock_may_be_wrong() {
        let exact = of(&[(20, 0), (300, 0), (550, 0), (900, 0)]);
        assert_eq!(exact, BTreeMap::from([(Scope::Warmup, 80), (Scope::Before, 200), (EVENT, 350)]));
        assert_eq!(of(&[(20, 0), (300, 0), (550, 30), (900, 5)])[&EVENT], 385);
        assert_eq!(of(&[])[&EVENT], 500);
    }

    proptest! {
        #[test]
        fn a_true_gap_is_never_longer(
            told in proptest::collection::vec((0_u64..1_000, -30_i64..=30), 0..60),
        ) {
            let attempts: Vec<(u64, u64)> = told.iter().map(|&(ms, _)| (ms, 30)).collect();
            let mut truth: Vec<u64> = told.iter().map(|&(ms, off)| ms.saturating_add_signed(off)).collect();
            truth.retain(|ms| (500..1_000).contains(ms));
            truth.extend([500, 1_000]);
            truth.sort_unstable();
            let longest = truth.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
            prop_assert!(of(&attempts)[&EVENT] >= longest);
        }
    }
}
