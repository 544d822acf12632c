//! Everything that is known of a record before anything is judged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::attribution::Attribution;
use super::event::Event;
use super::figures::Part;
use super::generator::InDoubt;
use super::number::{ns_to_ms, span_ms};
use super::timeline::Timeline;
use super::unframed;
use super::window::{cold_start_ms, first_ok_end, outage_ms, recovery_ms};
use crate::model::{ActionKind, EventId, FailureClass, Span};
use crate::record::Record;
use crate::record::fold::tally::{Group, Tally};
use crate::record::fold::window::{Cell, Window};
use crate::record::gate::GateOutcome;
use crate::record::line::{EndReason, Line};
use crate::record::segment::Scope;

/// Everything that is known of a record.
pub(crate) struct Facts<'a> {
    pub(crate) record: &'a Record,
    pub(crate) timeline: Timeline<'a>,
    pub(crate) tally: Cow<'a, Tally>,
    pub(crate) attribution: Attribution,
    /// By cohort and scope.
    pub(crate) times: BTreeMap<(u16, Scope), Times>,
    /// Latency of the first request, by cohort, in milliseconds; infinite if it was never answered. Empty after a
    /// warmup: the service was warm then.
    pub(crate) cold_starts: BTreeMap<u16, f64>,
    /// Requests that fell due and never ended, by cohort.
    pub(crate) unended: BTreeMap<u16, u64>,
    /// Cohorts with a row whose counts are not of the same requests.
    pub(crate) at_odds: Vec<u16>,
    /// Failures that may be the generator's own doing.
    pub(crate) in_doubt: InDoubt,
    /// What the gate of an event came to; an event that is no gate, or was over before it was judged, has none.
    pub(crate) gates: BTreeMap<EventId, &'a GateOutcome>,
}

/// The times of one cohort in one window, in milliseconds: infinite is what never ended, none what was not measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) stall: Option<f64>,
    pub(crate) outage: Option<f64>,
    pub(crate) recovery: Option<f64>,
    pub(crate) first_ok: Option<f64>,
    pub(crate) boot: Option<f64>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(record: &'a Record) -> Self {
        let timeline = Timeline::of(record);
        let mut tally = Cow::Borrowed(&record.tally);
        unframed::count_cut_short(&mut tally, &timeline);
        let attribution = Attribution::of(&tally, &timeline);
        let in_doubt = InDoubt::of(&tally, &timeline);
        let (mut times, mut unended, mut cold_starts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut at_odds = Vec::new();
        for (cohort, of_plan) in (0_u16..).zip(&timeline.plan.cohorts) {
            let rows = tally.counted_rows(cohort);
            let of_cohort = times_of(cohort, &rows, &tally, &timeline);
            times.extend(of_cohort.into_iter().map(|(scope, found)| ((cohort, scope), found)));
            let parts = tally.counted_parts(cohort);
            let (due, ended) = parts.iter().fold((0, 0), |(due, ended), part| (due + part.due, ended + part.ended()));
            unended.insert(cohort, u64::saturating_sub(due, ended));
            let has_status = of_plan.target.scheme.speaks_http();
            if parts.iter().any(|part| !part.adds_up(has_status)) {
                at_odds.push(cohort);
            }
            if timeline.plan.run.warmup.is_zero() {
                cold_starts.extend(cold_start_ms(&rows).map(|ms| (cohort, ms)));
            }
        }
        let gates = gates(record);
        Self { record, timeline, tally, attribution, times, cold_starts, unended, at_odds, in_doubt, gates }
    }

    pub(crate) fn group(&self, scope: Scope) -> Group {
        self.tally.group(scope)
    }

    /// Whether the run was ended from outside of its steps: by the user, or by `[run] abort`.
    pub(crate) fn was_cut_short(&self) -> bool {
        let cut_short = |reason: &EndReason| matches!(reason, EndReason::Interrupted | EndReason::Stopped(_));
        self.record.end.as_ref().is_some_and(|end| cut_short(&end.reason))
    }

    /// The deepest accept queue of a part of the run.
    pub(crate) fn queue_peak(&self, part: Part) -> Option<u32> {
        let (timeline, plan) = (&self.timeline, self.timeline.plan);
        let events = timeline.events.iter().filter(|event| part.holds_group(Group::Step(event.begin.step), plan));
        let before = part.holds_group(Group::Before, plan).then(|| {
            let first = timeline.events.first().map_or(timeline.load_end, |event| event.begin.at);
            Span::new(timeline.origin, first)
        });
        before
            .into_iter()
            .chain(events.map(Event::span))
            .filter_map(|span| timeline.queue_peak(span))
            .max()
            .map(|(queued, _)| queued)
    }

    /// Requests that were dropped in a window.
    pub(crate) fn dropped_in(&self, scope: Scope) -> u64 {
        let cells = self.tally.windows_of(scope).flat_map(Window::cells);
        cells.map(|cell| cell.count(FailureClass::is_dropped)).sum()
    }

    /// Whether all that failed in `span` may be the generator's own doing, and something did.
    pub(crate) fn all_own_in(&self, span: Span) -> bool {
        let is_counted = |scope: Scope| scope != Scope::Warmup;
        let (mut own, mut others) = (0, 0);
        for (cohort, _, window) in self.tally.windows().filter(|&(_, scope, _)| is_counted(scope)) {
            let Some(of_plan) = self.timeline.plan.cohorts.get(usize::from(cohort)) else { continue };
            for (&row, cell) in &window.rows {
                let due = self.timeline.row_span(row);
                for (key, n) in cell.failures.iter().filter(|_| span.holds(due.from)) {
                    let is_own = [FailureClass::LocalPort, FailureClass::LocalFd].contains(&key.class)
                        || self.timeline.generator.may_have_caused(key, &of_plan.target, due);
                    *(if is_own { &mut own } else { &mut others }) += n;
                }
            }
        }
        own > 0 && others == 0
    }

    /// Requests that fell due in the window of an event.
    pub(crate) fn due_in(&self, event: EventId) -> u64 {
        let windows = self.tally.windows_of(Scope::Event(event));
        windows.flat_map(Window::cells).map(|cell| cell.due).sum()
    }
}

