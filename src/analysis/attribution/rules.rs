//! The rules that infer a cause, one mechanism each.
//!
//! Every rule says by itself when it applies, so their order means nothing. Where none applies the evidence is
//! missing, where two apply it contradicts itself: both are [`Cause::Ambiguous`].

use super::case::{Case, RESET};
use crate::analysis::timeline::ListenerView;
use crate::model::{Cause, FailureClass};
use crate::result::EventPhase;
use crate::scenario::plan::Destination;

/// A mechanism, and whether it explains a case.
type Rule = (Cause, fn(&Case<'_>) -> bool);

const RULES: &[Rule] = &[
    (Cause::NoListener, nobody_listened),
    (Cause::AcceptQueueReset, listener_closed_over_its_queue),
    (Cause::AcceptedUnread, accepted_but_never_read),
    (Cause::KeepAliveRace, closed_while_in_the_air),
    (Cause::KilledInFlight, process_ended_in_flight),
    (Cause::QueueOverflow, accept_queue_was_full),
    (Cause::SlowStart, new_process_was_too_slow),
    (Cause::StartLimit, start_limit_was_hit),
    (Cause::TriggerLimit, trigger_limit_was_hit),
    (Cause::SocketUnitDown, socket_unit_was_down),
    (Cause::PathUnlinked, path_was_unlinked),
    (Cause::Permission, permission_was_missing),
    (Cause::ProxyUpstream, proxy_had_no_upstream),
    (Cause::Application, application_was_wrong),
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
/// with unread data; a write that failed, that it had closed it before. A manager does so as well: with what waits
/// for a service that ended (FlushPending=), and with what exceeds MaxConnections=.
fn accepted_but_never_read(case: &Case<'_>) -> bool {
    let was_closed = case.is(&[FailureClass::ClosedBeforeResponse]);
    let was_reset = case.is(RESET) && (case.listener_was_kept() || !case.may_have_been_queued());
    // A busy client may find out long after.
    let was_closed_then = case.is(&[FailureClass::WriteFailed]) && case.was_open_while_stopping();
    let is_stopping = (case.is_in(EventPhase::Stopping) || was_closed_then) && !case.died_with_process();
    let by_manager = case.is_accepted_by_manager() && case.socket_is_active() || case.was_flushed();
    // With Accept=yes an orderly end may as well be that of the connection's own service.
    !case.key.reused && (is_stopping && (was_closed || was_reset) || by_manager && was_reset)
}

/// A request that crosses the server's close on its way ends at once; one that took longer had arrived.
fn closed_while_in_the_air(case: &Case<'_>) -> bool {
    case.key.reused && case.is(ENDED_BEFORE_ANSWER) && !case.died_with_process() && !case.was_being_served()
}

fn process_ended_in_flight(case: &Case<'_>) -> bool {
    if case.is(ENDED_MID_ANSWER) {
        return case.is_in(EventPhase::Stopping) || case.is_at_exit();
    }
    // On a new connection a reset may come from the accept queue of a listener that went away as well.
    let had_the_request = case.key.reused || case.is(&[FailureClass::ClosedBeforeResponse]) || case.listener_was_kept();
    case.is(ENDED_BEFORE_ANSWER) && had_the_request && case.died_with_process()
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
        (None, None) => view.is_none() && is_on_loopback(case.destination()),
    }
}

fn is_on_loopback(destination: &Destination) -> bool {
    match destination {
        Destination::Unix(_) => true,
        Destination::Host { host, .. } => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

fn new_process_was_too_slow(case: &Case<'_>) -> bool {
    case.is(&[FailureClass::ResponseTimeout, FailureClass::NoConnection])
        && (case.is_in(EventPhase::Starting) || case.is_in_unasked_start())
        && !case.is_in(EventPhase::Stopping)
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

fn proxy_had_no_upstream(case: &Case<'_>) -> bool {
    case.is(&[FailureClass::UnexpectedStatus]) && matches!(case.key.status, Some(502..=504))
}

fn application_was_wrong(case: &Case<'_>) -> bool {
    case.key.class.is_wrong() && !proxy_had_no_upstream(case)
}
