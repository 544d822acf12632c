//! The rules that infer a cause, one mechanism each.
//!
//! Every rule says by itself when it applies, so their order means nothing. Where none applies the evidence is
//! missing, where two apply it contradicts itself: both are [`Cause::Ambiguous`].

use super::case::{Case, Hold, RESET};
use super::datagram;
use crate::analysis::timeline::ListenerView;
use crate::model::{Cause, FailureClass, GrpcStatus};
use crate::result::EventPhase;

/// A mechanism, and whether it explains a case.
type Rule = (Cause, fn(&Case<'_>) -> bool);

const RULES: &[Rule] = &[
    (Cause::NoListener, nobody_listened),
    (Cause::AcceptQueueReset, listener_closed_over_its_queue),
    (Cause::AcceptQueueReset, datagram::socket_closed_over_its_queue),
    (Cause::AcceptedUnread, accepted_but_never_read),
    (Cause::KeepAliveRace, closed_before_it_was_read),
    (Cause::KilledInFlight, process_ended_in_flight),
    (Cause::KilledInFlight, datagram::process_ended_with_it),
    (Cause::QueueOverflow, accept_queue_was_full),
    (Cause::QueueOverflow, datagram::receive_buffer_was_full),
    (Cause::SlowStart, new_process_was_too_slow),
    (Cause::SlowStop, old_process_was_too_slow),
    (Cause::NotAccepted, nobody_accepted),
    (Cause::StartLimit, start_limit_was_hit),
    (Cause::TriggerLimit, trigger_limit_was_hit),
    (Cause::SocketUnitDown, socket_unit_was_down),
    (Cause::PathUnlinked, path_was_unlinked),
    (Cause::Permission, permission_was_missing),
    (Cause::ProxyUpstream, proxy_had_no_upstream),
    (Cause::Application, application_was_wrong),
    (Cause::Tls, tls_failed),
    (Cause::GoawayRace, stream_crossed_a_goaway),
];

/// The only cause that explains the case.
pub(crate) fn infer(case: &Case<'_>) -> Cause {
    let mut causes = RULES.iter().filter(|(_, applies)| applies(case)).map(|&(cause, _)| cause);
    match (causes.next(), causes.next()) {
        (Some(only), None) => only,
        _ => Cause::Ambiguous,
    }
}

/// No connection came about because there was nothing to connect to.
const NOTHING_THERE: &[FailureClass] = &[FailureClass::Refused, FailureClass::PathMissing];

/// The connection ended before a byte of the answer.
const ENDED_BEFORE_ANSWER: &[FailureClass] = &[
    FailureClass::ResetBeforeResponse,
    FailureClass::ClosedBeforeResponse,
    FailureClass::WriteFailed,
    FailureClass::ConnectReset,
];

const ENDED_MID_ANSWER: &[FailureClass] = &[FailureClass::ResetMidResponse, FailureClass::ClosedMidResponse];

/// The server ended the stream, and said that it might have been processed.
const STREAM_ENDED: &[FailureClass] = &[FailureClass::StreamReset];

/// With a socket unit, only the kernel's word counts: an active unit is to hold its listener. Without one, a refusal
/// speaks for itself, unless the listener was seen to stay.
fn nobody_listened(case: &Case<'_>) -> bool {
    if !case.is(NOTHING_THERE) || start_limit_was_hit(case) {
        return false;
    }
    let listener = case.listener();
    if case.has_socket_unit() {
        return listener.is_some_and(|view| view.absent) && case.socket_is_active();
    }
    !listener.is_some_and(ListenerView::is_steady)
}

/// A killed process takes its listener and its open connections along, and both are reset: only a queue that
/// was seen to be filled tells the two apart, or a client that had not even begun to send, for an accepted connection
/// with nothing unread ends in order. A connection that had been open for long while no queue was filled had been
/// accepted.
fn listener_closed_over_its_queue(case: &Case<'_>) -> bool {
    let had_not_begun = case.is(&[FailureClass::ConnectReset]);
    let is_told_apart = !case.died_with_process() || case.queue_was_filled() || had_not_begun;
    let was_queued = case.may_have_been_queued() && is_told_apart;
    case.is(RESET) && !case.key.reused && case.listener_was_lost() && was_queued
}

/// A reset of a connection that did not wait in the queue of a listener that went means that the server closed it
/// with unread data; a write that failed, that it had closed it before, as does a reset that answers the request after
/// an orderly end. A manager does so as well: with what waits for a service that ended (FlushPending=), and with what
/// exceeds MaxConnections=.
fn accepted_but_never_read(case: &Case<'_>) -> bool {
    if case.key.reused || !case.is(ENDED_BEFORE_ANSWER) || case.hold() != Hold::Unread {
        return false;
    }
    let was_closed = case.is(&[FailureClass::ClosedBeforeResponse]);
    let was_reset = case.is(RESET) && (case.listener_was_kept() || !case.may_have_been_queued());
    // A busy client may find out long after.
    let was_closed_then = case.is(&[FailureClass::WriteFailed]) && case.was_open_while_stopping();
    let is_ending = case.is_in_ending() || was_closed_then;
    let by_manager = case.is_accepted_by_manager() && case.socket_is_active() || case.was_flushed();
    // A process that was killed over a filled queue may have had it in that queue.
    let is_told_apart = !case.died_with_process() || case.listener_was_kept() || !case.queue_was_filled();
    // With Accept=yes an orderly end may as well be that of the connection's own service.
    is_ending && (was_closed || was_reset) && is_told_apart || by_manager && was_reset
}

/// The server closed a kept connection that it took for idle, or ended with the request unread.
fn closed_before_it_was_read(case: &Case<'_>) -> bool {
    case.key.reused && case.is(ENDED_BEFORE_ANSWER) && case.hold() == Hold::Unread
}

/// It had been read, and its process ended or closed its connection as it stopped.
fn process_ended_in_flight(case: &Case<'_>) -> bool {
    let in_hand = match case.hold() {
        Hold::InHand => true,
        // A reset that the server asked for: it may have read it.
        Hold::Unknown => case.died_with_process() && (case.key.reused || case.listener_was_kept()),
        Hold::Unread => false,
    };
    let has_ended = case.is(ENDED_BEFORE_ANSWER) || case.is(ENDED_MID_ANSWER) || case.is(STREAM_ENDED);
    has_ended && in_hand && case.is_in_ending() && !case.was_flushed()
}

/// EAGAIN of a Unix socket says it all. A SYN without an answer needs the kernel's word, but for loopback:
/// nothing else drops one there.
fn accept_queue_was_full(case: &Case<'_>) -> bool {
    if case.is(&[FailureClass::QueueFull]) {
        return true;
    }
    if !case.is(&[FailureClass::ConnectTimeout]) {
        return false;
    }
    let overflows = case.timeline.rise("ListenOverflows", case.seen());
    let view = case.listener();
    let was_full = view.and_then(|view| view.peak).map(|(queued, backlog)| queued >= backlog);
    match (overflows, was_full) {
        (Some(1..), _) | (_, Some(true)) => true,
        (Some(0), _) | (_, Some(false)) => false,
        (None, None) => view.is_none() && case.is_local(),
    }
}

/// It waited for somebody to take it, and ran out of time.
const NEVER_TAKEN: &[FailureClass] = &[FailureClass::ResponseTimeout, FailureClass::NoConnection];

fn new_process_was_too_slow(case: &Case<'_>) -> bool {
    case.is(NEVER_TAKEN)
        && is_starting(case)
        && !case.waited_for_stop()
        && !is_up_in_vain(case)
        && !datagram::is_out_of_reach(case)
        && !datagram::is_unconfirmed(case)
}

pub(super) fn is_starting(case: &Case<'_>) -> bool {
    case.is_in(EventPhase::Starting) || case.is_in_unasked_start()
}

/// It came up, and nobody was ever answered.
fn is_up_in_vain(case: &Case<'_>) -> bool {
    !case.was_followed_by_an_answer() && (case.service_listens_elsewhere() || case.service_said_that_it_is_ready())
}

/// The greater part of the wait passed before the old process had ended. A kept connection was taken long before.
fn old_process_was_too_slow(case: &Case<'_>) -> bool {
    let was_taken = case.key.reused && case.is(&[FailureClass::ResponseTimeout]);
    case.is(NEVER_TAKEN)
        && case.waited_for_stop()
        && !was_taken
        && case.nothing_was_answered()
        && !datagram::is_out_of_reach(case)
        && !datagram::is_unconfirmed(case)
}

/// A process of the service ran, none stopped, and none took anything.
fn nobody_accepted(case: &Case<'_>) -> bool {
    case.is(NEVER_TAKEN)
        && (!is_starting(case) || is_up_in_vain(case))
        && case.service_ran()
        && !case.is_in(EventPhase::Down)
        && !case.waited_for_stop()
        && case.nothing_was_answered()
        && !datagram::is_out_of_reach(case)
        && !datagram::is_unconfirmed(case)
}

fn start_limit_was_hit(case: &Case<'_>) -> bool {
    case.is(NOTHING_THERE) && case.has_result(&["service-start-limit-hit", "start-limit-hit"])
}

fn trigger_limit_was_hit(case: &Case<'_>) -> bool {
    case.is(NOTHING_THERE) && case.has_result(&["trigger-limit-hit"])
}

fn socket_unit_was_down(case: &Case<'_>) -> bool {
    let by_limit = start_limit_was_hit(case) || trigger_limit_was_hit(case);
    case.is(NOTHING_THERE) && case.socket_is_down() && !by_limit
}

/// The path is gone although its listener should be there, or is there by the kernel's own word.
fn path_was_unlinked(case: &Case<'_>) -> bool {
    let listens = case.listener().map_or_else(|| case.socket_is_active(), |view| !view.absent);
    case.is(&[FailureClass::PathMissing]) && listens && !case.socket_is_down()
}

fn permission_was_missing(case: &Case<'_>) -> bool {
    case.is(&[FailureClass::Permission])
}

/// Only what is known to pass requests on answers for somebody else.
fn proxy_had_no_upstream(case: &Case<'_>) -> bool {
    let is_of_http = case.is(&[FailureClass::UnexpectedStatus]) && matches!(case.key.status, Some(502..=504));
    let is_of_grpc = case.is(&[FailureClass::UnexpectedGrpcStatus]) && case.key.grpc == Some(GrpcStatus::Unavailable);
    (is_of_http || is_of_grpc) && case.has_front()
}

fn application_was_wrong(case: &Case<'_>) -> bool {
    case.key.class.is_wrong() && !proxy_had_no_upstream(case)
}

fn tls_failed(case: &Case<'_>) -> bool {
    case.is(&[FailureClass::Tls])
}

/// Its request was written before the GOAWAY was read, for none is written after, and the GOAWAY says that it was not
/// processed. A RST_STREAM that says so has a code, and was meant for this stream alone.
fn stream_crossed_a_goaway(case: &Case<'_>) -> bool {
    case.is(&[FailureClass::StreamRefused]) && case.key.code.is_none()
}
