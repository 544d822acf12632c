//! When a cohort was served again as before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::window::Cell;
use crate::record::segment::density_floor_us;

/// A second, in rows: recovery is judged over this number in a row.
pub(crate) const ROWS_PER_SECOND: u64 = 10;

/// The p99 that counts as recovered, for that p99 in the warmup.
#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 ns")]
pub(super) fn recovered_p99_ms(baseline_ns: u64) -> f64 {
    let baseline_ms = baseline_ns as f64 / 1e6;
    (2.0 * baseline_ms).max(baseline_ms + 10.0)
}

/// The first of the rows `first` to `last` that a second without failures starts with whose p99 is at most `limit_ms`.
/// Where nothing fell due for long, as in a record that says of itself that it lasted for weeks, only seconds that have
/// a row are looked at.
pub(super) fn recovered_from(rows: &BTreeMap<u64, Cow<'_, Cell>>, first: u64, last: u64, limit_ms: f64) -> Option<u64> {
    let mut start = first;
    loop {
        let (&next, _) = rows.range(start..).next()?;
        start = start.max(next.saturating_sub(ROWS_PER_SECOND - 1));
        if start > last || is_recovered(rows, start, limit_ms) {
            return (start <= last).then_some(start);
        }
        start += 1;
    }
}

fn is_recovered(rows: &BTreeMap<u64, Cow<'_, Cell>>, start: u64, limit_ms: f64) -> bool {
    let mut second = Cell::default();
    rows.range(start..start + ROWS_PER_SECOND).for_each(|(_, cell)| second.add(cell));
    let all_ok = second.ok > 0 && second.ok == second.ended() && second.due <= second.ended();
    all_ok && coarse_p99_ms(&second) <= limit_ms
}

/// The upper edge of the density bucket that p99 falls into: at most an eighth too high.
#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 ns")]
fn coarse_p99_ms(cell: &Cell) -> f64 {
    let rank = cell.ok.saturating_mul(99).div_ceil(100);
    let mut seen = 0;
    let bucket = cell.density.iter().find(|&(_, n)| {
        seen += n;
        seen >= rank
    });
    let edge_us =
        bucket.map_or(u64::MAX, |(bucket, _)| if bucket < 511 { density_floor_us(bucket + 1) } else { u64::MAX });
    edge_us.min(cell.max_us).saturating_mul(1_000) as f64 / 1e6
}
