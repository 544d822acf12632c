//! The kernel's word confirms a cause, stands in for a missing one, or contradicts it.

use std::net::SocketAddr;

use super::{behind_socket, of_new, of_reused, plain, segments, socket_becomes};
use crate::analysis::analyse;
use crate::analysis::simulator::plan::queue;
use crate::analysis::simulator::{Request, Simulation, at_ms, at_us};
use crate::model::Cause::{
    AcceptQueueReset, AcceptedUnread, Ambiguous, KeepAliveRace, KilledInFlight, NoListener, StartLimit,
};
use crate::model::{Cause, FailureClass, FailureKey, MonoTime};
use crate::record::line::{Line, TraceEvent, Traced};
use crate::result::ScenarioResult;
use crate::scenario::plan::Destination;

const NONE: Option<Cause> = None;

fn target() -> SocketAddr {
    ([127, 0, 0, 1], 8010).into()
}

fn client(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn trace(at: MonoTime, traced: Traced) -> Line {
    Line::Trace(TraceEvent { at, traced })
}

fn reset(us: u64, port: u16, state: &str, reason: &str) -> Line {
    let (state, reason) = (state.to_owned(), Some(reason.to_owned()));
    trace(at_us(us), Traced::ResetSent { from: target(), to: client(port), state, reason })
}

fn listener_down(us: u64) -> Line {
    trace(at_us(us), Traced::ListenerDown { local: target(), cookie: Some(7) })
}

impl Simulation {
    /// The result of one failure from port 40000, due and sent at that time, ended that much later.
    pub(super) fn losing(mut self, key: FailureKey, due_ms: u64, took_ms: u64) -> ScenarioResult {
        let (due_us, end_us) = (due_ms * 1_000, Some((due_ms + took_ms) * 1_000));
        self.requests.push(Request { cohort: 1, due_us, sent_us: Some(due_us), end_us, fate: Err(key) });
        let record = self.record_with(|lines| {
            let samples = segments(lines).flat_map(|segment| &mut segment.samples);
            samples.for_each(|sample| sample.local = Some(client(40_000).to_string()));
        });
        analyse(&record)
    }
}

/// The only cause, and the attested one.
fn causes(result: &ScenarioResult) -> (Cause, Option<Cause>) {
    assert_eq!(result.causes.values().sum::<u64>(), 1);
    let only = result.causes.first_key_value().expect("one cause");
    (*only.0, result.attested.first_key_value().map(|(&cause, _)| cause))
}

#[test]
fn a_refusal_without_a_socket_attests_that_nobody_listened() {
    let refused = of_new(FailureClass::Refused);
    let no_socket = || [reset(2_030_050, 40_000, "UNKNOWN", "NO_SOCKET")];
    let result = plain().seeing(no_socket()).losing(refused, 2_030, 1);
    assert_eq!(causes(&result), (NoListener, Some(NoListener)));
    assert!(result.evidence[0].sentence.ends_with(" (attested by the kernel's trace)"), "{:?}", result.evidence);
    let late = plain().seeing([reset(5_000_050, 40_000, "UNKNOWN", "NO_SOCKET")]).losing(refused, 5_000, 1);
    assert_eq!(causes(&late), (NoListener, Some(NoListener)), "the kernel knows better than the phases of an event");
}

#[test]
fn a_reset_of_another_connection_or_time_attests_nothing() {
    let refused = of_new(FailureClass::Refused);
    for stranger in [
        reset(2_030_050, 40_001, "UNKNOWN", "NO_SOCKET"),
        reset(1_930_050, 40_000, "UNKNOWN", "NO_SOCKET"),
        reset(2_130_050, 40_000, "UNKNOWN", "NO_SOCKET"),
    ] {
        let result = plain().seeing([stranger]).losing(refused, 2_030, 1);
        assert_eq!(causes(&result), (NoListener, NONE));
        assert!(result.evidence[0].sentence.ends_with(" (inferred)"), "{:?}", result.evidence);
    }
}

#[test]
fn that_nobody_listened_does_not_attest_the_limit_behind_it() {
    let run = socket_becomes("failed", "service-start-limit-hit");
    let result =
        run.seeing([reset(2_200_050, 40_000, "UNKNOWN", "NO_SOCKET")]).losing(of_new(FailureClass::Refused), 2_200, 1);
    assert_eq!(causes(&result), (StartLimit, NONE));
}

#[test]
fn a_reset_as_the_listener_goes_attests_the_accept_queue() {
    let failed = of_new(FailureClass::ResetBeforeResponse);
    let closed = |down_us| [listener_down(down_us), reset(2_012_000, 40_000, "TCP_CLOSE", "TCP_STATE")];
    let result = |down_us| plain().seeing(closed(down_us)).losing(failed, 2_001, 14);
    assert_eq!(causes(&result(2_011_990)), (AcceptQueueReset, Some(AcceptQueueReset)));
    assert_eq!(causes(&result(2_002_000)), (AcceptQueueReset, Some(AcceptQueueReset)), "its turn came late");
    assert_eq!(causes(&result(1_999_000)), (Ambiguous, NONE), "it began after that listener had gone");
    assert_eq!(causes(&result(2_012_010)), (Ambiguous, NONE), "before the listener it has another reason");
}

#[test]
fn on_a_busy_machine_the_last_of_an_accept_queue_is_reset_long_after_its_listener_went() {
    let failed = of_new(FailureClass::ResetBeforeResponse);
    let closed = |reason: Option<&str>| {
        let (state, reason) = ("TCP_CLOSE".to_owned(), reason.map(str::to_owned));
        let sent = Traced::ResetSent { from: target(), to: client(40_000), state, reason };
        [listener_down(2_020_000), trace(at_us(2_060_000), sent)]
    };
    let result = |reason| plain().seeing(closed(reason)).losing(failed, 2_010, 55);
    assert_eq!(causes(&result(Some("TCP_STATE"))), (AcceptQueueReset, Some(AcceptQueueReset)));
    assert_eq!(causes(&result(None)).1, NONE, "40 ms later it may have another reason, if the kernel tells none");
}

#[test]
fn a_handshake_that_lost_its_listener_was_in_a_queue_of_it() {
    let no_socket = [listener_down(2_011_990), reset(2_012_000, 40_000, "UNKNOWN", "NO_SOCKET")];
    for class in [FailureClass::ConnectReset, FailureClass::ResetBeforeResponse] {
        let result = plain().by_kill().seeing(no_socket.clone()).losing(of_new(class), 2_011, 2);
        assert_eq!(causes(&result), (AcceptQueueReset, Some(AcceptQueueReset)), "{class:?}");
    }
    let kept = behind_socket().seeing(no_socket).losing(of_new(FailureClass::ResetBeforeResponse), 2_011, 2);
    assert_eq!(causes(&kept).1, NONE, "the manager's listener stayed");
}

#[test]
fn what_a_killed_process_had_accepted_is_told_from_what_was_queued() {
    let failed = of_new(FailureClass::ResetBeforeResponse);
    let filled = [queue(at_ms(2_000), Some((700, 3))), queue(at_ms(2_025), None)];
    let result = |word: Line| {
        let lines = [listener_down(2_011_990), word].into_iter().chain(filled.clone());
        plain().by_kill().seeing(lines.collect::<Vec<_>>()).losing(failed, 2_010, 5)
    };
    let accepted = result(reset(2_012_000, 40_000, "TCP_CLOSE", "TCP_ABORT_ON_CLOSE"));
    assert_eq!(causes(&accepted), (AcceptedUnread, Some(AcceptedUnread)), "it had been accepted, and not read");
    let queued = result(reset(2_012_000, 40_000, "TCP_CLOSE", "TCP_STATE"));
    assert_eq!(causes(&queued), (AcceptQueueReset, Some(AcceptQueueReset)));
}

#[test]
fn a_close_with_unread_data_attests_that_nobody_read() {
    let failed = of_new(FailureClass::ResetBeforeResponse);
    let unread = || [reset(2_012_000, 40_000, "TCP_CLOSE", "TCP_ABORT_ON_CLOSE")];
    assert_eq!(
        causes(&behind_socket().seeing(unread()).losing(failed, 2_010, 5)),
        (AcceptedUnread, Some(AcceptedUnread))
    );
    assert_eq!(
        causes(&plain().seeing(unread()).losing(failed, 2_010, 5)),
        (AcceptedUnread, Some(AcceptedUnread)),
        "although its listener went"
    );
}

#[test]
fn what_is_closed_unread_as_a_socket_stops_may_be_the_managers_doing() {
    let failed = of_new(FailureClass::ResetBeforeResponse);
    let sentence = |run: Simulation| {
        let unread = reset(2_012_000, 40_000, "TCP_CLOSE", "TCP_ABORT_ON_CLOSE");
        run.seeing([unread]).losing(failed, 2_010, 5).evidence.swap_remove(0).sentence
    };
    assert!(sentence(behind_socket()).contains(": PID 812 accepted"), "{}", sentence(behind_socket()));
    let stopped = sentence(socket_becomes("inactive", "success"));
    assert!(
        stopped.contains(": systemd or PID 812 accepted") && stopped.contains("as ledger.socket stopped"),
        "{stopped}"
    );
}

#[test]
fn a_write_after_the_servers_close_attests_a_keep_alive_race() {
    let failed = of_reused(FailureClass::ResetBeforeResponse);
    let crossed = || [reset(2_010_200, 40_000, "TCP_TIME_WAIT", "TCP_TIMEWAIT_SOCKET")];
    let result = plain().seeing(crossed()).losing(failed, 2_010, 1);
    assert_eq!(causes(&result), (KeepAliveRace, Some(KeepAliveRace)));
    let killed = plain().by_kill().seeing(crossed()).losing(failed, 2_010, 1);
    assert_eq!(causes(&killed), (KeepAliveRace, Some(KeepAliveRace)), "also as it was killed: it was not in hand");
    let closed = plain().by_kill().losing(of_reused(FailureClass::ClosedBeforeResponse), 2_010, 1);
    assert_eq!(causes(&closed), (KilledInFlight, NONE), "that it died is not the trace's word");
}

#[test]
fn a_wrong_answer_is_not_explained_by_a_reset() {
    let wrong = of_reused(FailureClass::UnexpectedStatus);
    let after = [reset(2_030_200, 40_000, "TCP_TIME_WAIT", "TCP_TIMEWAIT_SOCKET")];
    assert_eq!(causes(&plain().seeing(after).losing(wrong, 2_030, 1)), (Cause::Application, NONE));
}

fn traced_from_to(from_ms: u64, to_ms: u64, left_out: u64) -> [Line; 2] {
    let began = Traced::Began { targets: vec![target()] };
    [trace(at_ms(from_ms), began), trace(at_ms(to_ms), Traced::Ended { left_out })]
}

#[test]
fn a_pass_is_attested_by_a_trace_that_was_there_all_the_time_and_saw_no_listener_go() {
    let says = |lines: Vec<Line>| {
        let result = analyse(&behind_socket().seeing(lines).record());
        result.reasons.iter().any(|reason| reason.contains("the listener never left TCP_LISTEN"))
    };
    let whole = || traced_from_to(0, 15_000, 0).to_vec();
    assert!(says(whole()));
    assert!(!says(Vec::new()), "no trace");
    assert!(!says(traced_from_to(0, 15_000, 1).to_vec()), "an event is missing");
    assert!(!says(traced_from_to(2_001, 15_000, 0).to_vec()), "it began late");
    assert!(!says(traced_from_to(0, 14_000, 0).to_vec()), "it ended early");
    assert!(!says(whole().into_iter().take(1).collect()), "it did not end");
    assert!(!says([whole(), vec![listener_down(2_010_000)]].concat()), "a listener went");
    assert!(says([whole(), vec![listener_down(1_500_000)]].concat()), "before the event");
}

#[test]
fn a_pass_is_not_attested_for_an_address_that_was_not_traced() {
    for host in ["127.0.0.2", "192.0.2.7", "ledger.example"] {
        let elsewhere = Destination::Host { host: host.to_owned(), port: 8010 };
        let run = behind_socket().seeing(traced_from_to(0, 15_000, 0)).connecting_to(&elsewhere);
        let reasons = analyse(&run.record()).reasons;
        assert!(!reasons.iter().any(|reason| reason.contains("TCP_LISTEN")), "{host}: {reasons:?}");
    }
}

#[test]
fn a_listener_on_the_same_port_in_another_network_namespace_is_none_of_ours() {
    let down = |cookie| trace(at_us(2_010_000), Traced::ListenerDown { local: target(), cookie });
    let attested_of = |gone: Line, looks: Vec<Line>| {
        let lines = [traced_from_to(0, 15_000, 0).to_vec(), vec![gone], looks].concat();
        let result = analyse(&behind_socket().seeing(lines).record());
        result.reasons.iter().any(|reason| reason.contains("the listener never left TCP_LISTEN"))
    };
    let attested = |looks: Vec<Line>| attested_of(down(Some(7)), looks);
    let look = |ms, cookie| {
        let Line::Queue(mut look) = queue(at_ms(ms), Some((700, 0))) else { unreachable!("it is one") };
        look.listeners.iter_mut().for_each(|listener| listener.cookie = cookie);
        Line::Queue(look)
    };
    assert!(attested(vec![look(0, Some(8)), look(2_400, Some(8))]), "the one that went was another socket");
    assert!(attested(vec![look(0, Some(8))]), "whatever came after");
    assert!(!attested(vec![look(0, Some(7)), look(2_400, Some(8))]), "it was ours");
    assert!(!attested(vec![look(0, None), look(2_400, None)]), "whose it was is not known");
    assert!(!attested(vec![look(2_020, Some(8))]), "nobody looked before");
    assert!(!attested(vec![look(2_010, Some(8))]), "at that very moment, a look may be of just after");
    let shut_down = attested_of(down(None), vec![look(0, Some(8)), look(2_400, Some(8))]);
    assert!(!shut_down, "one that was shut down may be ours, and listen again");
}

#[test]
fn the_gap_of_a_listener_is_told_to_the_microsecond() {
    let up = |us| trace(at_us(us), Traced::ListenerUp { local: target() });
    let told = |moves: &[Line]| {
        let mut run = plain().seeing(moves.to_vec());
        let refused = |due_us| Request {
            cohort: 1,
            due_us,
            sent_us: Some(due_us),
            end_us: Some(due_us + 100),
            fate: Err(of_new(FailureClass::Refused)),
        };
        run.requests.extend([2_021_000, 2_055_000].map(refused));
        let result = analyse(&run.record());
        let sentence = result.evidence[0].sentence.clone();
        let (gaps, _) = sentence.split_once(", between the exit").expect("the processes are told");
        gaps.to_owned()
    };
    let once = [listener_down(2_020_100), up(2_060_000)];
    assert_eq!(told(&once), "2 refused: no process was listening on 127.0.0.1:8010 from 1.020 s to 1.060 s");
    // A server that tests its configuration binds its addresses for it.
    let twice = [listener_down(2_020_100), up(2_040_900), listener_down(2_041_900), up(2_060_000)];
    assert_eq!(
        told(&twice),
        "2 refused: no process was listening on 127.0.0.1:8010 from 1.020 s to 1.041 s and from 1.042 s to 1.060 s"
    );
    let often: Vec<Line> =
        (0..5).flat_map(|n| [listener_down(2_020_000 + n * 8_000), up(2_024_000 + n * 8_000)]).collect();
    assert_eq!(
        told(&often),
        "2 refused: no process was listening on 127.0.0.1:8010 5 times between 1.020 s and 1.056 s"
    );
}
