//! Steps: whether each was done as often as it was to be, was seen to happen, and had requests.

use super::{Judged, passed_or};
use crate::analysis::event::Event;
use crate::analysis::events::proven;
use crate::analysis::facts::Facts;
use crate::analysis::number::ns_to_ms;
use crate::analysis::{sight, step_gate, unframed, words};
use crate::model::Span;
use crate::model::{ActionKind, JobResult, Verdict};
use crate::record::line::EndReason;
use crate::scenario::describe;
use crate::scenario::plan::{MaxUnseen, Step};

/// What is to be said of each step, in their order.
pub(super) fn steps(facts: &Facts<'_>) -> Vec<Judged> {
    let plan = facts.timeline.plan;
    let mut checks = Vec::new();
    for (index, step) in (0_u16..).zip(&plan.steps) {
        let kind = step.action.kind();
        let is_alone = plan.steps.iter().filter(|other| other.action.kind() == kind).count() == 1;
        let suffix = if is_alone { kind.name().to_owned() } else { format!("{}.{}", kind.name(), index + 1) };
        let events: Vec<&Event<'_>> = facts.timeline.events.iter().filter(|event| event.begin.step == index).collect();
        let asked: Vec<&Event<'_>> = events.iter().copied().filter(|event| event.begin.process.is_none()).collect();
        checks.push(step_was_done(&suffix, step, &asked, facts));
        checks.extend(events_are_proven(&suffix, &events));
        checks.extend(events_had_requests(&suffix, &events, facts));
        checks.extend(events_were_seen(&suffix, index, facts));
        checks.extend(answers_were_whole(&suffix, &events, facts));
    }
    checks
}

/// How one event went.
enum Done {
    AsExpected,
    /// It failed: why.
    Failed(String),
    /// Something stands in the way of saying so: what.
    Doubtful(String),
}

