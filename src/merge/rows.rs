//! Rows of all shards, added up until every shard is past them.

use std::collections::BTreeMap;

use crate::model::MonoTime;
use crate::record::line::Line;
use crate::record::segment::{FailureCount, Row, Rows, Scope};

/// First and last of something.
type Times = (MonoTime, MonoTime);

/// What is not written yet, by row, cohort and scope.
#[derive(Debug, Default)]
pub(super) struct RowSums(BTreeMap<(u64, u16, Scope), Sum>);

#[derive(Debug, Default)]
struct Sum {
    row: Row,
    /// Of each part, due and end of the earliest `ok` after its last failure.
    lasting: Vec<Times>,
}

impl RowSums {
    /// Adds the part of a row that a cohort counted under a scope.
    pub(super) fn add(&mut self, cohort: u16, scope: Scope, part: &Row) {
        self.0.entry((part.index, cohort, scope)).or_default().add(part);
    }

    /// The rows before `until`, which are then done with.
    pub(super) fn take_before(&mut self, until: u64) -> Vec<Line> {
        let rest = self.0.split_off(&(until, 0, Scope::Warmup));
        let mut rows = BTreeMap::<(u16, Scope), Vec<Row>>::new();
        for ((index, cohort, scope), sum) in std::mem::replace(&mut self.0, rest) {
            rows.entry((cohort, scope)).or_default().extend(sum.into_rows(index));
        }
        rows.into_iter().map(|((cohort, scope), rows)| Line::Rows(Rows { cohort, scope, rows })).collect()
    }
}

impl Sum {
    fn add(&mut self, part: &Row) {
        let row = &mut self.row;
        row.due = row.due.saturating_add(part.due);
        row.ok = row.ok.saturating_add(part.ok);
        part.statuses.iter().for_each(|&(status, n)| *count(&mut row.statuses, status) += n);
        part.grpc_statuses.iter().for_each(|&(status, n)| *count(&mut row.grpc_statuses, status) += n);
        for &(bucket, n) in &part.density {
            let sum = count(&mut row.density, bucket);
            *sum = sum.saturating_add(n);
        }
        for failure in &part.failures {
            match row.failures.iter_mut().find(|known| known.key == failure.key) {
                Some(known) => known.n = known.n.saturating_add(failure.n),
                None => row.failures.push(FailureCount { ends: None, ..*failure }),
            }
        }
        row.sum_us = row.sum_us.saturating_add(part.sum_us);
        row.max_us = row.max_us.max(part.max_us);
        row.slowest = slower(row.slowest, part.slowest);
        row.unframed = row.unframed.saturating_add(part.unframed);
        row.unframed_ends = hull(row.unframed_ends, part.unframed_ends);
        row.ok_ends = hull(row.ok_ends, part.ok_ends);
        row.failed_due = hull(row.failed_due, part.failed_due);
        self.lasting.extend(part.lasting_ok);
    }

    /// One row, and where something failed further parts of it: each may hold the first `ok` after the last failure of all.
    fn into_rows(mut self, index: u64) -> impl Iterator<Item = Row> {
        self.lasting.sort_unstable();
        let kept = if self.row.failures.is_empty() { self.lasting.len().min(1) } else { self.lasting.len() };
        self.lasting.truncate(kept);
        let mut lasting = self.lasting.into_iter();
        let row = Row { index, lasting_ok: lasting.next(), ..self.row };
        let parts = lasting.map(move |ok| Row { index, lasting_ok: Some(ok), ..Row::default() });
        std::iter::once(row).chain(parts)
    }
}

/// The count of `key`; `counts` is ascending by key.
fn count<K: Ord + Copy, N: Default>(counts: &mut Vec<(K, N)>, key: K) -> &mut N {
    let place = counts.binary_search_by_key(&key, |&(key, _)| key).unwrap_or_else(|place| {
        counts.insert(place, (key, N::default()));
        place
    });
    &mut counts[place].1
}

fn hull(a: Option<Times>, b: Option<Times>) -> Option<Times> {
    a.into_iter().chain(b).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The slower of two requests; of two as slow, the one that was due first.
fn slower(a: Option<Times>, b: Option<Times>) -> Option<Times> {
    a.into_iter().chain(b).max_by_key(|&(due, end)| (end.nanos_since(due), std::cmp::Reverse(due)))
}
