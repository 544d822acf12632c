//! What backlog an event would have needed.

use super::event::Event;
use super::facts::Facts;
use super::number::float;
use super::words;
use crate::model::Cause;
use crate::record::line::{Note, NoteKind};
use crate::result::EventResult;
use crate::scenario::describe;
use crate::scenario::plan::{Cohort, Connections, Pace};

/// A queue is near its end from this share of its backlog.
const NEAR: f64 = 0.8;

/// One sentence on the event whose queue came closest to its end, or went past it; none if none came near.
pub(crate) fn note(facts: &Facts<'_>, results: &[EventResult]) -> Option<Note> {
    let timeline = &facts.timeline;
    let pairs = timeline.events.iter().zip(results).filter(|(_, result)| is_near(result));
    let needed = pairs.filter_map(|(event, result)| Some((event, result, result.backlog_needed?)));
    let (event, result, need) = needed.max_by_key(|&(.., need)| need)?;
    let (queued, backlog) = (result.queue_peak?, result.backlog?);
    let stall_s = result.stall_ms? / 1e3;
    let message = format!(
        "{}: up to {queued} connections waited in an accept queue with a backlog of {backlog}{}; {} through a stall of {stall_s:.1} s need a backlog of at least {need}.",
        words::event(event),
        refused_syns(facts, event),
        arrivals(&facts.timeline.plan.cohorts),
    );
    Some(Note { kind: NoteKind::Info, message })
}

fn is_near(result: &EventResult) -> bool {
    let near = |(queued, backlog): (u32, u32)| f64::from(queued) >= NEAR * f64::from(backlog);
    result.queue_peak.zip(result.backlog).is_some_and(near) || result.causes.contains_key(&Cause::QueueOverflow)
}

/// The connections that arrive in `stall_ms` at the address that gets the most of them.
pub(crate) fn need(facts: &Facts<'_>, stall_ms: f64) -> Option<u64> {
    let cohorts = &facts.timeline.plan.cohorts;
    let at = |address: &String| -> f64 {
        let same = cohorts.iter().filter(|cohort| describe::destination(&cohort.target.connect) == *address);
        same.map(|cohort| arriving(cohort, stall_ms)).sum()
    };
    let addresses = cohorts.iter().map(|cohort| describe::destination(&cohort.target.connect));
    let most = addresses.map(|address| at(&address)).fold(0.0, f64::max).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of connections")]
    (most > 0.0).then_some(most as u64)
}

/// A cohort that keeps its connections can want no more of them than it may have, a client never more than one.
fn arriving(cohort: &Cohort, stall_ms: f64) -> f64 {
    match (cohort.connections, cohort.pace) {
        (Connections::Reused(count), _) => float(u64::from(count)),
        (Connections::New, Pace::Rate(rate)) => rate * stall_ms / 1e3,
        (Connections::New, Pace::Clients(clients)) => float(u64::from(clients)),
        (Connections::New, Pace::Health { .. } | Pace::OnDemand) => 1.0,
    }
}

/// `50 new connections/s and 16 kept ones`.
fn arrivals(cohorts: &[Cohort]) -> String {
    let (mut rate, mut kept) = (0.0, 0.0);
    for cohort in cohorts {
        match (cohort.connections, cohort.pace) {
            (Connections::New, Pace::Rate(own)) => rate += own,
            _ => kept += arriving(cohort, 0.0),
        }
    }
    match (rate > 0.0, kept > 0.0) {
        (true, true) => format!("{rate} new connections/s and {kept} kept ones"),
        (true, false) => format!("{rate} new connections/s"),
        _ => format!("{kept} connections"),
    }
}

fn refused_syns(facts: &Facts<'_>, event: &Event<'_>) -> String {
    match facts.timeline.rise("ListenDrops", event.span()) {
        Some(drops @ 1..) => format!(", and the kernel dropped {drops} more attempts"),
        _ => String::new(),
    }
}
