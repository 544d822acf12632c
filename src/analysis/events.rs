//! Events and steps of the result.

use std::collections::BTreeSet;

use super::backlog;
use super::event::Event;
use super::facts::{Facts, Times};
use super::holders;
use super::instances;
use super::number::{finite_ms, ns_to_ms, round3, span_ms, worst};
use super::slowest;
use super::statistics::drop_probability_upper_95;
use super::timeline::Timeline;
use crate::model::address::Listener;
use crate::model::{ActionKind, FailureClass, JobResult, UnitSnapshot};
use crate::record::fold::window::Window;
use crate::record::segment::{GoAways, Scope};
use crate::result::{EventResult, GoAwayResult, GoAwayShape, StepResult};
use crate::scenario::plan::{Action, Cohort};

/// Every event that was begun.
pub(crate) fn events(facts: &Facts<'_>) -> Vec<EventResult> {
    facts.timeline.events.iter().map(|event| event_result(event, facts)).collect()
}

fn event_result(event: &Event<'_>, facts: &Facts<'_>) -> EventResult {
    let (begin, timeline) = (event.begin, &facts.timeline);
    let scope = Scope::Event(begin.event);
    let cohorts = 0..u16::try_from(timeline.plan.cohorts.len()).unwrap_or(u16::MAX);
    let times: Vec<Times> = cohorts.filter_map(|cohort| facts.times.get(&(cohort, scope)).copied()).collect();
    let worst_of = |pick: fn(&Times) -> Option<f64>| finite_ms(worst(times.iter().map(pick)));
    let since_begin = |at| round3(span_ms(begin.at, at));
    let mut outcomes = std::collections::BTreeMap::new();
    let mut unexpected_statuses = std::collections::BTreeMap::new();
    let mut unexpected_grpc_statuses = std::collections::BTreeMap::new();
    for cell in facts.tally.windows_of(scope).flat_map(Window::cells) {
        for (key, n) in cell.failures.iter() {
            *outcomes.entry(key.class).or_default() += n;
            if let (FailureClass::UnexpectedStatus, Some(status)) = (key.class, key.status) {
                *unexpected_statuses.entry(status).or_default() += n;
            }
            if let (FailureClass::UnexpectedGrpcStatus, Some(status)) = (key.class, key.grpc) {
                *unexpected_grpc_statuses.entry(status).or_default() += n;
            }
        }
    }
    let count =
        |meant: fn(FailureClass) -> bool| outcomes.iter().filter(|(class, _)| meant(**class)).map(|(_, n)| n).sum();
    let peak = timeline.queue_peak(event.span());
    let stall_ms = worst_of(|times| times.stall);
    EventResult {
        event: begin.event.0.saturating_add(1),
        step: u32::from(begin.step) + 1,
        run: begin.run.saturating_add(1),
        action: begin.action,
        unit: begin.unit.clone(),
        process: begin.process.as_deref().map(holders::described),
        name: name(event),
        at_ms: round3(begin.at.millis_since(timeline.origin)),
        job: event.end.and_then(|end| end.job),
        proven: proven(event),
        job_ms: event.end.and_then(|end| end.done_at).map(since_begin),
        stop_ms: event.gone_at().map(since_begin),
        // The first answer to any client shows that the new process is up.
        boot_ms: finite_ms(times.iter().filter_map(|times| times.boot).reduce(f64::min)),
        first_ok_ms: worst_of(|times| times.first_ok),
        outage_ms: worst_of(|times| times.outage),
        stall_ms,
        recovery_ms: worst_of(|times| times.recovery),
        slowest: slowest::of(event, facts),
        dropped: count(FailureClass::is_dropped),
        wrong: count(FailureClass::is_wrong),
        unexpected_statuses,
        unexpected_grpc_statuses,
        causes: facts.attribution.causes(|_, of| of == scope),
        outcomes,
        goaway: goaway(event, facts),
        stale: instances::stale_of(event, facts),
        instances: facts.tally.instances.events.get(&begin.event).cloned().unwrap_or_default(),
        queue_peak: peak.map(|(queued, _)| queued),
        backlog: peak.map(|(_, backlog)| backlog),
        backlog_needed: stall_ms.filter(|_| event.is_acting()).and_then(|stall_ms| backlog::need(facts, stall_ms)),
        main_pid_before: event.pid_before().or(begin.process.as_ref().map(|process| process.id.pid)),
        main_pid_after: event
            .pid_after()
            .or_else(|| holders::successor(begin.process.as_ref()?.id, begin.at, facts).map(|next| next.pid)),
        incarnation_changed: incarnation_changed(event),
        listener_inode_changed: listener_inode_changed(event, timeline),
        memory_before_bytes: memory_bytes(event.service_before()),
        memory_after_bytes: memory_bytes(event.service_after()),
    }
}

