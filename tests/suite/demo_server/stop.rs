//! How it ends.

use std::time::Duration;

use gapless::demo::server::{Counts, ServerError, StopMode, Transport};

use crate::demo_server::client::{Client, End};
use crate::demo_server::server::TestServer;

/// Returns once the server has read as many requests: they are in flight then.
fn await_requests(server: &TestServer, requests: u64) {
    while server.counts().requests < requests {
        std::thread::yield_now();
    }
}

#[test]
fn a_graceful_stop_finishes_what_is_in_flight_and_closes_what_is_idle() {
    for transport in Transport::ALL {
        let server = TestServer::start(transport, |_| {});
        let (mut idle, mut busy) = (server.connect(), server.connect());
        idle.get("/");
        busy.send_get("/slow?ms=200");
        await_requests(&server, 2);
        server.background.request_stop();

        let idle_end = idle.receive_to_end();
        assert_eq!((idle_end.bytes.len(), idle_end.end), (0, End::Fin));
        let answer = busy.receive();
        assert_eq!(answer.class(Some("ok\n")), None);
        assert!(String::from_utf8_lossy(&answer.bytes).contains("Connection: close\r\n"));
        assert_eq!(busy.receive_to_end().end, End::Fin);
        assert_eq!(server.stop().answered, 2);
    }
}

#[test]
fn a_graceful_stop_lets_nobody_in_any_more() {
    let server = TestServer::start(Transport::Tcp, |_| {});
    let mut idle = server.connect();
    idle.get("/");
    let mut busy = server.connect();
    busy.send_get("/slow?ms=300");
    await_requests(&server, 2);
    server.background.request_stop();
    assert_eq!(idle.receive_to_end().end, End::Fin);
    assert!(Client::connect(&server.endpoint).is_err());
    assert_eq!(busy.receive().class(None), None);
}

#[test]
fn with_an_idle_grace_an_idle_connection_may_bring_one_more_request() {
    let server = TestServer::start(Transport::Tcp, |options| {
        options.idle_grace = Duration::from_secs(60);
        options.drain = Duration::from_secs(60);
    });
    let (mut used, mut fresh) = (server.connect(), server.connect());
    used.get("/");
    server.background.request_stop();
    while Client::connect(&server.endpoint).is_ok() {
        std::thread::yield_now();
    }
    for client in [&mut used, &mut fresh] {
        assert_eq!(client.get("/").0, 200);
        assert_eq!(client.receive_to_end().end, End::Fin);
    }
    assert_eq!(server.stop().answered, 3);
}

#[test]
fn a_race_closes_an_idle_connection_as_its_next_request_arrives_and_reads_none_of_it() {
    for transport in Transport::ALL {
        let server = TestServer::start(transport, |options| options.idle_race = true);
        let mut idle = server.connect();
        idle.get("/");
        server.background.request_stop();
        while Client::connect(&server.endpoint).is_ok() {
            std::thread::yield_now();
        }
        idle.send_get("/");
        assert_eq!(idle.receive().end, End::Reset);
        assert_eq!(server.stop().requests, 1);
    }
}

#[test]
fn a_drain_that_is_too_short_cuts_off_what_is_in_flight() {
    let server = TestServer::start(Transport::Tcp, |options| options.drain = Duration::from_millis(20));
    let mut busy = server.connect();
    busy.send_get("/slow?ms=60000");
    await_requests(&server, 1);
    let counts = server.stop();
    assert_eq!((counts.requests, counts.answered), (1, 0));
    let received = busy.receive();
    assert_eq!((received.bytes.len(), received.end), (0, End::Fin));
}

#[test]
fn an_abrupt_stop_drops_everything() {
    let server = TestServer::start(Transport::Tcp, |options| options.stop = StopMode::Abrupt);
    let mut busy = server.connect();
    busy.send_get("/slow?ms=60000");
    await_requests(&server, 1);
    assert_eq!(server.stop().answered, 0);
    assert_eq!(busy.receive().end, End::Fin);
}

#[test]
fn it_stops_once_it_has_answered_enough() {
    let server = TestServer::start(Transport::Unix, |options| options.exit_after = Some(3));
    for _ in 0..3 {
        server.connect().get("/");
    }
    assert_eq!(server.background.wait().unwrap().answered, 3);
}

#[test]
fn a_crash_is_an_error_and_drops_everything() {
    let server = TestServer::start(Transport::Unix, |options| options.crash_after = Some(Duration::from_millis(50)));
    let mut client = server.connect();
    let crashed = server.background.wait();
    assert!(matches!(crashed, Err(ServerError::Crashed { .. })), "{crashed:?}");
    assert_eq!(client.receive().end, End::Fin);
}

#[test]
fn its_path_stays_unless_it_is_told_to_remove_it() {
    for (unlink, remains) in [(false, true), (true, false)] {
        let server = TestServer::start(Transport::Unix, |options| options.unlink_own_path = unlink);
        let path = server.file("server.sock");
        assert!(path.exists());
        server.background.stop().unwrap();
        assert_eq!(path.exists(), remains);
    }
}

#[test]
fn a_path_that_an_earlier_server_left_is_taken_over() {
    let server = TestServer::start(Transport::Unix, |_| {});
    let options = gapless::demo::server::ServerOptions::listening_on(vec![server.endpoint.clone()]);
    server.background.stop().unwrap();
    let _second = gapless::demo::server::Background::start(options).unwrap();
    assert_eq!(Client::connect(&server.endpoint).unwrap().get("/").0, 200);
}

#[test]
fn the_counts_are_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.json");
    let server = TestServer::start(Transport::Tcp, |options| options.counts = Some(path.clone()));
    server.connect().get("/");
    assert!(!path.exists());
    let counts = server.stop();
    let written: Counts = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(written, counts);
}
