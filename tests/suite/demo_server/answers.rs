//! What it answers when nothing is wrong.

use std::time::Duration;

use gapless::clock;
use gapless::demo::server::{Counts, Transport};

use crate::demo_server::client::{Client, End};
use crate::demo_server::server::TestServer;

fn server(transport: Transport) -> TestServer {
    TestServer::start(transport, |_| {})
}

#[test]
fn an_answer_is_these_bytes() {
    for transport in Transport::ALL {
        let server = server(transport);
        let mut client = server.connect();
        client.send_get("/health");
        let bytes = String::from_utf8(client.receive().bytes).unwrap();
        assert_eq!(
            bytes,
            "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n"
        );
    }
}

#[test]
fn one_connection_serves_many_requests_and_all_are_counted() {
    let server = server(Transport::Tcp);
    let mut client = server.connect();
    for _ in 0..7 {
        assert_eq!(client.get("/"), (200, "ok\n".to_owned()));
    }
    server.connect().get("/");
    let counts = server.stop();
    assert_eq!((counts.connections, counts.requests, counts.answered), (2, 8, 8));
}

#[test]
fn each_path_has_its_answer() {
    let server = server(Transport::Unix);
    let mut client = server.connect();
    assert_eq!(client.get("/pid"), (200, format!("{}\n", std::process::id())));
    assert_eq!(client.get("/socket"), (200, "own\n".to_owned()));
    assert_eq!(client.get("/slow?ms=1"), (200, "ok\n".to_owned()));
    assert_eq!(client.get("/bytes?n=200000"), (200, "x".repeat(200_000)));
    assert_eq!(client.get("/bytes").0, 400);
    assert_eq!(client.get("/nowhere").0, 404);
}

#[test]
fn a_body_is_read_to_its_end_before_the_next_request() {
    let server = server(Transport::Tcp);
    let mut client = server.connect();
    let body = "GET /nowhere HTTP/1.1\r\n\r\n".repeat(10_000);
    let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send((head + &body).as_bytes()).unwrap();
    assert_eq!(client.receive().class(Some("ok\n")), None);
    assert_eq!(client.get("/").0, 200);
    assert_eq!(server.stop().requests, 2);
}

#[test]
fn a_head_request_gets_a_head() {
    let server = server(Transport::Tcp);
    let mut client = server.connect();
    client.send(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let received = client.receive_to_end();
    assert!(received.bytes.ends_with(b"Content-Length: 3\r\nConnection: close\r\n\r\n"), "{received:?}");
    assert_eq!(received.end, End::Fin);
}

#[test]
fn what_is_no_request_is_refused_with_a_status_and_an_end_of_file() {
    let server = server(Transport::Tcp);
    let mut client = server.connect();
    client.send(b"GET / HTTP/2.0\r\n\r\nmore that nobody reads").unwrap();
    let received = client.receive_to_end();
    assert!(received.bytes.starts_with(b"HTTP/1.1 505 "), "{received:?}");
    assert_eq!(received.end, End::Fin);
    assert_eq!(server.counts().requests, 0);
}

#[test]
fn asking_for_the_counts_changes_none() {
    let server = server(Transport::Unix);
    server.connect().get("/");
    let ask = |client: &mut Client| serde_json::from_str::<Counts>(&client.get("/-/counts").1).unwrap();
    let mut client = server.connect();
    let (first, second) = (ask(&mut client), ask(&mut client));
    assert_eq!((first.connections, first.requests, first.answered), (1, 1, 1));
    assert_eq!(second, first);
    assert_eq!(server.counts(), first);
}

#[test]
fn the_access_log_has_one_line_for_each_answer_and_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    for _ in 0..2 {
        let server = TestServer::start(Transport::Tcp, |options| {
            options.access_log = Some(gapless::demo::server::LogTarget::File(log.clone()));
            options.faults = vec!["close-before@every=2".parse().unwrap(), "wrong-status@every=3".parse().unwrap()];
        });
        for _ in 0..3 {
            let mut client = server.connect();
            client.send_get("/slow?ms=0");
            client.receive();
        }
        assert_eq!(server.stop().answered, 2);
    }
    let lines = "GET /slow?ms=0 200\nGET /slow?ms=0 500\n".repeat(2);
    assert_eq!(std::fs::read_to_string(log).unwrap(), lines);
}

#[test]
fn nothing_is_answered_while_it_is_frozen() {
    let server = TestServer::start(Transport::Tcp, |options| {
        options.freeze_at = Some(Duration::ZERO);
        options.freeze_for = Some(Duration::from_millis(300));
    });
    let freeze = server.counts().freeze.unwrap();
    assert_eq!(freeze.until.since(freeze.from), Duration::from_millis(300));
    server.connect().get("/");
    assert!(clock::now() >= freeze.until);
}
