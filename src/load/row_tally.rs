//! Counts one row: a tenth of a second of due times.

use super::ended::{Accepted, Ended};
use crate::model::{FailureKey, MonoTime};
use crate::record::segment::{FailureCount, ROW_NS, Row, density_bucket};

/// Milliseconds in a row.
const SLOTS: usize = (ROW_NS / SLOT_NS) as usize;
const SLOT_NS: u64 = 1_000_000;

/// A row that still counts.
#[derive(Debug)]
pub(super) struct RowTally {
    row: Row,
    /// Due and end of the earliest-due `ok` of each millisecond: what `lasting_ok` is taken from once the
    /// last failure is known, in bounded memory.
    earliest_ok: Box<[Option<(MonoTime, MonoTime)>; SLOTS]>,
}

impl RowTally {
    pub(super) fn new(index: u64) -> Self {
        Self { row: Row { index, ..Row::default() }, earliest_ok: Box::new([None; SLOTS]) }
    }

    pub(super) fn index(&self) -> u64 {
        self.row.index
    }

    pub(super) fn fell_due(&mut self) {
        self.row.due += 1;
    }

    /// Counts an `ok` request that was due `offset_ns` after the start of the row.
    pub(super) fn ok(&mut self, due: MonoTime, end: MonoTime, accepted: Accepted, offset_ns: u64) {
        let latency_us = end.nanos_since(due) / 1_000;
        let row = &mut self.row;
        row.ok += 1;
        row.sum_us += latency_us;
        if row.slowest.is_none() || latency_us > row.max_us {
            row.slowest = Some((due, end));
        }
        row.max_us = row.max_us.max(latency_us);
        if let Some(status) = accepted.status {
            count(&mut row.statuses, status);
        }
        if let Some(status) = accepted.grpc {
            count(&mut row.grpc_statuses, status);
        }
        if accepted.unconfirmed {
            row.unframed += 1;
            row.unframed_ends = Some(hull(row.unframed_ends, end));
        }
        count(&mut row.density, density_bucket(latency_us));
        row.ok_ends = Some(hull(row.ok_ends, end));
        let slot = usize::try_from(offset_ns / SLOT_NS).unwrap_or(usize::MAX).min(SLOTS - 1);
        let earliest = &mut self.earliest_ok[slot];
        if earliest.is_none_or(|(earliest_due, _)| due < earliest_due) {
            *earliest = Some((due, end));
        }
    }

    /// A connect call was made at `at`.
    pub(super) fn attempted(&mut self, at: MonoTime) {
        self.row.attempts = Some(hull(self.row.attempts, at));
    }

    /// Counts a request that ended otherwise, and if told to, when.
    pub(super) fn failed(&mut self, &Ended { due, end, .. }: &Ended, key: FailureKey, tells_ends: bool) {
        let row = &mut self.row;
        let place = row.failures.iter().position(|failure| failure.key == key).unwrap_or_else(|| {
            row.failures.push(FailureCount { key, n: 0, ends: None });
            row.failures.len() - 1
        });
        let failure = &mut row.failures[place];
        failure.n += 1;
        if tells_ends {
            failure.ends = Some(hull(failure.ends, end));
        }
        if !key.class.is_unsent() {
            row.failed_due = Some(hull(row.failed_due, due));
        }
    }

    /// The row as far as it was counted.
    pub(super) fn into_row(mut self) -> Row {
        let last_failed = self.row.failed_due.map(|(_, last)| last);
        let lasting = |&(due, _): &(MonoTime, MonoTime)| last_failed.is_none_or(|failed| due > failed);
        self.row.lasting_ok = self.earliest_ok.iter().flatten().copied().find(lasting);
        self.row
    }
}

/// The first and the last of some moments and one more.
fn hull(of: Option<(MonoTime, MonoTime)>, at: MonoTime) -> (MonoTime, MonoTime) {
    of.map_or((at, at), |(first, last)| (first.min(at), last.max(at)))
}

/// Adds 1 to the count of `key`; `counts` is ascending by key.
fn count<K: Ord + Copy, N: std::ops::AddAssign + From<u8>>(counts: &mut Vec<(K, N)>, key: K) {
    match counts.binary_search_by_key(&key, |&(key, _)| key) {
        Ok(place) => counts[place].1 += N::from(1),
        Err(place) => counts.insert(place, (key, N::from(1))),
    }
}