/// What is known of an event beside its action and its unit.
fn name(event: &Event<'_>) -> Option<String> {
    match event.step.map(|step| &step.action) {
        Some(Action::Exec { argv, .. }) => Some(argv.join(" ")),
        _ => event.begin.name.clone(),
    }
}

/// How the ends of connections were announced; none where no cohort speaks HTTP/2.
fn goaway(event: &Event<'_>, facts: &Facts<'_>) -> Option<GoAwayResult> {
    let speaks = |cohort: &Cohort| cohort.target.protocol.is_http2();
    if !facts.timeline.plan.cohorts.iter().any(speaks) {
        return None;
    }
    let windows = facts.tally.windows_of(Scope::Event(event.begin.event));
    let told = windows.filter_map(|window| window.goaways).reduce(GoAways::and);
    let since_begin = |at| round3(span_ms(event.begin.at, at));
    let shape = match told {
        None => GoAwayShape::None,
        Some(GoAways { two_phase: 0, .. }) => GoAwayShape::Single,
        Some(_) => GoAwayShape::TwoPhase,
    };
    Some(GoAwayResult {
        shape,
        first_ms: told.map(|told| since_begin(told.first)),
        last_ms: told.map(|told| since_begin(told.last)),
        streams_open: told.map_or(0, |told| told.streams_open),
        answered_after: told.map_or(0, |told| told.answered_after),
    })
}

/// Whether the action was seen to have happened. An action that must be proven and brought no claim is not.
pub(crate) fn proven(event: &Event<'_>) -> Option<bool> {
    let claims = event.end.map(|end| end.proof.as_slice()).unwrap_or_default();
    if claims.is_empty() {
        return needs_proof(event).then_some(false);
    }
    Some(claims.iter().all(|claim| claim.holds))
}

fn needs_proof(event: &Event<'_>) -> bool {
    let is_to_be_refused = event.step.is_some_and(|step| step.job != JobResult::Done);
    let was_skipped = event.end.is_some_and(|end| end.job == Some(JobResult::Skipped));
    let was_active =
        event.begin.before.iter().any(|unit| Some(&unit.unit) == event.begin.unit.as_ref() && unit.is_active());
    match event.begin.action {
        _ if is_to_be_refused => false,
        ActionKind::Restart
        | ActionKind::Reload
        | ActionKind::ReloadOrRestart
        | ActionKind::Kill
        | ActionKind::Stop => true,
        ActionKind::TryRestart => was_active && !was_skipped,
        ActionKind::Exec => {
            matches!(event.step.map(|step| &step.action), Some(Action::Exec { replaces: Some(_), .. }))
        }
        ActionKind::Start
        | ActionKind::ResetFailed
        | ActionKind::DaemonReload
        | ActionKind::Wait
        | ActionKind::Request
        | ActionKind::Gate
        | ActionKind::Exit
        | ActionKind::Mark => false,
    }
}

