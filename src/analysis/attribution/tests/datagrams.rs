//! Datagrams that nobody answered, by what became of the socket that they were sent to.

use super::*;
use crate::model::address::Listener;
use crate::record::line::Queue;

const SOCKET: u64 = 7;
const OTHER_SOCKET: u64 = 8;

fn restarted_over_udp(has_socket: bool) -> Simulation {
    restarted(has_socket).connecting_to(&Destination::Udp { host: "127.0.0.1".to_owned(), port: 8010 })
}

/// What a look shows: the socket with the bytes that wait in it and the datagrams that were dropped, or none.
fn look(ms: u64, socket: Option<(u64, u32, u32)>) -> Line {
    let listener = |(inode, queued, drops)| Listener {
        endpoint: Endpoint::Udp(([127, 0, 0, 1], 8010).into()),
        inode,
        queued,
        backlog: 212_992,
        cookie: None,
        drops: Some(drops),
    };
    Line::Queue(Queue { at: at_ms(ms), listeners: socket.map(listener).into_iter().collect() })
}

fn unanswered() -> FailureKey {
    of_new(FailureClass::ResponseTimeout)
}

#[test]
fn unanswered_while_the_kernel_dropped_datagrams_is_an_overflow() {
    let cause = |queued, drops| {
        let looks = [look(1_900, Some((SOCKET, 0, 3))), look(2_150, Some((SOCKET, queued, drops)))];
        restarted_over_udp(true).never_answering().seeing(looks).cause(unanswered(), 2_100, 10_000)
    };
    assert_eq!(cause(212_000, 9), Cause::QueueOverflow);
    assert_eq!(cause(212_000, 3), Cause::SlowStart, "it was full, and dropped none since");
}

#[test]
fn what_a_new_socket_has_dropped_by_the_first_look_at_it_was_dropped_since_it_was_made() {
    let cause = |inode, drops| {
        let looks = [look(1_900, Some((SOCKET, 0, 5))), look(2_150, Some((inode, 212_000, drops)))];
        restarted_over_udp(true).never_answering().seeing(looks).cause(unanswered(), 2_100, 10_000)
    };
    assert_eq!(cause(OTHER_SOCKET, 5), Cause::QueueOverflow);
    assert_ne!(cause(OTHER_SOCKET, 0), Cause::QueueOverflow);
    assert_ne!(cause(SOCKET, 5), Cause::QueueOverflow, "the old one had dropped them before");
}

#[test]
fn a_datagram_goes_with_the_queue_of_a_socket_that_is_closed() {
    let cause = |after: Option<(u64, u32, u32)>| {
        let looks = [look(1_900, Some((SOCKET, 0, 0))), look(2_030, None), look(2_055, after)];
        restarted_over_udp(false).seeing(looks).cause(unanswered(), 2_010, 1_000)
    };
    assert_eq!(cause(Some((OTHER_SOCKET, 0, 0))), Cause::AcceptQueueReset);
    let kept = [look(1_900, Some((SOCKET, 0, 0))), look(2_055, Some((SOCKET, 0, 0)))];
    let cause = restarted_over_udp(false).seeing(kept).cause(unanswered(), 2_010, 1_000);
    assert_eq!(cause, Cause::KilledInFlight, "the queue stayed: who took it has ended");
}

#[test]
fn a_killed_process_had_it_in_hand_unless_a_queue_was_seen() {
    let cause = |queued| {
        let looks =
            [look(1_900, Some((SOCKET, queued, 0))), look(2_030, None), look(2_055, Some((OTHER_SOCKET, 0, 0)))];
        restarted_over_udp(false).by_kill().seeing(looks).cause(unanswered(), 2_010, 1_000)
    };
    assert_eq!((cause(0), cause(832)), (Cause::KilledInFlight, Cause::AcceptQueueReset));
}

#[test]
fn what_the_new_process_might_still_answer_is_a_slow_start() {
    let kept = || [look(1_900, Some((SOCKET, 0, 0))), look(2_055, Some((SOCKET, 832, 0)))];
    let silent = restarted_over_udp(true).never_answering().seeing(kept());
    assert_eq!(silent.cause(unanswered(), 2_100, 10_000), Cause::SlowStart);
    let others = restarted_over_udp(true).seeing(kept());
    assert_eq!(others.cause(unanswered(), 2_100, 10_000), Cause::Ambiguous, "others were answered");
}

#[test]
fn nothing_is_inferred_from_the_silence_of_what_never_answers() {
    let looks = || [look(1_900, Some((SOCKET, 0, 3))), look(2_150, Some((SOCKET, 212_000, 7)))];
    let run = |has_answered: bool| {
        let mut run = restarted_over_udp(true).never_answering().seeing(looks());
        run.requests.retain(|_| has_answered);
        run
    };
    assert_eq!(run(true).cause(unanswered(), 2_100, 10_000), Cause::QueueOverflow);
    assert_eq!(run(false).cause(unanswered(), 2_100, 10_000), Cause::Ambiguous);
    let mut result = run(false).losing(unanswered(), 2_100, 10_000);
    let told = result.evidence.swap_remove(0);
    let sentence = "1 response timeout: udp://127.0.0.1:8010 answered nothing in this run: these were sent and not refused, at \
                    11.100 s; the kernel dropped 4 datagrams there for want of room; what was taken is unknown";
    assert_eq!(told.sentence, sentence);
    assert!(told.remedy.is_some_and(|remedy| remedy.contains("the receiver's own count")));
    let mut alone = restarted_over_udp(false).never_answering();
    alone.requests.clear();
    let refused = alone.cause(of_new(FailureClass::Refused), 2_010, 1);
    assert_eq!(refused, Cause::NoListener, "a refusal speaks for itself");
}
