//! Everything that is judged: expectations, steps, end state, and the instrument itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Event;
use super::events::proven;
use super::facts::Facts;
use super::figures::{Figures, Part};
use super::number::{float, ns_to_ms};
use super::result::CheckResult;
use super::step_gate;
use super::words;
use crate::model::bound::{Comparison, Dimension, Limit};
use crate::model::{ActionKind, Bound, FailureClass, JobResult, Metric, MonoTime, Verdict};
use crate::record::line::{EndReason, Line, StateCheck};
use crate::record::segment::Scope;
use crate::scenario::plan::{Action, Cohort, Expectations, Pace, Step};

/// The generator is good enough while the p99 of its lateness is at most this: one tick of a kernel with
/// CONFIG_HZ=100, and the finest step in which `recovery` is judged. Beyond it, latencies are its own doing.
pub const LATENESS_P99_LIMIT: Duration = Duration::from_millis(10);

/// What a check that did not pass means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Something was lost that was not to be lost, or a step or a state is not what it should be: failed,
    /// whatever else is in doubt.
    Decisive,
    /// Failed, unless there is any doubt.
    Ordinary,
}

/// A check, its weight, and the sentence that explains it where it did not pass.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) check: CheckResult,
    pub(crate) weight: Weight,
    pub(crate) reason: String,
}

impl Judged {
    pub(crate) fn new(
        name: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        status: Verdict,
    ) -> Self {
        let check = CheckResult { name: name.into(), expected: expected.into(), actual: actual.into(), status };
        Self { check, weight: Weight::Ordinary, reason: String::new() }
    }