fn step_was_done(suffix: &str, step: &Step, events: &[&Event<'_>], facts: &Facts<'_>) -> Judged {
    let (mut done, mut failures, mut doubts) = (0, Vec::new(), Vec::new());
    for event in events {
        match how_it_went(step, event, facts) {
            Done::AsExpected => done += 1,
            Done::Failed(why) => failures.push(why),
            Done::Doubtful(why) => doubts.push(why),
        }
    }
    let begun = u32::try_from(events.len()).unwrap_or(u32::MAX);
    if begun < step.times {
        doubts.push(format!("Only {begun} of {} were begun", describe::times(step.times, step)));
    }
    let status = match (failures.is_empty(), doubts.is_empty()) {
        (false, _) => Verdict::Failed,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Passed,
    };
    failures.extend(doubts);
    let word = if has_job(step) { step.job.name() } else { "done" };
    Judged::new(format!("step.{suffix}"), format!("{} {word}", step.times), format!("{done} {word}"), status)
        .decisive()
        .because(words::sentences(&failures))
}

fn has_job(step: &Step) -> bool {
    step.action.kind().makes_a_job()
}

fn how_it_went(step: &Step, event: &Event<'_>, facts: &Facts<'_>) -> Done {
    let name = words::event(event);
    let Some(end) = event.end else { return Done::Doubtful(format!("{name} was not over when the record ended")) };
    if end.job == Some(JobResult::Canceled) && step.job != JobResult::Canceled {
        return Done::Doubtful(format!("{name}: its job was canceled by somebody else"));
    }
    if let Some(error) = &end.error {
        let since_done = end.done_at.map(|done_at| Span::new(done_at, end.at));
        if since_done.is_some_and(|span| end.is_late && facts.all_own_in(span)) {
            return Done::Doubtful(format!(
                "{name}: {error}; but all that failed since then may be the generator's own doing"
            ));
        }
        // A command that fails by itself ends the run before anything else does.
        if facts.was_cut_short() && step.action.kind() == ActionKind::Exec {
            return Done::Doubtful(format!("{name} was cut short: {error}"));
        }
        let ended = facts.record.end.as_ref().map(|end| &end.reason);
        if matches!(ended, Some(EndReason::Error(reason)) if reason == error) {
            return Done::Doubtful(format!("{name}: the harness could not carry it out"));
        }
        return Done::Failed(format!("{name} failed: {error}"));
    }
    if let Some(gate) = facts.gates.get(&event.begin.event) {
        let place = format!("step {}", event.begin.step + 1);
        return match gate.verdict() {
            Verdict::Passed => Done::AsExpected,
            Verdict::Failed => Done::Failed(format!("the gate of {place} did not hold: {}", step_gate::why(gate))),
            Verdict::Inconclusive => {
                Done::Doubtful(format!("the gate of {place} may not hold: {}", step_gate::why(gate)))
            }
        };
    }
    match end.job {
        Some(job) if job != step.job && !is_idle_try_restart(step, job) => {
            Done::Failed(format!("{name}: the job ended as {job}, {} was expected", step.job))
        }
        None if has_job(step) => Done::Doubtful(format!("{name}: how its job ended is unknown")),
        _ => Done::AsExpected,
    }
}

/// try_restart of a unit that does not run has nothing to do.
fn is_idle_try_restart(step: &Step, job: JobResult) -> bool {
    step.action.kind() == ActionKind::TryRestart && job == JobResult::Skipped
}

pub(crate) fn events_are_proven(suffix: &str, events: &[&Event<'_>]) -> Option<Judged> {
    let claimed: Vec<(&&Event<'_>, bool)> =
        events.iter().filter_map(|event| proven(event).map(|proven| (event, proven))).collect();
    if claimed.is_empty() {
        return None;
    }
    let unproven: Vec<String> =
        claimed.iter().filter(|(_, proven)| !proven).map(|(event, _)| words::unproven(event)).collect();
    let (all, good) = (claimed.len(), claimed.len() - unproven.len());
    let status = passed_or(unproven.is_empty(), Verdict::Inconclusive);
    let judged = Judged::new(
        format!("proof.{suffix}"),
        format!("{all} of {all} proven"),
        format!("{good} of {all} proven"),
        status,
    );
    Some(judged.because(words::sentences(&unproven)))
}

/// An event without a request in its window shows nothing.
fn events_had_requests(suffix: &str, events: &[&Event<'_>], facts: &Facts<'_>) -> Option<Judged> {
    let acting: Vec<&&Event<'_>> = events.iter().filter(|event| event.is_acting()).collect();
    let least = acting.iter().map(|event| facts.due_in(event.begin.event)).min()?;
    let status = passed_or(least > 0, Verdict::Inconclusive);
    let empty = acting.iter().find(|event| facts.due_in(event.begin.event) == 0);
    let reason =
        empty.map(|event| format!("No request fell due during {}, so it shows nothing.", words::lower_event(event)));
    let judged =
        Judged::new(format!("requests.{suffix}"), "at least 1 due in each event", format!("at least {least}"), status);
    Some(judged.because(reason.unwrap_or_default()))
}

/// An answer that nothing but a close delimits shows nothing: see [`unframed`].
fn answers_were_whole(suffix: &str, events: &[&Event<'_>], facts: &Facts<'_>) -> Option<Judged> {
    let (count, reason) = unframed::in_doubt(events, facts)?;
    let judged = Judged::new(
        format!("unframed.{suffix}"),
        "0 answers that only a close delimits",
        count.to_string(),
        Verdict::Inconclusive,
    );
    Some(judged.because(reason))
}

/// Passed needs sight: see [`sight`].
fn events_were_seen(suffix: &str, step: u16, facts: &Facts<'_>) -> Option<Judged> {
    let MaxUnseen::AtMost(limit) = facts.timeline.plan.run.max_unseen else { return None };
    let sight = sight::of_step(step, facts)?;
    let actual = match (sight.doubts.len(), sight.unseen_ns) {
        (0, 0) => "attested by the kernel's trace".to_owned(),
        (0, ns) => format!("gaps of up to {} may have gone unseen", words::ms(ns_to_ms(ns))),
        (count, _) => format!("in doubt {}", if count == 1 { "once".to_owned() } else { format!("{count} times") }),
    };
    let status = passed_or(sight.doubts.is_empty(), Verdict::Inconclusive);
    let judged =
        Judged::new(format!("sight.{suffix}"), format!("no listener gap over {limit:?} unseen"), actual, status);
    let clauses: Vec<String> = sight.doubts.iter().map(|doubt| doubt.clause.clone()).collect();
    let remedy = sight.doubts.first().map(|doubt| format!(" {}", doubt.remedy)).unwrap_or_default();
    Some(judged.because(words::sentences(&clauses) + &remedy))
}
