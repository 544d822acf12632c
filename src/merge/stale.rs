//! Which answers were stale: of an instance that had answered, any shard, before an event, to a request sent after it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::marks::Marks;
use crate::model::{EventId, MonoTime};
use crate::record::instances::{InstanceCount, StaleCount};
use crate::record::segment::Scope;

/// What is known of all instances.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// When each first answered.
    first: BTreeMap<String, MonoTime>,
    waiting: Vec<Waiting>,
}

/// Answers that wait until every shard is past them.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cohort: u16,
    pub(super) scope: Scope,
    pub(super) count: InstanceCount,
    off: Duration,
}

impl Stale {
    /// Answers of a shard, whose times are right to within `off`.
    pub(super) fn add(&mut self, (cohort, scope): (u16, Scope), count: InstanceCount, off: Duration) {
        let first = self.first.entry(count.name.clone()).or_insert(count.first);
        *first = count.first.min(*first);
        self.waiting.push(Waiting { cohort, scope, count, off });
    }

    /// The answers of before `until`, told which of them are stale. Where only some are, at least one is.
    pub(super) fn settle(&mut self, until: MonoTime, marks: &Marks) -> Vec<Waiting> {
        let mut settled: Vec<Waiting> = self.waiting.extract_if(.., |it| it.count.last < until).collect();
        for it in &mut settled {
            let Some((sent_first, sent_last)) = it.count.sent else { continue };
            let first = self.first.get(&it.count.name).copied().unwrap_or(it.count.first) + it.off;
            let of = |sent: MonoTime| marks.outlived(first, sent - it.off);
            let found = match (of(sent_first), of(sent_last)) {
                (Some(event), Some(last)) if event == last => Some((event, it.count.answers)),
                (_, last) => last.map(|event| (event, 1)),
            };
            if let Some((event, n)) = found {
                raise(&mut it.count.stale, event, n);
            }
        }
        settled
    }
}

/// What the generator itself counted may be less: it does not know who answered the others.
fn raise(stale: &mut Vec<StaleCount>, event: EventId, n: u64) {
    match stale.iter_mut().find(|known| known.event == event) {
        Some(known) => known.n = known.n.max(n),
        None => stale.push(StaleCount { event, n }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    /// Replaced what answers from 1,000 to 2,000 ms.
    const RESTART: EventId = EventId(1);

    fn restarted() -> Marks {
        Marks {
            load_start: at(0),
            counting: Some(at(0)),
            load_end: at(9_000),
            is_cut: false,
            boot: None,
            events: vec![(at(1_000), RESTART)],
            over: vec![(RESTART, at(1_000), at(2_000))],
        }
    }

    /// Answers of `name`, the first and the last of them 1 ms after they were asked for.
    fn answers(name: &str, answers: u64, sent_ms: (u64, u64)) -> InstanceCount {
        InstanceCount {
            name: name.to_owned(),
            answers,
            first: at(sent_ms.0 + 1),
            last: at(sent_ms.1 + 1),
            sent: Some((at(sent_ms.0), at(sent_ms.1))),
            stale: Vec::new(),
        }
    }

    /// Number of stale answers among those of shards whose times may each be wrong by the given duration.
    fn stale_of(counts: &[(InstanceCount, Duration)]) -> u64 {
        let mut stale = Stale::default();
        for (count, off) in counts {
            stale.add((0, Scope::Before), count.clone(), *off);
        }
        let settled = stale.settle(at(9_000), &restarted());
        assert_eq!(settled.len(), counts.len());
        let all = settled.iter().flat_map(|it| &it.count.stale);
        all.map(|of| if of.event == RESTART { of.n } else { panic!("{of:?}") }).sum()
    }

    fn stale_of_own(counts: &[InstanceCount]) -> u64 {
        let own: Vec<_> = counts.iter().map(|count| (count.clone(), Duration::ZERO)).collect();
        stale_of(&own)
    }

    #[test]
    fn an_instance_that_answered_one_shard_before_an_event_is_stale_in_every_other_after_it() {
        let before = answers("old", 5, (100, 500));
        let after = answers("old", 7, (3_000, 3_500));
        assert_eq!(stale_of_own(&[before.clone(), after.clone()]), 7);
        assert_eq!(stale_of_own(&[after.clone(), before.clone()]), 7, "whichever is read first");
        assert_eq!(stale_of_own(&[after]), 0, "it was never there before");
        assert_eq!(stale_of_own(&[before, answers("new", 7, (3_000, 3_500))]), 0, "another instance");
    }

    #[test]
    fn what_was_sent_before_the_event_was_over_is_not_stale() {
        let before = answers("old", 5, (100, 500));
        assert_eq!(stale_of_own(&[before.clone(), answers("old", 7, (1_100, 1_900))]), 0);
        assert_eq!(stale_of_own(&[before, answers("old", 7, (1_900, 2_100))]), 1, "the last of them is");
    }

    #[test]
    fn what_the_clock_of_another_machine_leaves_open_is_not_called_stale() {
        let before = (answers("old", 5, (100, 500)), Duration::ZERO);
        let after = |off_ms| (answers("old", 7, (2_050, 3_000)), Duration::from_millis(off_ms));
        assert_eq!(stale_of(&[before.clone(), after(10)]), 7);
        assert_eq!(stale_of(&[before.clone(), after(100)]), 1, "the first may have been sent before it was over");
        assert_eq!(stale_of(&[before, after(2_000)]), 0);
        let shortly_before = (answers("old", 5, (950, 990)), Duration::ZERO);
        assert_eq!(stale_of(&[shortly_before, after(10)]), 7);
    }

    #[test]
    fn what_a_shard_counted_itself_is_not_made_less() {
        let known =
            InstanceCount { stale: vec![StaleCount { event: RESTART, n: 3 }], ..answers("old", 7, (1_900, 2_100)) };
        assert_eq!(stale_of_own(&[answers("old", 5, (100, 500)), known]), 3);
    }

    #[test]
    fn answers_wait_until_every_shard_is_past_them() {
        let mut stale = Stale::default();
        stale.add((0, Scope::Before), answers("old", 7, (3_000, 3_500)), Duration::ZERO);
        assert!(stale.settle(at(3_400), &restarted()).is_empty());
        stale.add((0, Scope::Before), answers("old", 5, (100, 500)), Duration::ZERO);
        let settled = stale.settle(at(9_000), &restarted());
        assert_eq!(settled.iter().map(|it| it.count.stale.len()).collect::<Vec<_>>(), [1, 0]);
    }
}
