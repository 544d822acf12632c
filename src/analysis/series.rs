//! The run second by second, for charts.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::number::{ns_to_ms, round3};
use super::result::SeriesPoint;
use super::tally::Cell;
use crate::model::FailureClass;
use crate::record::segment::Scope;

/// Rows to a point.
const ROWS_PER_POINT: u64 = 10;

/// One point for each second in which a counted request fell due.
pub(crate) fn series(facts: &Facts<'_>) -> Vec<SeriesPoint> {
    let mut seconds = BTreeMap::<u64, Cell>::new();
    for (.., window) in facts.tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup) {
        for (index, cell) in &window.rows {
            seconds.entry(index / ROWS_PER_POINT).or_default().add(cell);
        }
    }
    let point = |(second, cell): (&u64, &Cell)| SeriesPoint {
        at_ms: round3(facts.timeline.row_span(second * ROWS_PER_POINT).from.millis_since(facts.timeline.origin)),
        due: cell.due.max(cell.ended()),
        ok: cell.ok,
        dropped: cell.count(FailureClass::is_dropped),
        wrong: cell.count(FailureClass::is_wrong),
        max_ms: (cell.ok > 0).then(|| round3(ns_to_ms(cell.max_us.saturating_mul(1_000)))),
    };
    seconds.iter().map(point).collect()
}
