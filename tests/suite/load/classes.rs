//! Each failure class, injected an exact number of times.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use gapless::load::LoadHandle;
use gapless::model::{Disposition, Endpoint, FailureClass, FailureKey};
use gapless::scenario::plan::{Cohort, Connections, Pace};

use crate::load::harness::{Totals, cohort, load, until, until_answered};
use crate::load::server::{Conn, Fault, Server};

/// More than there are connections, so that each is lost several times.
const INJECTED: u64 = 23;
const RATE: f64 = 400.0;

fn reused(cohort: Cohort) -> Cohort {
    cohort
}

fn new(cohort: Cohort) -> Cohort {
    Cohort { connections: Connections::New, ..cohort }
}

fn quick(mut cohort: Cohort) -> Cohort {
    cohort.target.timeout = Duration::from_millis(150);
    cohort.target.connect_timeout = cohort.target.timeout;
    cohort
}

/// Injects `fault` over TCP and Unix, on kept and on new connections; each time the same key is counted.
async fn inject(fault: Fault, class: FailureClass, disposition: Disposition, status: Option<u16>) {
    for server in [Server::tcp, Server::unix] {
        for connections in [reused, new] {
            let server = server(fault, INJECTED);
            let totals = load(&[connections(cohort(&server.endpoint, RATE))], until_answered).await;
            totals.assert_adds_up();
            assert_eq!(totals.of(class), INJECTED, "{fault:?} on {}: {:?}", server.endpoint, totals.failures);
            assert_eq!(totals.failed(), INJECTED, "{fault:?} on {}: {:?}", server.endpoint, totals.failures);
            for key in totals.failures.keys() {
                assert_eq!((key.disposition, key.status), (disposition, status), "{fault:?} on {}", server.endpoint);
            }
            assert_eq!(totals.due, server.requests(), "every request came once");
        }
    }
}

#[tokio::test]
async fn reset_before_the_answer() {
    inject(Fault::ResetBefore, FailureClass::ResetBeforeResponse, Disposition::Unanswered, None).await;
}

#[tokio::test]
async fn closed_before_the_answer() {
    inject(Fault::CloseBefore, FailureClass::ClosedBeforeResponse, Disposition::Unanswered, None).await;
}

