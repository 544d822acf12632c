//! The verdict and its reasons.

use super::checks::{Judged, Weight};
use super::event::Event;
use super::facts::Facts;
use super::figures::Figures;
use super::number::ns_to_ms;
use super::shards;
use super::sight;
use super::timeline::UnitState;
use super::words;
use crate::model::{ActionKind, FailureClass, Span, UnitKind, Verdict};
use crate::record::fold::window::{Cell, Window};
use crate::record::line::{EndReason, Line, Note, NoteKind};
use crate::record::segment::Scope;
use crate::result::StepResult;
use crate::scenario::describe;
use crate::scenario::plan::MaxUnseen;

/// What the checks and the notes of doubt come to: a loss, a failed step or a wrong state is failed, whatever
/// else; then any doubt is inconclusive; then any other expectation that does not hold is failed. Where the machine of the
/// units was lost, or a twin was full, nothing is held against them.
pub(crate) fn verdict(facts: &Facts<'_>, checks: &[Judged], doubts: &[&Note]) -> Verdict {
    if facts.record.end.as_ref().is_some_and(|end| matches!(end.reason, EndReason::Lost(_) | EndReason::Full(_))) {
        return Verdict::Inconclusive;
    }
    let has = |status, weight| checks.iter().any(|judged| judged.check.status == status && judged.weight == weight);
    if has(Verdict::Failed, Weight::Decisive) {
        return Verdict::Failed;
    }
    if !doubts.is_empty() || checks.iter().any(|judged| judged.check.status == Verdict::Inconclusive) {
        return Verdict::Inconclusive;
    }
    if has(Verdict::Failed, Weight::Ordinary) { Verdict::Failed } else { Verdict::Passed }
}

/// The notes that forbid a plain word.
pub(crate) fn doubts<'a>(facts: &Facts<'a>) -> Vec<&'a Note> {
    let notes = facts.record.lines.iter().filter_map(|line| match line {
        Line::Note(note) => Some(note),
        _ => None,
    });
    notes.filter(|note| note.kind == NoteKind::Doubt).collect()
}

/// Why, in full sentences: what failed, then what is in doubt, then what was shown.
pub(crate) fn reasons(
    facts: &Facts<'_>,
    figures: &Figures,
    steps: &[StepResult],
    checks: &[Judged],
    doubts: &[&Note],
) -> Vec<String> {
    let of = |status, weight| {
        let wanted = move |judged: &&Judged| judged.check.status == status && judged.weight == weight;
        // The bounds of a gate are explained by their step.
        checks.iter().filter(wanted).map(|judged| judged.reason.clone()).filter(|reason| !reason.is_empty())
    };
    let mut reasons: Vec<String> = of(Verdict::Failed, Weight::Decisive).collect();
    if figures.requests.failed > 0 {
        // A pass with losses is the first thing to explain.
        reasons.push(causes(figures, reasons.is_empty()));
    }
    reasons.extend(of(Verdict::Failed, Weight::Ordinary));
    reasons.extend(of(Verdict::Inconclusive, Weight::Decisive));
    reasons.extend(of(Verdict::Inconclusive, Weight::Ordinary));
    reasons.extend(doubts.iter().map(|note| words::sentence(&note.message)));
    let shard = shards::reason(facts);
    if shard.is_none() {
        if steps.iter().all(|step| step.events == 0) && figures.requests.due > 0 {
            reasons.push(without_steps(figures));
        }
        reasons.extend(steps.iter().filter_map(|step| confidence(step, facts)));
    }
    reasons.extend(facts.timeline.events.iter().filter_map(|event| came_to_nothing(event, facts)));
    if reasons.is_empty() {
        // No step acted on a unit: there is no chance to put a figure to.
        reasons.push(format!("None of {} {} failed.", figures.requests.due, words::requests(figures.requests.due)));
    }
    reasons.extend(shard);
    if facts.timeline.plan.run.max_unseen == MaxUnseen::Off {
        reasons.push("max_unseen is none: a listener gap of any length may have gone unseen.".to_owned());
    }
    reasons
}

fn causes(figures: &Figures, is_allowed: bool) -> String {
    let mut causes: Vec<_> = figures.causes.iter().collect();
    causes.sort_by_key(|&(cause, n)| (std::cmp::Reverse(n), cause));
    let parts: Vec<String> = causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect();
    let (failed, due) = (figures.requests.failed, figures.requests.due);
    if is_allowed {
        let requests = words::requests(due);
        return format!("{failed} of {due} {requests} failed, as the scenario allows; by cause: {}.", parts.join(", "));
    }
    format!("{failed} {} failed, by cause: {}.", words::requests(failed), parts.join(", "))
}

