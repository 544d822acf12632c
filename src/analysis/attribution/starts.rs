//! Starts that no event asked for: the first one of a service that its socket starts, one after a crash.

use std::time::Duration;

use super::case::PhaseSpan;
use crate::analysis::timeline::{Timeline, UnitState};
use crate::model::Span;
use crate::model::{ActiveState, MonoTime};
use crate::record::fold::tally::Tally;

/// From when the service was seen not to be up, outside the phases of events that ask for it, until it answered the
/// cohort; in order. One that never did lasts as long as the load.
pub(super) fn unasked(answers: &[MonoTime], timeline: &Timeline<'_>, phases: &[PhaseSpan]) -> Vec<Span> {
    let Some(service) = timeline.service() else { return Vec::new() };
    let states = timeline.states(service, Span::new(timeline.load_start, timeline.load_end));
    let asked: Vec<Span> = phases.iter().filter(|phase| phase.is_asked).map(|phase| phase.span).collect();
    let down = outside(states.iter().filter(|state| is_down(state)).map(|state| state.at), asked);
    if down.is_empty() {
        return Vec::new();
    }
    let mut starts: Vec<Span> = Vec::new();
    let half_width = Duration::from_nanos(timeline.half_width_ns().unsigned_abs());
    for at in down {
        if starts.last().is_none_or(|start| start.to < at) {
            let answered = answers.get(answers.partition_point(|end| *end < at + half_width));
            starts.push(Span::new(at, answered.copied().unwrap_or(timeline.load_end)));
        }
    }
    starts
}

fn is_down(state: &UnitState<'_>) -> bool {
    state.active_state.is_stopped() || *state.active_state == ActiveState::Activating
}

/// The moments, which are in order, that lie in none of the spans.
fn outside(moments: impl Iterator<Item = MonoTime>, mut spans: Vec<Span>) -> Vec<MonoTime> {
    spans.sort_by_key(|span| span.from);
    let mut spans = spans.into_iter().peekable();
    let mut covered_until = None;
    let is_outside = |at: &MonoTime| {
        while let Some(span) = spans.next_if(|span| span.from <= *at) {
            covered_until = covered_until.max(Some(span.to));
        }
        covered_until < Some(*at)
    };
    moments.filter(is_outside).collect()
}

/// When requests of the cohort were answered, in order: the first and the last of each row.
pub(super) fn answers(cohort: u16, tally: &Tally) -> Vec<MonoTime> {
    let rows = tally.windows().filter(|&(of, ..)| of == cohort).flat_map(|(.., window)| window.cells());
    let mut ends: Vec<MonoTime> =
        rows.filter_map(|cell| cell.ok_ends).flat_map(|(first, last)| [first, last]).collect();
    ends.sort_unstable();
    ends
}
