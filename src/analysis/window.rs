//! The times of one cohort in one window: outage, recovery, boot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::event::Event;
use super::number::span_ms;
use super::timeline::Timeline;
use crate::model::MonoTime;
use crate::record::fold::ROWS_PER_SECOND;
use crate::record::fold::tally::Tally;
use crate::record::fold::window::{Cell, Window};

/// From the first failed due time to the end of the first `ok`, by due time, after which nothing failed: 0 if
/// nothing failed, infinite if no such `ok` came. None if a failure has no due time.
pub(crate) fn outage_ms(window: &Window) -> Option<f64> {
    if window.cells().all(|cell| cell.failed() == 0) {
        return Some(0.0);
    }
    let first = window.cells().filter_map(|cell| cell.failed_due).map(|(first, _)| first).min()?;
    let mut cells: Vec<(u64, &Cell)> = window.rows_and_sums().collect();
    cells.sort_by_key(|&(row, _)| row);
    let (row, last) =
        cells.iter().filter_map(|(row, cell)| Some((*row, cell.failed_due?.1))).max_by_key(|&(_, at)| at)?;
    let lasting = cells.iter().filter(|(index, _)| *index >= row).find_map(|&(index, cell)| {
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

/// From the beginning of an event until a second without failures whose p99 is at most `limit_ms` began.
/// Infinite if none did, none if its window has not one whole second.
pub(crate) fn recovery_ms(
    rows: &BTreeMap<u64, Cow<'_, Cell>>,
    (cohort, event): (u16, &Event<'_>),
    tally: &Tally,
    timeline: &Timeline<'_>,
    limit_ms: f64,
) -> Option<f64> {
    let window = event.span();
    let first = timeline.row_index(window.from);
    // The row that the window's end falls into is not whole.
    let end = timeline.row_index(window.to);
    let last_start = end.checked_sub(ROWS_PER_SECOND).filter(|&last| last >= first)?;
    let start = tally.recovered((cohort, event.begin.event), rows, (first, last_start), limit_ms);
    Some(start.map_or(f64::INFINITY, |start| span_ms(window.from, timeline.row_span(start).from)))
}

/// When the first `ok` at or after `at` ended, in the window of one cohort.
pub(crate) fn first_ok_end(window: &Window, at: MonoTime) -> Option<MonoTime> {
    let ends = window.cells().filter_map(|cell| cell.ok_ends);
    // A row knows its first and its last end only; the true one is no later than the one found here.
    let by_rows = ends.filter_map(|(first, last)| [first, last].into_iter().find(|&end| end >= at)).min()?;
    let by_gap = window.gaps.iter().find(|gap| gap.from < at && at <= gap.to).map(|gap| gap.to);
    Some(by_gap.map_or(by_rows, |gap| gap.min(by_rows)))
}