fn without_steps(figures: &Figures) -> String {
    let (due, dropped) = (figures.requests.due, figures.dropped());
    format!(
        "{dropped} of {due} {} dropped, with nothing done to the service.",
        if due == 1 { "request was" } else { "requests were" }
    )
}

/// This number of events without a drop bounds its probability by 5 % at 95 % confidence: 0.95^59 < 0.05.
const CLEAN_FOR_5_PERCENT: u32 = 59;

/// What the events of an acting step show, and how sure that is.
fn confidence(result: &StepResult, facts: &Facts<'_>) -> Option<String> {
    let index = u16::try_from(result.step.checked_sub(1)?).ok()?;
    let step = facts.timeline.plan.steps.get(usize::from(index))?;
    let acting = facts.timeline.events.iter().filter(|event| event.begin.step == index && event.is_acting());
    let acting: Vec<_> = acting.map(|event| event.begin.event).collect();
    if acting.is_empty() {
        return None;
    }
    let done = u32::try_from(acting.len()).unwrap_or(u32::MAX);
    let (bad, all) = (result.events_with_drops, describe::times(done, step));
    if bad > 0 {
        return Some(format!("{bad} of {all} dropped something."));
    }
    let percent = result.drop_probability_upper_95? * 100.0;
    let listener = listener(index, result, facts).unwrap_or_default();
    let is_wrong = |cell: &Cell| cell.count(FailureClass::is_wrong) > 0;
    let wrong = acting
        .iter()
        .filter(|&&event| facts.tally.windows_of(Scope::Event(event)).flat_map(Window::cells).any(is_wrong));
    let shown = format!("at 95 % confidence fewer than {percent:.1} % drop anything");
    let clean = match (wrong.count(), done) {
        (0, 1) => format!("1 of {all} was clean: {shown}"),
        (0, _) => format!("{done} of {all} were clean: {shown}"),
        (wrong, _) => {
            return Some(format!("{wrong} of {all} had wrong answers and none dropped anything: {shown}{listener}."));
        }
    };
    let more = (done < CLEAN_FOR_5_PERCENT)
        .then(|| format!("; {CLEAN_FOR_5_PERCENT} clean ones in a row would show that fewer than 5 % do"));
    Some(format!("{clean}{}{listener}.", more.unwrap_or_default()))
}

/// That an action had nothing to do, or was undone by the unit's socket.
fn came_to_nothing(event: &Event<'_>, facts: &Facts<'_>) -> Option<String> {
    let unit = event.begin.unit.as_ref()?;
    if event.is_skipped() {
        return Some(format!("{} was skipped: the unit was not active.", words::event(event)));
    }
    let timeline = &facts.timeline;
    let socket = timeline.socket()?;
    if event.begin.action != ActionKind::Stop || unit.kind() != UnitKind::Service {
        return None;
    }
    let next = timeline.events.iter().find(|next| next.begin.at > event.begin.at && next.is_acting());
    let span = Span::new(event.begin.at, next.map_or(timeline.load_end, |next| next.begin.at));
    let is_up = |unit, span| timeline.states(unit, span).last().is_some_and(UnitState::is_active);
    let has_stopped = timeline.states(unit, span).iter().any(|state| !state.is_active());
    let is_another = event.unit_pair().is_some_and(|(before, after)| before.invocation_id != after.invocation_id);
    ((has_stopped || is_another) && is_up(unit, span) && is_up(socket, span)).then(|| {
        format!(
            "{} was undone: {socket} started the service again at the next connection. Stop {socket} as well to keep it down.",
            words::event(event)
        )
    })
}

/// What is known of the listener during the step's events; nothing more where that is in doubt, which is said elsewhere.
fn listener(index: u16, result: &StepResult, facts: &Facts<'_>) -> Option<String> {
    let unseen = |ms: f64| format!("; a gap in the listener of less than {ms:.1} ms may have gone unseen");
    if never_left_listen(index, facts) {
        return Some("; the listener never left TCP_LISTEN, attested by the kernel's trace".to_owned());
    }
    match sight::of_step(index, facts) {
        None => result.resolution_ms.map(unseen),
        Some(sight) => (sight.doubts.is_empty() && sight.unseen_ns > 0).then(|| unseen(ns_to_ms(sight.unseen_ns))),
    }
}

/// By the kernel's trace, somebody listened at every address of the load all through the step's events.
fn never_left_listen(step: u16, facts: &Facts<'_>) -> bool {
    let timeline = &facts.timeline;
    let events = || timeline.events.iter().filter(|event| event.begin.step == step);
    let stayed = |to| events().all(|event| timeline.trace.never_left_listen(to, timeline.there(event.span())));
    timeline.plan.cohorts.iter().all(|cohort| stayed(&cohort.target.connect))
}
