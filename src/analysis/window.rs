//! The times of one cohort in one window: outage, recovery, boot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::{ns_to_ms, span_ms};
use super::timeline::{Span, Timeline};
use crate::model::MonoTime;
use crate::record::fold::tally::{Cell, Window};
use crate::record::segment::density_floor_us;

/// A second, in rows: recovery is judged over so many in a row.
const ROWS_PER_SECOND: u64 = 10;

/// From the first failed due time to the end of the first `ok`, by due time, after which nothing failed: 0 if
/// nothing failed, infinite if no such `ok` came. None if a failure has no due time.
pub(crate) fn outage_ms(rows: &BTreeMap<u64, Cell>) -> Option<f64> {
    if rows.values().all(|cell| cell.failed() == 0) {
        return Some(0.0);
    }
    let first = rows.values().filter_map(|cell| cell.failed_due).map(|(first, _)| first).min()?;
    let (&row, last) =
        rows.iter().filter_map(|(row, cell)| Some((row, cell.failed_due?.1))).max_by_key(|&(_, at)| at)?;
    let lasting = rows.range(row..).find_map(|(&index, cell)| {
        let known = cell.lasting_oks.iter().find(|(due, _)| *due > last).map(|&(_, end)| end);
        known.or_else(|| cell.ok_ends.filter(|_| index > row).map(|(end, _)| end))
    });
    Some(lasting.map_or(f64::INFINITY, |end| span_ms(first, end)))
}

/// The latency of the first request: infinite if it failed, none if it never ended. Where the first row has failures
/// and begins with an `ok`, only the slowest of that row is known: a row whose requests all wait for the same boot has
/// its slowest first.
pub(crate) fn cold_start_ms(rows: &BTreeMap<u64, Cow<'_, Cell>>) -> Option<f64> {
    let (_, first) = rows.first_key_value()?;
    if first.ended() == 0 {
        return None;
    }
    let failed = first.failed_due.map(|(due, _)| due);
    let known = first.lasting_oks.first().filter(|(due, _)| failed.is_none_or(|failed| *due < failed));
    if let Some(&(due, end)) = known {
        return Some(span_ms(due, end));
    }
    let slowest = first.slowest.filter(|(due, _)| failed.is_none_or(|failed| *due < failed));
    Some(slowest.map_or(f64::INFINITY, |(due, end)| span_ms(due, end)))
}

/// The p99 that counts as recovered, for a p99 of `baseline_ms` in the warmup.
pub(crate) fn recovered_p99_ms(baseline_ms: f64) -> f64 {
    (2.0 * baseline_ms).max(baseline_ms + 10.0)
}

/// From the beginning of `window` until a second without failures whose p99 is at most `limit_ms` began.
/// Infinite if none did, none if the window has not one whole second.
pub(crate) fn recovery_ms(
    rows: &BTreeMap<u64, Cow<'_, Cell>>,
    timeline: &Timeline<'_>,
    window: Span,
    limit_ms: f64,
) -> Option<f64> {
    let first = timeline.row_index(window.from);
    // The row that the window's end falls into is not whole.
    let end = timeline.row_index(window.to);
    let last_start = end.checked_sub(ROWS_PER_SECOND).filter(|&last| last >= first)?;
    let start = recovered_from(rows, first, last_start, limit_ms);
    Some(start.map_or(f64::INFINITY, |start| span_ms(window.from, timeline.row_span(start).from)))
}

/// The first of the rows `first` to `last` that a recovered second starts with. Where nothing fell due for long, as in a
/// record that says of itself that it lasted for weeks, only seconds that have a row are looked at.
fn recovered_from(rows: &BTreeMap<u64, Cow<'_, Cell>>, first: u64, last: u64, limit_ms: f64) -> Option<u64> {
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
fn coarse_p99_ms(cell: &Cell) -> f64 {
    let rank = cell.ok.saturating_mul(99).div_ceil(100);
    let mut seen = 0;
    let bucket = cell.density.iter().find(|&(_, n)| {
        seen += n;
        seen >= rank
    });
    let edge_us =
        bucket.map_or(u64::MAX, |(bucket, _)| if bucket < 511 { density_floor_us(bucket + 1) } else { u64::MAX });
    ns_to_ms(edge_us.min(cell.max_us).saturating_mul(1_000))
}

/// When the first `ok` at or after `at` ended, in the window of one cohort.
pub(crate) fn first_ok_end(window: &Window, at: MonoTime) -> Option<MonoTime> {
    let ends = window.rows.values().filter_map(|cell| cell.ok_ends);
    // A row knows its first and its last end only; the true one is no later than the one found here.
    let by_rows = ends.filter_map(|(first, last)| [first, last].into_iter().find(|&end| end >= at)).min()?;
    let by_gap = window.gaps.iter().find(|gap| gap.from < at && at <= gap.to).map(|gap| gap.to);
    Some(by_gap.map_or(by_rows, |gap| gap.min(by_rows)))
}
