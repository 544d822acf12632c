//! Datagrams that nobody answered: no connection tells what became of them, but the socket that they were sent to does.

use super::case::Case;
use super::rules::is_starting;
use crate::analysis::event::Event;
use crate::analysis::timeline::Timeline;
use crate::model::{FailureClass, MonoTime, Span};
use crate::result::EventPhase;
use crate::scenario::plan::Destination;

/// What a look shows is written down this much later at most.
const LOOK_LAG_NS: u64 = 200_000_000;

fn went_unanswered(case: &Case<'_>) -> bool {
    is_unanswered_datagram(case) && case.was_ever_answered()
}

fn is_unanswered_datagram(case: &Case<'_>) -> bool {
    case.destination().takes_datagrams() && case.is(&[FailureClass::ResponseTimeout])
}

/// Nothing was ever answered, from the first request of the run to the last: a receiver that never answers, as of syslog or
/// statsd, looks like one that takes nothing, and so no mechanism can be inferred from the silence.
pub(super) fn is_unconfirmed(case: &Case<'_>) -> bool {
    is_unanswered_datagram(case) && !case.was_ever_answered()
}

/// What is known of datagrams that a receiver which never answers may have taken, in a sentence.
pub(super) fn unconfirmed(destinations: &[&Destination], when: &str, span: Span, timeline: &Timeline<'_>) -> String {
    let told = destinations.iter().map(|destination| {
        let address = crate::scenario::describe::destination(destination);
        let drops = timeline.drops(destination, span);
        let drops = drops.map_or_else(String::new, |n| format!("; the kernel dropped {n} datagrams there for want of room"));
        format!("{address} answered nothing in this run: these were sent and not refused, {when}{drops}; what was taken is unknown")
    });
    told.collect::<Vec<_>>().join("; ")
}

/// What helps with a receiver that never answers.
pub(super) const REMEDY_OF_UNCONFIRMED: &str = "Compare what was sent with the receiver's own count; or load something that answers, such as its health port, as well.";

/// The kernel dropped datagrams at its socket when it was sent. A Unix socket drops none: it does not take them.
pub(super) fn receive_buffer_was_full(case: &Case<'_>) -> bool {
    went_unanswered(case) && drops_about(case.timeline, case.destination(), case.there(case.due)) > 0
}

/// The datagrams that the kernel dropped for want of room about when those of `due` were sent.
fn drops_about(timeline: &Timeline<'_>, destination: &Destination, due: Span) -> u64 {
    let until = MonoTime::from_nanos(due.to.as_nanos().saturating_add(LOOK_LAG_NS));
    timeline.drops(destination, Span::new(due.from, until)).unwrap_or(0)
}

/// The socket that it was sent to was closed before it was given up, and what waited in it is gone.
fn lost_its_socket(case: &Case<'_>) -> bool {
    let view = case.timeline.listeners(case.destination(), case.there(case.wait()));
    went_unanswered(case) && view.is_some_and(|view| !view.is_steady())
}

/// No process that starts or ends later can have answered it: it was dropped, or went with its socket.
pub(super) fn is_out_of_reach(case: &Case<'_>) -> bool {
    receive_buffer_was_full(case) || lost_its_socket(case)
}

/// It waited in the receive queue, unless its process was killed while no queue was seen filled: then it may have been in
/// its hands.
pub(super) fn socket_closed_over_its_queue(case: &Case<'_>) -> bool {
    lost_its_socket(case) && !receive_buffer_was_full(case) && (queue_was_filled(case) || !was_killed(case))
}

/// A process ended while it waited. Where the socket stayed, and the new process answers others, it had been taken out of
/// the queue; where it went, nothing was seen to wait in it.
pub(super) fn process_ended_with_it(case: &Case<'_>) -> bool {
    if !went_unanswered(case) || receive_buffer_was_full(case) {
        return false;
    }
    if lost_its_socket(case) {
        return was_killed(case) && !queue_was_filled(case);
    }
    let is_known = case.timeline.is_watched(case.destination());
    is_known && has_ended(case) && !is_starting(case) && !case.nothing_was_answered()
}

fn queue_was_filled(case: &Case<'_>) -> bool {
    let view = case.timeline.listeners(case.destination(), case.there(case.wait()));
    view.and_then(|view| view.peak).is_some_and(|(queued, _)| queued > 0)
}

/// A process of the service ended while it waited.
fn has_ended(case: &Case<'_>) -> bool {
    let stopped =
        case.phases.iter().any(|span| span.phase == EventPhase::Down && span.span.overlaps(case.there(case.wait())));
    stopped || case.timeline.processes.exits(case.timeline.service(), case.there(case.wait())).next().is_some()
}

/// A process was made to end while it waited, without a chance to answer; or ended by itself.
fn was_killed(case: &Case<'_>) -> bool {
    let stopping = |span: &&super::case::PhaseSpan| {
        span.phase == EventPhase::Stopping && span.span.overlaps(case.there(case.wait()))
    };
    let mut stops = case.phases.iter().filter(stopping).peekable();
    let is_by_itself = stops.peek().is_none() && has_ended(case);
    is_by_itself || stops.any(|span| span.is_killing)
}

/// What was full, in a sentence; none where connections are made.
pub(super) fn overflow(
    destination: &Destination,
    span: Span,
    event: Option<&Event<'_>>,
    timeline: &Timeline<'_>,
) -> Option<String> {
    let address = crate::scenario::describe::destination(destination);
    match destination {
        Destination::Udp { .. } => {
            let within = event.map_or(span, |event| event.span().hull(span));
            let until = MonoTime::from_nanos(within.to.as_nanos().saturating_add(LOOK_LAG_NS));
            let within = Span::new(within.from, until);
            let bytes = timeline.listeners(destination, within).and_then(|view| view.peak).map(|(_, bytes)| bytes);
            let bytes = bytes.map_or_else(String::new, |bytes| format!(" of {bytes} bytes"));
            let dropped = timeline.drops(destination, within).unwrap_or(0);
            let by_kernel = timeline.rise("RcvbufErrors", within);
            let by_kernel = by_kernel.map_or_else(String::new, |n| format!(", RcvbufErrors rose by {n}"));
            Some(format!(
                "the receive buffer{bytes} of {address} was full: the kernel dropped {dropped} datagrams there{by_kernel}"
            ))
        }
        Destination::UnixDgram(_) => Some(format!("the queue of {address} was full (net.unix.max_dgram_qlen)")),
        Destination::Fifo(_) => Some(format!("{address} was full: no process had read its contents")),
        Destination::Host { .. } | Destination::Unix(_) | Destination::UnixSeqpacket(_) => None,
    }
}

/// What helps against a queue that is full; none where connections are made.
pub(super) fn remedy_of_overflow(destination: &Destination) -> Option<String> {
    let remedy = match destination {
        Destination::Udp { .. } => {
            "Raise ReceiveBuffer= of the socket unit (SO_RCVBUF, which net.core.rmem_max bounds for others than root), or \
             shorten the stall."
        }
        Destination::UnixDgram(_) => {
            "Raise net.unix.max_dgram_qlen before the socket is made, or shorten the stall; or let clients wait instead of \
             failing at EAGAIN."
        }
        Destination::Fifo(_) => "Raise PipeSize= of the socket unit, or shorten the stall.",
        Destination::Host { .. } | Destination::Unix(_) | Destination::UnixSeqpacket(_) => return None,
    };
    Some(remedy.to_owned())
}
