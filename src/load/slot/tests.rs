//! A slot by itself: no cohort, no counters, no engine.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::*;
use crate::record::begin::Begin;
use crate::scenario::plan::{Cohort, Destination};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A slot with kept connections to `address`, whose requests have this much time.
fn slot(address: SocketAddr, timeout: Duration) -> (Slot, Rc<Interruption>) {
    let record = include_str!("../../../tests/fixtures/ledger-socket.jsonl");
    let begin: Begin = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    let mut cohort: Cohort = begin.plan.cohorts[0].clone();
    cohort.target.connect = Destination::Host { host: address.ip().to_string(), port: address.port() };
    (cohort.target.timeout, cohort.target.connect_timeout) = (timeout, timeout);
    cohort.target.expect_body = None;
    let target = ReadyTarget::new(&cohort, false).unwrap();
    let policy = Rc::new(SlotPolicy { target, reuse: true, connect_delay: Duration::ZERO });
    let interruption = Interruption::new();
    (Slot::new(policy, Scratch::new(), Instances::default(), Rc::clone(&interruption)), interruption)
}

/// Accepts one connection after the other; answers `answers` requests on each and closes it then.
fn server(answers: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            for _ in 0..answers {
                read_head(&mut stream);
                stream.write_all(ANSWER).unwrap();
            }
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        head.push(byte[0]);
    }
}

async fn event(slot: &mut Slot) -> SlotEvent {
    poll_fn(|cx| slot.poll_event(cx)).await
}

/// What happens until the next request has ended: a letter for each event, and that request.
async fn until_ended(slot: &mut Slot) -> (String, Ended) {
    let mut seen = String::new();
    loop {
        seen.push(match event(slot).await {
            SlotEvent::ConnectCalled(_) => 'c',
            SlotEvent::Opened(_) => 'o',
            SlotEvent::IdleOver(Over::Ended, _) => 'i',
            SlotEvent::IdleOver(Over::Unasked, _) => 'u',
            SlotEvent::GoAways(_) => 'g',
            SlotEvent::Ended(ended) => return (seen, ended),
        });
    }
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn it_opens_a_connection_for_its_first_request_and_keeps_it_for_the_next() {
    let (mut slot, _) = slot(server(2), LONG);
    let due = clock::now();
    slot.start(Due { at: due, which: 0 }, MonoTime::default());
    let (seen, first) = until_ended(&mut slot).await;
    assert_eq!((seen.as_str(), first.due, first.trace.nth), ("co", due, 1));
    slot.start(Due { at: due, which: 0 }, first.end);
    let (seen, second) = until_ended(&mut slot).await;
    assert_eq!((seen.as_str(), second.trace.nth), ("", 2));
    assert!(first.result.is_ok() && second.result.is_ok(), "{first:?} {second:?}");
    assert!(second.lateness_ns.unwrap() <= second.end.nanos_since(first.end), "it was not free before");
}

#[tokio::test]
async fn it_tells_of_the_end_of_an_idle_connection_and_replaces_it() {
    let (mut slot, _) = slot(server(1), LONG);
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    assert_eq!(until_ended(&mut slot).await.0, "co");
    assert!(matches!(event(&mut slot).await, SlotEvent::IdleOver(Over::Ended, _)));
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    let (seen, ended) = until_ended(&mut slot).await;
    assert!(seen == "co" && ended.result.is_ok(), "{seen} {ended:?}");
}

#[tokio::test]
async fn a_connect_that_is_refused_ends_the_request_that_asked_for_it() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut slot, _) = slot(gone, LONG);
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    let (seen, ended) = until_ended(&mut slot).await;
    assert_eq!((seen.as_str(), ended.result.unwrap_err().class), ("c", FailureClass::Refused));
    assert!(ended.trace.local.is_some() && ended.trace.connected.is_none());
}

#[tokio::test]
async fn a_request_ends_when_its_time_is_over_and_its_connection_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut slot, _) = slot(listener.local_addr().unwrap(), Duration::from_millis(30));
    for _ in 0..2 {
        slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
        let (seen, ended) = until_ended(&mut slot).await;
        assert_eq!((seen.as_str(), ended.result.unwrap_err().class), ("co", FailureClass::ResponseTimeout));
    }
}

#[tokio::test]
async fn a_request_that_is_interrupted_ends_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut slot, interruption) = slot(listener.local_addr().unwrap(), LONG);
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    assert!(matches!(event(&mut slot).await, SlotEvent::ConnectCalled(_)));
    assert!(matches!(event(&mut slot).await, SlotEvent::Opened(_)));
    interruption.interrupt();
    let (_, ended) = until_ended(&mut slot).await;
    assert_eq!(ended.result.unwrap_err().class, FailureClass::Interrupted);
}

#[tokio::test]
async fn an_answer_that_came_before_its_request_was_sent_is_malformed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut slot, _) = slot(listener.local_addr().unwrap(), LONG);
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    assert!(matches!(event(&mut slot).await, SlotEvent::ConnectCalled(_)));
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(ANSWER).unwrap();
    let (seen, ended) = until_ended(&mut slot).await;
    assert_eq!((seen.as_str(), ended.result.unwrap_err().class), ("o", FailureClass::Malformed));
    // A connection that is closed with something unread is reset.
    let was_sent = ended.trace.sent.is_some() || stream.read(&mut [0]).is_ok_and(|bytes| bytes > 0);
    assert!(!was_sent, "{ended:?}");
}

#[tokio::test]
async fn bytes_between_two_requests_end_the_connection_before_the_next_one_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut slot, _) = slot(listener.local_addr().unwrap(), LONG);
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    assert!(matches!(event(&mut slot).await, SlotEvent::ConnectCalled(_)));
    let (mut stream, _) = listener.accept().unwrap();
    let server = std::thread::spawn(move || {
        read_head(&mut stream);
        stream.write_all(ANSWER).unwrap();
        stream
    });
    assert!(until_ended(&mut slot).await.1.result.is_ok());
    let mut stream = server.join().unwrap();
    stream.write_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").unwrap();
    slot.start(Due { at: clock::now(), which: 0 }, MonoTime::default());
    assert!(matches!(event(&mut slot).await, SlotEvent::IdleOver(Over::Unasked, _)));
    assert!(matches!(event(&mut slot).await, SlotEvent::ConnectCalled(_)));
    // A connection that is closed with something unread is reset.
    assert!(!stream.read(&mut [0]).is_ok_and(|bytes| bytes > 0), "nothing was sent");
}