/// Until the first `ok` after the action. A command acts when the old main process goes: what was answered before
/// tells nothing of it.
fn first_ok_ms(window: &Window, event: &Event<'_>) -> f64 {
    let gone = event.gone_at().filter(|_| event.begin.action == ActionKind::Exec);
    let first = match gone {
        Some(gone) => first_ok_end(window, gone).map(|end| span_ms(gone, end)),
        None => window.first_ok.map(|ok| span_ms(event.begin.at, ok.end)),
    };
    first.unwrap_or(f64::INFINITY)
}

fn gates(record: &Record) -> BTreeMap<EventId, &GateOutcome> {
    let mut gates = BTreeMap::new();
    for line in &record.lines {
        if let Line::Gate(outcome) = line {
            gates.entry(outcome.event).or_insert(outcome);
        }
    }
    gates
}

fn times_of(
    cohort: u16,
    rows: &BTreeMap<u64, Cow<'_, Cell>>,
    tally: &Tally,
    timeline: &Timeline<'_>,
) -> BTreeMap<Scope, Times> {
    let limit_ms = tally.recovered_limit_ms(cohort);
    let mut times = BTreeMap::new();
    for (_, scope, window) in tally.windows().filter(|&(of, scope, _)| of == cohort && scope != Scope::Warmup) {
        let stall = window.longest_gap_ns().map(ns_to_ms);
        times.insert(scope, Times { stall, outage: outage_ms(window), ..Times::default() });
    }
    for event in &timeline.events {
        let scope = Scope::Event(event.begin.event);
        let Some(window) = tally.window(cohort, scope) else { continue };
        let entry = times.entry(scope).or_default();
        entry.first_ok = Some(first_ok_ms(window, event));
        entry.recovery = limit_ms.and_then(|limit| recovery_ms(rows, (cohort, event), tally, timeline, limit));
        entry.boot = event
            .started_at()
            .map(|started| first_ok_end(window, started).map_or(f64::INFINITY, |end| span_ms(started, end)));
    }
    times
}