    fn decisive(self) -> Self {
        Self { weight: Weight::Decisive, ..self }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

fn passed_or(passed: bool, otherwise: Verdict) -> Verdict {
    if passed { Verdict::Passed } else { otherwise }
}

/// All checks, in the order of the report.
pub(crate) fn checks(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    let mut checks = expectations(facts, whole);
    checks.extend(steps(facts));
    checks.extend(step_gate::checks(facts));
    checks.extend(states(facts));
    checks.extend(instrument(facts, whole));
    checks
}

pub(crate) fn is_late(figures: &Figures) -> bool {
    figures.lateness_p99_ns().is_some_and(|ns| u128::from(ns) > LATENESS_P99_LIMIT.as_nanos())
}

fn expectations(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    let plan = facts.timeline.plan;
    let late = is_late(whole);
    let has_own = plan.steps.iter().any(|step| step.expect.is_some());
    let rest = if has_own { Part::Rest } else { Part::Whole };
    let mut checks = bounds("expect", &plan.expect, rest, (facts, whole), late);
    for (index, step) in (0_u16..).zip(&plan.steps) {
        if let Some(own) = &step.expect {
            checks.extend(bounds(&format!("step.{}.expect", index + 1), own, Part::Step(index), (facts, whole), late));
        }
    }
    checks
}

/// What `expect` asks of a part of the run; each is called `prefix` and its metric.
pub(crate) fn bounds(
    prefix: &str,
    expect: &Expectations,
    part: Part,
    (facts, whole): (&Facts<'_>, &Figures),
    late: bool,
) -> Vec<Judged> {
    let of_part = matches!(part, Part::Step(_) | Part::Rest).then(|| Figures::of(facts, None, part));
    let figures = of_part.as_ref().unwrap_or(whole);
    let place = match part {
        Part::Step(step) => format!(" in step {}", step + 1),
        Part::Whole | Part::Ended | Part::Rest => String::new(),
    };
    let mut checks: Vec<Judged> = expect
        .bounds
        .iter()
        .map(|&(metric, bound)| judge_bound(&format!("{prefix}.{metric}"), &place, metric, bound, figures, late))
        .collect();
    for (name, of_cohort) in &expect.cohorts {
        let index = (0_u16..).zip(&facts.timeline.plan.cohorts).find(|(_, cohort)| cohort.name == *name);
        let figures = index.map(|(index, _)| Figures::of(facts, Some(index), part)).unwrap_or_default();
        let place = format!("{place} in cohort {name}");
        checks.extend(of_cohort.iter().map(|&(metric, bound)| {
            judge_bound(&format!("{prefix}.cohort.{name}.{metric}"), &place, metric, bound, &figures, late)
        }));
    }
    checks
}

fn judge_bound(name: &str, place: &str, metric: Metric, bound: Bound, figures: &Figures, late: bool) -> Judged {
    let limit = match bound.limit {
        Limit::Number(number) => number,
        Limit::Time(time) => time.as_secs_f64() * 1e3,
    };
    let Some(actual) = figures.value(metric) else {
        return Judged::new(name, bound.to_string(), "not measured", Verdict::Inconclusive)
            .because(format!("{metric} was not measured{place}, so nothing can be said of {metric} {bound}."));
    };
    let holds = bound.comparison.holds(actual, limit);
    let is_time = metric.dimension() == Dimension::Time;
    let status = passed_or(holds, if is_time && late { Verdict::Inconclusive } else { Verdict::Failed });
    let judged = Judged::new(name, bound.to_string(), words::value(metric, actual), status);
    let judged = judged.because(words::broken_bound(metric, bound, actual, place, figures));
    let is_too_much =
        matches!(bound.comparison, Comparison::AtMost | Comparison::LessThan | Comparison::Exactly) && actual >= limit;
    if is_loss(metric) && is_too_much { judged.decisive() } else { judged }
}

/// Whether the metric counts requests that were lost.
fn is_loss(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Dropped
            | Metric::Wrong
            | Metric::Failed
            | Metric::ErrorRate
            | Metric::Http000
            | Metric::Outcome(_)
            | Metric::Cause(_)
    )
}

fn steps(facts: &Facts<'_>) -> Vec<Judged> {
    let plan = facts.timeline.plan;
    let mut checks = Vec::new();
    for (index, step) in (0_u16..).zip(&plan.steps) {
        let kind = step.action.kind();
        let is_alone = plan.steps.iter().filter(|other| other.action.kind() == kind).count() == 1;
        let suffix = if is_alone { kind.name().to_owned() } else { format!("{}.{}", kind.name(), index + 1) };
        let events: Vec<&Event<'_>> = facts.timeline.events.iter().filter(|event| event.begin.step == index).collect();
        checks.push(step_was_done(&suffix, step, &events, facts));
        checks.extend(events_are_proven(&suffix, &events));
        checks.extend(events_had_requests(&suffix, &events, facts));
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
        doubts.push(format!("Only {begun} of {} were begun", super::describe::times(step.times, step)));
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
    matches!(step.action, Action::Unit { verb, .. } if verb != crate::model::UnitVerb::ResetFailed)
}

fn how_it_went(step: &Step, event: &Event<'_>, facts: &Facts<'_>) -> Done {
    let name = words::event(event);
    let Some(end) = event.end else { return Done::Doubtful(format!("{name} was not over when the record ended")) };
    if end.job == Some(JobResult::Canceled) && step.job != JobResult::Canceled {
        return Done::Doubtful(format!("{name}: its job was canceled by somebody else"));
    }
    if let Some(error) = &end.error {
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
        None if has_job(step) => Done::Doubtful(format!("{name}: how its job ended is not known")),
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

fn states(facts: &Facts<'_>) -> Vec<Judged> {
    let checks = facts.record.lines.iter().filter_map(|line| match line {
        Line::Check(check) => Some(check),
        _ => None,
    });
    let judge = |check: &StateCheck| {
        Judged::new(&check.name, &check.expected, &check.actual, check.status)
            .decisive()
            .because(format!("{} is {}; {} was expected.", check.name, check.actual, check.expected))
    };
    let allowed = facts.timeline.plan.expect.end.as_ref().and_then(|end| end.latent);
    let Some(bound) = allowed else { return checks.map(judge).collect() };
    let (latent, others): (Vec<_>, Vec<_>) = checks.partition(|check| check.name.starts_with("latent."));
    others.into_iter().map(judge).chain([latent_failures(&latent, bound)]).collect()
}

/// For a set-up that is meant to end badly: how many latent failures there are, in place of each of them.
fn latent_failures(checks: &[&StateCheck], bound: Bound) -> Judged {
    let found: Vec<String> = checks
        .iter()
        .filter(|check| check.status == Verdict::Failed)
        .map(|check| format!("{} is {}", check.name, check.actual))
        .collect();
    let actual = if found.is_empty() { "0".to_owned() } else { format!("{}: {}", found.len(), found.join(", ")) };
    let limit = match bound.limit {
        Limit::Number(number) => number,
        Limit::Time(time) => time.as_secs_f64(),
    };
    let unseen = checks.is_empty() || checks.iter().any(|check| check.status == Verdict::Inconclusive);
    let holds = bound.comparison.holds(float(found.len() as u64), limit);
    let status = if unseen { Verdict::Inconclusive } else { passed_or(holds, Verdict::Failed) };
    let reason = format!("Latent failures: {actual}; {bound} was expected.");
    Judged::new("expect.end.latent", bound.to_string(), actual, status).decisive().because(reason)
}

fn instrument(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    vec![ended(facts), warmup(facts), cohorts(facts), unsent(whole), lateness(whole), consistent(facts, whole)]
}

fn ended(facts: &Facts<'_>) -> Judged {
    let judged =
        |actual: &str, status, reason: String| Judged::new("run.end", "completed", actual, status).because(reason);
    let Some(end) = &facts.record.end else {
        let reason = "The record is incomplete: the run was cut off, and what came after is not known.".to_owned();
        return judged("cut off", Verdict::Inconclusive, reason);
    };
    let has_failed_step = facts.timeline.events.iter().any(|event| {
        event.end.is_some_and(|end| end.error.is_some())
            || facts.gates.get(&event.begin.event).is_some_and(|gate| step_gate::is_shut(gate))
    });
    match &end.reason {
        EndReason::Completed => judged("completed", Verdict::Passed, String::new()),
        EndReason::StepFailed if has_failed_step => {
            // The step itself carries the reason and the weight.
            judged("a step failed", Verdict::Inconclusive, "The steps after it were skipped.".to_owned())
        }
        EndReason::StepFailed => judged("a step failed", Verdict::Failed, "A step failed.".to_owned()).decisive(),
        EndReason::Stopped(why) => {
            judged("stopped", Verdict::Failed, words::sentence(&format!("Stopped early: {why}"))).decisive()
        }
        EndReason::NotReady(why) => judged(
            "not ready",
            Verdict::Inconclusive,
            words::sentence(&format!("Not healthy before the first step: {why}")),
        ),
        EndReason::Interrupted => judged("interrupted", Verdict::Inconclusive, "The run was interrupted.".to_owned()),
        EndReason::Error(why) => {
            judged("error", Verdict::Inconclusive, words::sentence(&format!("The harness could not go on: {why}")))
        }
    }
}

/// Failures while the warmup counted down. What failed before every cohort had its first `ok` is not among them:
/// the service may still have been starting.
pub(crate) fn warmup(facts: &Facts<'_>) -> Judged {
    let from = facts.timeline.origin - facts.timeline.plan.run.warmup;
    let is_late = |due: Option<(MonoTime, MonoTime)>| due.is_none_or(|(_, last)| last >= from);
    let windows = facts.tally.windows().filter(|&(_, scope, _)| scope == Scope::Warmup);
    let cells = windows.flat_map(|(cohort, _, window)| window.rows.values().map(move |cell| (cohort, cell)));
    let mut by_class = BTreeMap::<(u16, FailureClass), u64>::new();
    for (cohort, cell) in cells.filter(|(_, cell)| is_late(cell.failed_due)) {
        for (key, n) in cell.failures.iter().filter(|(key, _)| !key.class.is_unsent()) {
            *by_class.entry((cohort, key.class)).or_default() += n;
        }
    }
    let failed: u64 = by_class.values().sum();
    let cohort_name =
        |index: u16| facts.timeline.plan.cohorts.get(usize::from(index)).map_or("?", |cohort| &cohort.name);
    let which = by_class.iter().map(|(&(cohort, class), n)| format!("{}: {n} {class}", cohort_name(cohort)));
    let reason = format!(
        "{failed} {} failed in the warmup ({}): the target was not healthy before the first step.",
        words::requests(failed),
        which.collect::<Vec<_>>().join(", "),
    );
    Judged::new(
        "instrument.warmup",
        "0 failed",
        format!("{failed} failed"),
        passed_or(failed == 0, Verdict::Inconclusive),
    )
    .because(reason)
}

/// A cohort without a request shows nothing of what its clients would have seen.
fn cohorts(facts: &Facts<'_>) -> Judged {
    let has_requests = |index: u16| {
        let windows = facts.tally.windows().filter(|&(of, scope, _)| of == index && scope != Scope::Warmup);
        windows.flat_map(|(.., window)| window.rows.values()).any(|cell| cell.due > 0)
    };
    // One that waits to be asked sends nothing while its step is skipped, which is told of the step.
    let loads = |(_, cohort): &(u16, &Cohort)| cohort.pace != Pace::OnDemand;
    let cohorts = || (0_u16..).zip(&facts.timeline.plan.cohorts).filter(loads);
    let idle: Vec<&str> =
        cohorts().filter(|&(index, _)| !has_requests(index)).map(|(_, cohort)| cohort.name.as_str()).collect();
    let (all, good) = (cohorts().count(), cohorts().count() - idle.len());
    let reason = format!("No request fell due in {}, so it shows nothing.", idle.join(", "));
    let status = passed_or(idle.is_empty(), Verdict::Inconclusive);
    Judged::new("instrument.cohorts", format!("{all} with requests"), format!("{good} with requests"), status)
        .because(reason)
}

pub(crate) fn unsent(whole: &Figures) -> Judged {
    let unsent = whole.requests.unsent;
    let reason = format!(
        "{unsent} of {} {} could not be sent, by the generator's own fault or because the run was cut off: what would have become of them is not known.",
        whole.requests.due,
        words::requests(whole.requests.due),
    );
    Judged::new("instrument.unsent", "0", unsent.to_string(), passed_or(unsent == 0, Verdict::Inconclusive))
        .because(reason)
}

fn lateness(whole: &Figures) -> Judged {
    let limit_ms = LATENESS_P99_LIMIT.as_secs_f64() * 1e3;
    let expected = format!("p99 <= {limit_ms} ms");
    let Some(p99_ns) = whole.lateness_p99_ns() else {
        return Judged::new("instrument.lateness", expected, "not measured", Verdict::Inconclusive)
            .because("No request was measured.");
    };
    let actual = words::ms(ns_to_ms(p99_ns));
    let reason =
        format!("The generator fell behind: the p99 of its lateness is {actual}, and {limit_ms} ms is the bound.");
    Judged::new(
        "instrument.lateness",
        expected,
        format!("p99 {actual}"),
        passed_or(!is_late(whole), Verdict::Inconclusive),
    )
    .because(reason)
}

/// Rows and segments count the same requests: in a complete record they must agree, and the plan must know
/// every cohort that was counted.
fn consistent(facts: &Facts<'_>, whole: &Figures) -> Judged {
    let (rows, histograms) = (whole.requests.ok, whole.distributions.ok.len());
    let known = facts.timeline.plan.cohorts.len();
    let all_known = facts.tally.windows().all(|(cohort, ..)| usize::from(cohort) < known);
    let agree = all_known && (facts.record.end.is_none() || rows == histograms);
    let reason = if all_known {
        format!("The record contradicts itself: {rows} requests were ok by its rows, {histograms} by its histograms.")
    } else {
        "The record contradicts itself: it counts requests of a cohort that is not in its plan.".to_owned()
    };
    let actual = if agree { "they agree" } else { "they differ" };
    let status = passed_or(agree, Verdict::Inconclusive);
    Judged::new("instrument.record", "plan, rows and histograms agree", actual, status).because(reason)
}