fn incarnation_changed(event: &Event<'_>) -> Option<bool> {
    let (before, after) = event.unit_pair()?;
    Some(before.invocation_id.as_ref()? != after.invocation_id.as_ref()?)
}

/// By the socket unit's own listeners; where there is no socket unit, by those at the target's address, before the
/// event and at the end of its window: a listener that came back with the last answer may be seen a moment later.
fn listener_inode_changed(event: &Event<'_>, timeline: &Timeline<'_>) -> Option<bool> {
    let end = event.end?;
    let of_units = |units: &[UnitSnapshot]| {
        inodes(units.iter().filter_map(|unit| unit.socket.as_ref()).flat_map(|socket| &socket.listeners))
    };
    let at = |moment| timeline.listeners_at(moment).and_then(inodes);
    let has_socket = event.begin.before.iter().chain(&end.after).any(|unit| unit.socket.is_some());
    let (before, after) = if has_socket {
        (of_units(&event.begin.before)?, of_units(&end.after)?)
    } else {
        (at(event.begin.at)?, at(event.until)?)
    };
    Some(before != after)
}

/// The inodes in order; none if there is no listener, for that may as well mean that nobody could look.
fn inodes<'l>(listeners: impl IntoIterator<Item = &'l Listener>) -> Option<Vec<u64>> {
    let mut inodes: Vec<u64> = listeners.into_iter().map(|listener| listener.inode).collect();
    inodes.sort_unstable();
    (!inodes.is_empty()).then_some(inodes)
}

fn memory_bytes(service: Option<&UnitSnapshot>) -> Option<u64> {
    service?.service.as_ref()?.memory_bytes
}

/// Every step of the plan, with what its events came to.
pub(crate) fn steps(events: &[EventResult], facts: &Facts<'_>) -> Vec<StepResult> {
    let steps = (0_u16..).zip(&facts.timeline.plan.steps);
    let of_step = |(index, step): (u16, &crate::scenario::plan::Step)| {
        let own: Vec<&EventResult> = events.iter().filter(|event| event.step == u32::from(index) + 1).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // What no step asked for is a part of the run that it fell into.
        let runs: BTreeSet<u32> = own.iter().map(|event| event.run).collect();
        let bad: BTreeSet<u32> = own.iter().filter(|event| event.dropped > 0).map(|event| event.run).collect();
        let (begun, bad) = (count(runs.len()), count(bad.len()));
        let skipped = facts.timeline.events.iter().filter(|event| event.begin.step == index && event.is_skipped());
        let done = begun.saturating_sub(count(skipped.count()));
        StepResult {
            step: u32::from(index) + 1,
            action: step.action.kind(),
            events: begun,
            events_with_drops: bad,
            // Rounded up: a bound must not be understated.
            drop_probability_upper_95: drop_probability_upper_95(bad, done).map(|p| (p * 1e6).ceil() / 1e6),
            resolution_ms: resolution_ns(index, facts).map(|ns| round3(ns_to_ms(ns))),
        }
    };
    steps.map(of_step).collect()
}

/// The longest gap between connection attempts inside the step's events, of the cohort that looked closest.
/// A cohort that did not look in one of them does not count.
fn resolution_ns(step: u16, facts: &Facts<'_>) -> Option<u64> {
    let events: Vec<Scope> = facts
        .timeline
        .events
        .iter()
        .filter(|event| event.begin.step == step)
        .map(|event| Scope::Event(event.begin.event))
        .collect();
    let gap_of = |window: Option<&Window>| window.and_then(|window| window.connect_gap_ns);
    let of_cohort = |cohort: u16| -> Option<u64> {
        let gaps: Option<Vec<u64>> = events.iter().map(|&scope| gap_of(facts.tally.window(cohort, scope))).collect();
        gaps?.into_iter().max()
    };
    (0_u16..).zip(&facts.timeline.plan.cohorts).filter_map(|(cohort, _)| of_cohort(cohort)).min()
}
