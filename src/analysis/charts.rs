//! What charts draw and `result.json` is too small for: computed from the record, cut down to what an image
//! has room for.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::figures::Figures;
use super::number::{float, ns_to_ms, round3};
use super::timeline::Timeline;
use crate::model::Span;
use crate::model::{EventId, MonoTime, UnitName};
use crate::record::LatencyHistogram;
use crate::record::fold::grain;
use crate::record::fold::window::add_counts;
use crate::record::segment::{FailureSample, ROW_NS, Scope};
use crate::result::charts::{Charts, Column, Curve, EventSpan, FailurePoint, QueueStep, StateSpan, UnitBand};

/// The most columns of the density.
const COLUMNS: u64 = 240;

/// The most failures drawn one by one.
const FAILURES: usize = 1_500;

/// The most steps of the queue's depth.
const QUEUE_STEPS: u64 = 480;

/// The distance that two points of a percentile curve keep, in decades of 1 / (1 - share).
const CURVE_STEP: f64 = 0.01;

/// The charts of a record.
pub(crate) fn charts(facts: &Facts<'_>, whole: &Figures) -> Charts {
    let timeline = &facts.timeline;
    let failures = failures(facts);
    let failures_left_out = whole.requests.failed.saturating_sub(failures.len() as u64);
    let rows = timeline.row_index(timeline.load_end) + 1;
    // Of a long run, whole sums of rows.
    let rows = rows.div_ceil(COLUMNS).max(1).next_multiple_of(grain(rows));
    Charts {
        end_ms: round3(timeline.load_end.millis_since(timeline.origin)),
        column_ms: rows * ROW_NS / 1_000_000,
        columns: columns(facts, rows),
        failures,
        failures_left_out,
        events: events(timeline),
        units: timeline.units().map(|unit| band(timeline, unit)).filter(|band| !band.states.is_empty()).collect(),
        unheard: unheard(timeline),
        queue: queue(timeline),
        backlog: timeline.queue_peak(Span::new(timeline.origin, timeline.load_end)).map(|(_, backlog)| backlog),
        curves: curves(whole),
    }
}

fn columns(facts: &Facts<'_>, rows_per_column: u64) -> Vec<Column> {
    let timeline = &facts.timeline;
    let mut columns = BTreeMap::<u64, Column>::new();
    for (.., window) in facts.tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup) {
        for (index, cell) in window.rows_and_sums() {
            let column = columns.entry(index / rows_per_column).or_default();
            add_counts(&mut column.density, cell.density.iter());
            for (key, n) in cell.failures.iter() {
                *column.losses.entry(key.class).or_default() += n;
            }
            let max_ms = (cell.ok > 0).then(|| round3(ns_to_ms(cell.max_us.saturating_mul(1_000))));
            column.max_ms = [column.max_ms, max_ms].into_iter().flatten().reduce(f64::max);
        }
    }
    let at_ms = |place: u64| round3(timeline.row_span(place * rows_per_column).from.millis_since(timeline.origin));
    columns.into_iter().map(|(place, column)| Column { at_ms: at_ms(place), ..column }).collect()
}

/// The failures to draw, evenly thinned where there are too many.
fn failures(facts: &Facts<'_>) -> Vec<FailurePoint> {
    let counted = facts.tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup);
    let mut samples: Vec<&FailureSample> =
        counted.flat_map(|(.., window)| &window.samples).filter(|sample| !sample.key.class.is_unsent()).collect();
    samples.sort_by_key(|sample| (sample.due, sample.end, sample.key));
    let every = samples.len().div_ceil(FAILURES).max(1);
    let origin = facts.timeline.origin;
    let point = |sample: &&FailureSample| FailurePoint {
        at_ms: round3(sample.due.millis_since(origin)),
        after_ms: round3(ns_to_ms(sample.end.nanos_since(sample.due))),
        class: sample.key.class,
    };
    samples.iter().step_by(every).map(point).collect()
}

fn events(timeline: &Timeline<'_>) -> Vec<EventSpan> {
    let ms = |at: MonoTime| round3(at.millis_since(timeline.origin));
    let number = |EventId(id)| id.saturating_add(1);
    let span = |event: &super::event::Event<'_>| EventSpan {
        event: number(event.begin.event),
        from_ms: ms(event.begin.at),
        to_ms: ms(event.end.map_or(timeline.load_end, |end| end.at)),
    };
    timeline.events.iter().map(span).collect()
}

fn band(timeline: &Timeline<'_>, unit: &UnitName) -> UnitBand {
    let span = Span::new(timeline.origin, timeline.load_end);
    let mut states: Vec<StateSpan> = Vec::new();
    for state in timeline.states(unit, span) {
        let at_ms = round3(state.at.max(span.from).millis_since(timeline.origin));
        if let Some(last) = states.last_mut() {
            if last.active_state == *state.active_state && last.sub_state == state.sub_state {
                continue;
            }
            last.to_ms = at_ms;
        }
        states.push(StateSpan {
            from_ms: at_ms,
            to_ms: round3(span.to.millis_since(timeline.origin)),
            active_state: state.active_state.clone(),
            sub_state: state.sub_state.to_owned(),
        });
    }
    UnitBand { unit: unit.clone(), states }
}

