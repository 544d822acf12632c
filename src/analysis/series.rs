//! The run over time, for charts.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::number::{ns_to_ms, round3};
use crate::model::FailureClass;
use crate::record::fold::grain;
use crate::record::fold::window::Cell;
use crate::record::segment::Scope;
use crate::result::{Series, SeriesPoint};

/// One point for each step in which a counted request fell due or ended.
pub(crate) fn series(facts: &Facts<'_>) -> Series {
    let timeline = &facts.timeline;
    let per_point = grain(timeline.row_index(timeline.load_end) + 1);
    let mut sums = BTreeMap::<u64, Sums>::new();
    for (.., window) in facts.tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup) {
        for (index, cell) in window.rows_and_sums() {
            sums.entry(index / per_point).or_default().add(cell);
        }
    }
    let at_ms = |place: u64| timeline.row_span(place * per_point).from.millis_since(timeline.origin);
    let point = |(&place, sums): (&u64, &Sums)| SeriesPoint {
        at_ms: round3(at_ms(place)),
        due: sums.due.max(sums.ended),
        ok: sums.ok,
        dropped: sums.dropped,
        wrong: sums.wrong,
        max_ms: (sums.ok > 0).then(|| round3(ns_to_ms(sums.max_us.saturating_mul(1_000)))),
    };
    Series { step_ms: u32::try_from(per_point * 100).unwrap_or(u32::MAX), points: sums.iter().map(point).collect() }
}

/// What a point shows of its rows: much less than they hold.
#[derive(Default)]
struct Sums {
    due: u64,
    ended: u64,
    ok: u64,
    dropped: u64,
    wrong: u64,
    max_us: u64,
}

impl Sums {
    fn add(&mut self, cell: &Cell) {
        self.due += cell.due;
        self.ended += cell.ended();
        self.ok += cell.ok;
        self.dropped += cell.count(FailureClass::is_dropped);
        self.wrong += cell.count(FailureClass::is_wrong);
        self.max_us = self.max_us.max(cell.max_us);
    }
}