#[tokio::test]
async fn reset_in_the_head() {
    inject(Fault::ResetInHead, FailureClass::ResetMidResponse, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn closed_in_the_status_line() {
    inject(Fault::CloseInStatusLine, FailureClass::ClosedMidResponse, Disposition::Partial, None).await;
}

#[tokio::test]
async fn closed_in_the_head() {
    inject(Fault::CloseInHead, FailureClass::ClosedMidResponse, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn closed_in_a_body_with_a_length() {
    inject(Fault::CloseInBody, FailureClass::ClosedMidResponse, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn reset_in_a_body_with_a_length() {
    inject(Fault::ResetInBody, FailureClass::ResetMidResponse, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn closed_in_a_chunk() {
    inject(Fault::CloseInChunk, FailureClass::ClosedMidResponse, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    inject(Fault::Garbage, FailureClass::Malformed, Disposition::Partial, None).await;
}

#[tokio::test]
async fn a_chunk_without_a_size() {
    inject(Fault::GarbageInBody, FailureClass::Malformed, Disposition::Partial, Some(200)).await;
}

#[tokio::test]
async fn another_status() {
    inject(Fault::OtherStatus, FailureClass::UnexpectedStatus, Disposition::Answered, Some(503)).await;
}

#[tokio::test]
async fn another_body() {
    inject(Fault::OtherBody, FailureClass::UnexpectedBody, Disposition::Answered, Some(200)).await;
}

#[tokio::test]
async fn no_answer_in_time() {
    // With a slot for each request none of them waits for another.
    let server = Server::tcp(Fault::Stall, 3);
    let totals = load(&[quick(new(cohort(&server.endpoint, 20.0)))], until_answered).await;
    totals.assert_adds_up();
    assert_eq!(totals.of(FailureClass::ResponseTimeout), 3, "{:?}", totals.failures);
    assert!(totals.samples.iter().all(|sample| sample.sent.is_some() && sample.bytes_out > 0));
}

#[tokio::test]
async fn a_body_without_end_ends_at_its_timeout_and_costs_no_other_request() {
    // Always more to read for each: four of them keep the load's thread busy.
    let endless = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let chunks = "8\r\nendless \r\n".repeat(256);
        loop {
            conn.write_all(chunks.as_bytes())?;
        }
    });
    let mut flooded = Cohort { name: "flooded".to_owned(), ..cohort(&endless.endpoint, 1.0) };
    flooded.pace = Pace::Clients(4);
    flooded.target.timeout = Duration::from_millis(500);
    flooded.target.connect_timeout = flooded.target.timeout;
    let innocent = Server::tcp(Fault::Stall, 0);
    let totals = load(&[flooded, cohort(&innocent.endpoint, 100.0)], async |load: LoadHandle| {
        until(&load.live().dropped, 8).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!(totals.of(FailureClass::ResponseTimeout), endless.requests(), "{:?}", totals.failures);
    assert_eq!((totals.failed(), totals.ok), (endless.requests(), innocent.requests()));
    assert!(totals.samples.iter().all(|sample| sample.bytes_in > 0), "each was reading its own body to the last");
}

#[tokio::test]
async fn no_free_connection_in_time() {
    let server = Server::tcp(Fault::Stall, u64::MAX);
    // Enough are due at once for most to have passed their timeout when the only connection is given up.
    let one = Cohort { connections: Connections::Reused(1), ..quick(cohort(&server.endpoint, 20_000.0)) };
    let totals = load(&[one], async |load: LoadHandle| {
        until(&load.live().dropped, 400).await;
        load
    })
    .await;
    totals.assert_adds_up();
    let got_one = totals.of(FailureClass::ResponseTimeout) + totals.of(FailureClass::ConnectTimeout);
    assert_eq!(totals.of(FailureClass::NoConnection), totals.due - got_one);
    assert!(got_one >= server.requests() && got_one < totals.due, "{:?}", totals.failures);
}

#[tokio::test]
async fn a_request_that_cannot_be_written_whole() {
    for server in [Server::tcp, Server::unix] {
        let server = server(Fault::ResetBefore, u64::MAX);
        let mut post = cohort(&server.endpoint, 50.0);
        post.target.method = "POST".to_owned();
        // More than the buffers of both sides can hold.
        post.target.body = vec![b'x'; 64 << 20];
        let totals = load(&[post], async |load: LoadHandle| {
            until(&load.live().dropped, 5).await;
            load
        })
        .await;
        totals.assert_adds_up();
        assert_eq!(totals.of(FailureClass::WriteFailed), totals.due, "{:?}", totals.failures);
        assert!(totals.samples.iter().all(|sample| sample.bytes_out > 0 && sample.bytes_in == 0));
    }
}

#[tokio::test]
async fn an_answer_to_a_request_that_was_not_read_to_its_end_is_an_answer() {
    fn refuse(_: u64, conn: &mut Conn) -> io::Result<bool> {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n")?;
        Ok(false)
    }
    for server in [Server::tcp_with(refuse), Server::unix_with(refuse)] {
        let mut post = cohort(&server.endpoint, 50.0);
        post.target.method = "POST".to_owned();
        // More than the buffers of both sides can hold.
        post.target.body = vec![b'x'; 64 << 20];
        let totals = load(&[post], async |load: LoadHandle| {
            until(&load.live().wrong, 5).await;
            load
        })
        .await;
        totals.assert_adds_up();
        assert_eq!(totals.of(FailureClass::UnexpectedStatus), totals.due, "{:?}", totals.failures);
        assert_eq!(totals.connections.opened, totals.due, "none of them can serve another request");
    }
}

async fn load_in_vain(cohort: Cohort) -> Totals {
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().dropped, INJECTED).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!(totals.ok, 0);
    totals
}

fn only(class: FailureClass, errno: i32) -> FailureKey {
    FailureKey { errno: Some(errno), ..FailureKey::new(class, Disposition::Unsent) }
}

#[tokio::test]
async fn nobody_listens() {
    let tcp = Endpoint::Tcp(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    for (endpoint, has_port) in [(tcp, true), (Endpoint::Unix(stale), false)] {
        let totals = load_in_vain(cohort(&endpoint, RATE)).await;
        assert_eq!(totals.failures, [(only(FailureClass::Refused, 111), totals.due)].into());
        assert!(totals.samples.iter().all(|sample| sample.local.is_some() == has_port));
    }
}

#[tokio::test]
async fn the_path_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let totals = load_in_vain(cohort(&Endpoint::Unix(folder.path().join("none.sock")), RATE)).await;
    assert_eq!(totals.failures, [(only(FailureClass::PathMissing, 2), totals.due)].into());
}

#[tokio::test]
async fn the_queue_of_a_unix_socket_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // A backlog of 0 holds one; nobody ever accepts it.
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let totals = load_in_vain(cohort(&Endpoint::Unix(path), RATE)).await;
    assert_eq!(totals.failures, [(only(FailureClass::QueueFull, 11), totals.due)].into());
}

#[tokio::test]
async fn the_queue_of_a_tcp_socket_is_full() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
    let _first = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let totals = load_in_vain(quick(new(cohort(&endpoint, RATE)))).await;
    assert_eq!(totals.of(FailureClass::ConnectTimeout), totals.due, "{:?}", totals.failures);
}
