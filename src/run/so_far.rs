//! The latency of the run so far, for whoever watches it.

use std::collections::BTreeMap;

use crate::record::segment::{Rows, Scope, density_floor_us};

/// Counted requests by latency, to 9 %: what the rows of the load tell, a second at a time.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    density: BTreeMap<u16, u64>,
    ok: u64,
    failed: u64,
}

impl SoFar {
    /// Adds what the load handed over.
    pub(super) fn add(&mut self, rows: &Rows) {
        if rows.scope == Scope::Warmup {
            return;
        }
        for row in &rows.rows {
            self.ok += row.ok;
            let failed = row.failures.iter().filter(|failure| !failure.key.class.is_unsent());
            self.failed += failed.map(|failure| failure.n).sum::<u64>();
            for &(bucket, n) in &row.density {
                *self.density.entry(bucket).or_default() += u64::from(n);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Disposition, FailureClass, FailureKey};
    use crate::record::segment::{FailureCount, Row, density_bucket};

    fn rows(scope: Scope, latency_us: u64, ok: u32, failed: u64) -> Rows {
        let key = FailureKey {
            class: FailureClass::Refused,
            disposition: Disposition::Unsent,
            reused: false,
            status: None,
            errno: None,
            tls: None,
        };
        let row = Row {
            ok: u64::from(ok),
            density: vec![(density_bucket(latency_us), ok)],
            failures: vec![FailureCount { key, n: failed }],
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
}
