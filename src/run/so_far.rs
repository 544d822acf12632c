//! The run so far, for whoever watches it: its latency, its last seconds, and the queue of its target.

use std::collections::BTreeMap;

use super::progress::{Accepting, Tenth};
use crate::model::address::Listener;
use crate::record::segment::{Row, Rows, Scope, density_floor_us};

/// Tenths of a second that are kept: half a minute.
const RECENT: usize = 300;

/// What the rows of the load tell, a second at a time, and what looks at the listeners do.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    /// Counted requests by latency, to 9 %.
    density: BTreeMap<u16, u64>,
    ok: u64,
    failed: u64,
    /// The last tenths of a second, by their index.
    recent: BTreeMap<u64, Tenth>,
    accepting: Option<Accepting>,
    /// Whether nobody has asked for `accepting` since the last look.
    is_new: bool,
}

impl SoFar {
    /// Adds what the load handed over.
    pub(super) fn add(&mut self, rows: &Rows) {
        for row in &rows.rows {
            self.add_recent(row);
        }
        if rows.scope == Scope::Warmup {
            return;
        }
        for row in &rows.rows {
            self.ok += row.ok;
            self.failed += failed(row);
            for &(bucket, n) in &row.density {
                *self.density.entry(bucket).or_default() += u64::from(n);
            }
        }
    }

    fn add_recent(&mut self, row: &Row) {
        let tenth = self.recent.entry(row.index).or_insert(Tenth { index: row.index, ..Tenth::default() });
        tenth.due += row.due;
        tenth.failed += failed(row);
        tenth.slowest_us = tenth.slowest_us.max((row.ok > 0).then_some(row.max_us));
        if self.recent.len() > RECENT {
            self.recent.pop_first();
        }
    }

    /// The target's listeners were seen so.
    pub(super) fn look(&mut self, listeners: &[Listener]) {
        let deepest = listeners.iter().max_by_key(|listener| listener.queued);
        let now = deepest
            .map_or(Accepting::Nobody, |deepest| Accepting::Queue { queued: deepest.queued, backlog: deepest.backlog });
        self.accepting = match self.accepting.filter(|_| self.is_new) {
            // What was worse since somebody asked is still to be told.
            Some(before) => Some(worse(before, now)),
            None => Some(now),
        };
        self.is_new = true;
    }

    /// The worst that was seen of the listeners since this was asked for; the last look if there was none since.
    pub(super) fn take_accepting(&mut self) -> Option<Accepting> {
        self.is_new = false;
        self.accepting
    }

    /// The last half minute.
    pub(super) fn recent(&self) -> Vec<Tenth> {
        self.recent.values().copied().collect()
    }

    /// The 99th percentile in milliseconds, a failed request counted as never answered (infinite); none before the
    /// first request ended.
    #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 us")]
    pub(super) fn p99_ms(&self) -> Option<f64> {
        let ended = self.ok + self.failed;
        let rank = ended.saturating_mul(99).div_ceil(100);
        if ended == 0 {
            return None;
        }
        let mut seen = 0;
        let slower = self.density.iter().find(|&(_, n)| {
            seen += n;
            seen >= rank
        });
        Some(slower.map_or(f64::INFINITY, |(&bucket, _)| density_floor_us(bucket + 1) as f64 / 1e3))
    }
}

/// Dropped and wrong.
fn failed(row: &Row) -> u64 {
    row.failures.iter().filter(|failure| !failure.key.class.is_unsent()).map(|failure| failure.n).sum()
}

fn worse(one: Accepting, other: Accepting) -> Accepting {
    match (one, other) {
        (Accepting::Nobody, _) | (_, Accepting::Nobody) => Accepting::Nobody,
        (Accepting::Queue { queued: a, .. }, Accepting::Queue { queued: b, .. }) => {
            if a >= b {
                one
            } else {
                other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Disposition, Endpoint, FailureClass, FailureKey};
    use crate::record::segment::{FailureCount, Row, density_bucket};

    fn rows(scope: Scope, latency_us: u64, ok: u32, failed: u64) -> Rows {
        let key = FailureKey::new(FailureClass::Refused, Disposition::Unsent);
        let row = Row {
            ok: u64::from(ok),
            density: vec![(density_bucket(latency_us), ok)],
            failures: vec![FailureCount { key, n: failed, ends: None }],
            ..Row::default()
        };
        Rows { cohort: 0, scope, rows: vec![row] }
    }

    #[test]
    fn the_percentile_is_that_of_the_requests_so_far() {
        let mut so_far = SoFar::default();
        assert_eq!(so_far.p99_ms(), None);
        so_far.add(&rows(Scope::Warmup, 9_000_000, 500, 0));
        assert_eq!(so_far.p99_ms(), None, "the warmup counts nowhere");
        so_far.add(&rows(Scope::Before, 1_000, 98, 0));
        let p99 = so_far.p99_ms().expect("requests ended");
        assert!((1.0..1.2).contains(&p99), "{p99}");
        so_far.add(&rows(Scope::Before, 100_000, 2, 0));
        let p99 = so_far.p99_ms().expect("requests ended");
        assert!((100.0..112.0).contains(&p99), "{p99}");
    }

    #[test]
    fn a_failed_request_was_never_answered() {
        let mut so_far = SoFar::default();
        so_far.add(&rows(Scope::Before, 1_000, 98, 2));
        assert_eq!(so_far.p99_ms(), Some(f64::INFINITY));
    }

    #[test]
    fn the_last_half_minute_is_kept_and_late_answers_belong_to_when_they_were_due() {
        let row = |index, row| Rows { cohort: 0, scope: Scope::Warmup, rows: vec![Row { index, ..row }] };
        let mut so_far = SoFar::default();
        for index in 0..310 {
            so_far.add(&row(index, Row { due: 25, ..Row::default() }));
        }
        assert_eq!(so_far.recent().first().map(|tenth| tenth.index), Some(10));
        let key = FailureKey::new(FailureClass::ResponseTimeout, Disposition::Unanswered);
        let late = Row { ok: 1, max_us: 900, failures: vec![FailureCount { key, n: 2, ends: None }], ..Row::default() };
        so_far.add(&row(20, late.clone()));
        so_far.add(&row(20, Row { ok: 1, max_us: 700, ..Row::default() }));
        so_far.add(&row(3, late));
        let expected = Tenth { index: 20, due: 25, failed: 2, slowest_us: Some(900) };
        assert_eq!(so_far.recent()[10], expected);
        assert_eq!(so_far.recent().len(), 300, "older ones stay away");
    }

    #[test]
    fn the_worst_of_the_queue_is_told_once() {
        let listener = |queued| Listener {
            endpoint: Endpoint::Tcp("127.0.0.1:80".parse().unwrap()),
            inode: 1,
            queued,
            backlog: 8,
            drops: None,
            cookie: None,
        };
        let queue = |queued| Some(Accepting::Queue { queued, backlog: 8 });
        let mut so_far = SoFar::default();
        assert_eq!(so_far.take_accepting(), None, "not seen");
        for queued in [1, 7, 3] {
            so_far.look(&[listener(0), listener(queued)]);
        }
        assert_eq!(so_far.take_accepting(), queue(7));
        so_far.look(&[listener(2)]);
        assert_eq!(so_far.take_accepting(), queue(2));
        assert_eq!(so_far.take_accepting(), queue(2), "no look since");
        so_far.look(&[]);
        so_far.look(&[listener(0)]);
        assert_eq!(so_far.take_accepting(), Some(Accepting::Nobody));
    }
}
