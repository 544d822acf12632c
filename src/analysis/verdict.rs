//! The verdict and its reasons.

use super::checks::{Judged, Weight};
use super::describe;
use super::facts::Facts;
use super::figures::Figures;
use super::number::ns_to_ms;
use super::result::StepResult;
use super::sight;
use super::words;
use crate::model::Verdict;
use crate::record::line::{Line, Note, NoteKind};
use crate::scenario::plan::MaxUnseen;

/// What the checks and the notes of doubt come to: a loss, a failed step or a wrong state is failed, whatever
/// else; then any doubt is inconclusive; then any other expectation that does not hold is failed.
pub(crate) fn verdict(checks: &[Judged], doubts: &[&Note]) -> Verdict {
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
    if steps.iter().all(|step| step.events == 0) && figures.requests.due > 0 {
        reasons.push(without_steps(figures));
    }
    reasons.extend(steps.iter().filter_map(|step| confidence(step, facts)));
    if reasons.is_empty() {
        // No step acted on a unit: there is no chance to put a figure to.
        reasons.push(format!("None of {} {} failed.", figures.requests.due, words::requests(figures.requests.due)));
    }
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

/// What the events of an acting step show, and how sure that is.
fn confidence(result: &StepResult, facts: &Facts<'_>) -> Option<String> {
    let index = u16::try_from(result.step.checked_sub(1)?).ok()?;
    let step = facts.timeline.plan.steps.get(usize::from(index))?;
    if !facts.timeline.events.iter().any(|event| event.begin.step == index && event.is_acting()) {
        return None;
    }
    let (bad, all) = (result.events_with_drops, describe::times(result.events, step));
    if bad > 0 {
        return Some(format!("{bad} of {all} dropped something."));
    }
    let percent = result.drop_probability_upper_95? * 100.0;
    let listener = listener(index, result, facts).unwrap_or_default();
    Some(format!("0 of {all} dropped anything: at 95 % confidence fewer than {percent:.1} % do{listener}."))
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
    let stayed = |to| events().all(|event| timeline.trace.never_left_listen(to, event.span()));
    timeline.plan.cohorts.iter().all(|cohort| stayed(&cohort.target.connect))
}
