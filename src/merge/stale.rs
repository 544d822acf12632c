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
