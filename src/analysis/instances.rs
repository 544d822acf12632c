//! Which instances answered, and whether that is known well enough to judge stale answers.

use super::checks::Judged;
use super::event::Event;
use super::facts::Facts;
use super::number::round3;
use super::words;
use crate::model::{Metric, MonoTime, Verdict};
use crate::record::fold::instances::Answers;
use crate::record::line::{Note, NoteKind};
use crate::result::{InstanceResult, UnknownInstances};
use crate::scenario::plan::{Action, Expectations, InstanceSource, Plan};

/// Every instance that answered, by its first answer.
pub(crate) fn results(facts: &Facts<'_>) -> Vec<InstanceResult> {
    let stale = facts.tally.instances.stale_of(|_, _| true);
    let since = |at: MonoTime| round3(at.millis_since(facts.timeline.origin));
    let mut all: Vec<_> = facts.tally.instances.all.iter().collect();
    all.sort_by_key(|(name, answers)| (answers.first, *name));
    let result = |(name, answers): (&String, &Answers)| InstanceResult {
        name: name.clone(),
        answers: answers.counted,
        warmup: answers.warmup,
        first_ms: since(answers.first),
        last_ms: since(answers.last),
        stale: stale.get(name.as_str()).copied().unwrap_or_default(),
    };
    all.into_iter().map(result).collect()
}

/// What is not known by instance; none if nothing.
pub(crate) fn unknown(facts: &Facts<'_>) -> Option<UnknownInstances> {
    let instances = &facts.tally.instances;
    let unknown = UnknownInstances { unnamed: instances.unnamed, left_out: instances.left_out };
    (unknown.unnamed + unknown.left_out > 0).then_some(unknown)
}

/// The stale answers of an event; none where nobody asks, and of an event that replaces nothing.
pub(crate) fn stale_of(event: &Event<'_>, facts: &Facts<'_>) -> Option<u64> {
    let is_asked = source(facts.timeline.plan).is_some() && event.begin.action.replaces();
    let of_event = |_, id| id == event.begin.event;
    is_asked.then(|| facts.tally.instances.stale_of(of_event).values().sum())
}

/// Stale answers are judged by what each expected answer tells: one that tells nothing may have been stale.
pub(crate) fn check(facts: &Facts<'_>) -> Option<Judged> {
    let plan = facts.timeline.plan;
    if !is_judged(plan) {
        return None;
    }
    let source = described(source(plan)?);
    let instances = &facts.tally.instances;
    let (none, left_out) = (instances.unnamed_ok, instances.left_out);
    let judged =
        |actual: String, status| Judged::new("instances", "every expected answer names its instance", actual, status);
    if none + left_out == 0 {
        let known = instances.all.len();
        return Some(judged(format!("{known} answered"), Verdict::Passed));
    }
    let none = (none > 0).then(|| format!("{none} expected {} named no instance in {source}", answers(none)));
    let left_out = (left_out > 0)
        .then(|| format!("{left_out} {} named an instance beyond the 256 that are kept", answers(left_out)));
    let what: Vec<String> = [none, left_out].into_iter().flatten().collect();
    let what = what.join("; ");
    let reason = format!("{what}: whether they were stale is unknown.");
    Some(judged(what, Verdict::Inconclusive).because(words::sentence(&reason)))
}

/// Where no check tells of them, a note does.
pub(crate) fn note(facts: &Facts<'_>) -> Option<Note> {
    if check(facts).is_some() {
        return None;
    }
    let UnknownInstances { unnamed, left_out } = unknown(facts)?;
    let source = described(source(facts.timeline.plan)?);
    let message =
        format!("{unnamed} {} named no instance in {source}, and {left_out} one that is not kept.", answers(unnamed));
    Some(Note { kind: NoteKind::Info, message })
}

fn answers(count: u64) -> &'static str {
    if count == 1 { "answer" } else { "answers" }
}

/// Whether anything is expected of stale answers: of the run, of a step, or by a gate.
fn is_judged(plan: &Plan) -> bool {
    let of_steps = plan.steps.iter().filter_map(|step| step.expect.as_ref());
    let gates = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Gate { expect } => Some(expect),
        _ => None,
    });
    [&plan.expect].into_iter().chain(of_steps).chain(gates).any(bounds_stale)
}

fn bounds_stale(expect: &Expectations) -> bool {
    let cohorts = expect.cohorts.iter().flat_map(|(_, bounds)| bounds);
    expect.bounds.iter().chain(cohorts).any(|(metric, _)| *metric == Metric::Stale)
}

fn source(plan: &Plan) -> Option<&InstanceSource> {
    plan.cohorts.iter().find_map(|cohort| cohort.target.instance.as_ref())
}

fn described(source: &InstanceSource) -> String {
    match source {
        InstanceSource::Header(name) => format!("the header {name}"),
        InstanceSource::Body(pattern) => format!("the body by /{pattern}/"),
    }
}