fn unheard(timeline: &Timeline<'_>) -> Vec<(f64, f64)> {
    let ms = |at: MonoTime| {
        round3(at.clamp(timeline.origin, timeline.load_end.max(timeline.origin)).millis_since(timeline.origin))
    };
    let mut spans = Vec::new();
    let mut since = None;
    for queue in timeline.queues() {
        match (since, queue.listeners.is_empty()) {
            (None, true) => since = Some(queue.at),
            (Some(from), false) => {
                spans.push((ms(from), ms(queue.at)));
                since = None;
            }
            _ => {}
        }
    }
    spans.extend(since.map(|from| (ms(from), ms(timeline.load_end))));
    spans.retain(|(from, to)| to > from);
    spans
}

/// The depth of the queue from one look at it to the next, the deepest of each step.
fn queue(timeline: &Timeline<'_>) -> Vec<QueueStep> {
    let span_ns = timeline.load_end.nanos_since(timeline.origin);
    let step_ns = span_ns.div_ceil(QUEUE_STEPS).max(1);
    let mut steps = BTreeMap::<u64, u32>::new();
    let looks = timeline.queues();
    for (place, look) in looks.iter().enumerate() {
        let Some(queued) = look.listeners.iter().map(|listener| listener.queued).max().filter(|&n| n > 0) else {
            continue;
        };
        let until = looks.get(place + 1).map_or(timeline.load_end, |next| next.at);
        if until <= timeline.origin || look.at >= timeline.load_end {
            continue;
        }
        let first = look.at.nanos_since(timeline.origin) / step_ns;
        let last = until.nanos_since(timeline.origin).saturating_sub(1).min(span_ns.saturating_sub(1)) / step_ns;
        for step in first..=last.max(first) {
            let deepest = steps.entry(step).or_default();
            *deepest = queued.max(*deepest);
        }
    }
    let ms = |step: u64| round3(ns_to_ms(step * step_ns));
    steps.into_iter().map(|(step, queued)| QueueStep { from_ms: ms(step), to_ms: ms(step + 1), queued }).collect()
}

fn curves(whole: &Figures) -> Vec<Curve> {
    let mut answered = whole.distributions.ok.clone();
    answered.add(&whole.distributions.wrong);
    let all = curve("all", &whole.distributions.ok, whole.requests.failed);
    [all, curve("answered", &answered, 0), curve("service", &whole.distributions.service, 0)]
        .into_iter()
        .filter(|curve| !curve.points.is_empty())
        .collect()
}

fn curve(name: &'static str, times: &LatencyHistogram, never: u64) -> Curve {
    let total = float(times.len() + never);
    let (mut points, mut seen, mut drawn) = (Vec::new(), 0, f64::NEG_INFINITY);
    for (ns, n) in times.iter() {
        seen += n;
        // The slowest of all stands half a request before the end: at the end itself the scale is infinite.
        let share = (float(seen) - 0.5) / total;
        let decades = -(1.0 - share).log10();
        if decades - drawn >= CURVE_STEP || seen == times.len() {
            points.push((share, ns_to_ms(ns.min(times.max_ns()))));
            drawn = decades;
        }
    }
    Curve { name, points, never_from: (never > 0 && total > 0.0).then(|| float(times.len()) / total) }
}

#[cfg(test)]
mod tests {
    use super::super::analyse;
    use super::super::simulator::stories;
    use super::*;

    #[test]
    fn every_request_of_the_run_is_in_one_column() {
        for story in [stories::plain_restart(), stories::socket_restart()] {
            let result = analyse(&story.record());
            let columns = &result.charts.columns;
            let ok: u64 = columns.iter().flat_map(|column| column.density.values()).sum();
            let lost: u64 = columns.iter().flat_map(|column| column.losses.values()).sum();
            assert_eq!((ok, lost), (result.requests.ok, result.requests.failed));
        }
    }

    #[test]
    fn every_failure_is_a_point_or_counted_as_left_out() {
        let mut story = stories::plain_restart();
        assert_eq!(analyse(&story.record()).charts.failures.len(), 72);
        let one = *story.requests.iter().find(|request| request.fate.is_err()).expect("some failed");
        story.requests.extend(std::iter::repeat_n(one, 3_000));
        let result = analyse(&story.record());
        let drawn = result.charts.failures.len();
        assert!((500..=FAILURES).contains(&drawn), "{drawn}");
        assert_eq!(drawn as u64 + result.charts.failures_left_out, 3_072);
    }

    #[test]
    fn the_listener_s_absence_is_a_span() {
        let charts = analyse(&stories::plain_restart().record()).charts;
        assert_eq!(charts.unheard, [(520.0, 800.0), (3_020.0, 3_300.0)]);
        let charts = analyse(&stories::socket_restart().record()).charts;
        assert!(charts.unheard.is_empty());
        assert_eq!(charts.queue.iter().map(|step| step.queued).max(), Some(31));
        assert_eq!(charts.backlog, Some(128));
    }

    #[test]
    fn a_curve_ends_where_requests_were_never_answered() {
        let charts = analyse(&stories::plain_restart().record()).charts;
        let all = charts.curves.iter().find(|curve| curve.name == "all").expect("drawn");
        assert_eq!(all.never_from, Some(616.0 / 688.0));
        assert!(all.points.iter().all(|&(share, _)| share < 616.0 / 688.0));
        let answered = charts.curves.iter().find(|curve| curve.name == "answered").expect("drawn");
        assert_eq!(answered.never_from, None);
        let (share, ms) = *answered.points.last().expect("drawn");
        assert_eq!(
            (share, Some(round3(ms))),
            ((616.0 - 0.5) / 616.0, analyse(&stories::plain_restart().record()).latency_ms.answered.max)
        );
    }
}
