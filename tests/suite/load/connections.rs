//! How connections are used, kept and replaced.

use std::sync::{Arc, Mutex};

use gapless::load::LoadHandle;
use gapless::model::FailureClass;
use gapless::scenario::plan::{Cohort, Connections, Pace};

use crate::load::harness::{cohort, load, until, until_answered};
use crate::load::server::{ANSWER, Fault, Server};

async fn answered(times: u64, load: LoadHandle) -> LoadHandle {
    until(&load.live().ok, times).await;
    load
}

fn one(cohort: Cohort) -> Cohort {
    Cohort { connections: Connections::Reused(1), ..cohort }
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced_and_nothing_fails() {
    let server = Server::tcp(Fault::AnswerAndClose, 200);
    let totals = load(&[one(cohort(&server.endpoint, 1_000.0))], |load| answered(210, load)).await;
    totals.assert_adds_up();
    assert_eq!(totals.failed(), 0, "{:?}", totals.failures);
    assert_eq!(totals.connections.closed_idle, 200);
    assert_eq!((totals.connections.opened, server.connections()), (201, 201));
}

#[tokio::test]
async fn a_close_that_came_with_the_answer_is_noticed_before_the_next_request_is_written() {
    let server = Server::tcp(Fault::AnswerAndClose, 200);
    let client = Cohort { pace: Pace::Clients(1), ..one(cohort(&server.endpoint, 1.0)) };
    let totals = load(&[client], |load| answered(210, load)).await;
    totals.assert_adds_up();
    assert_eq!(totals.failed(), 0, "{:?}", totals.failures);
    assert_eq!(totals.connections.closed_idle, 200);
    assert_eq!(totals.due, server.requests(), "no request was sent twice");
}

#[tokio::test]
async fn a_connection_whose_end_was_announced_is_not_idle() {
    let server = Server::tcp(Fault::AnnounceClose, 30);
    let totals = load(&[one(cohort(&server.endpoint, 500.0))], |load| answered(35, load)).await;
    totals.assert_adds_up();
    assert_eq!((totals.failed(), totals.connections.closed_idle, totals.connections.opened), (0, 0, 31));
    assert_eq!(totals.connections.reused_requests, totals.ok - 31);
}

#[tokio::test]
async fn answers_that_only_the_close_delimits_are_counted() {
    let server = Server::tcp(Fault::Unframed, 30);
    let totals = load(&[cohort(&server.endpoint, 500.0)], |load| answered(40, load)).await;
    totals.assert_adds_up();
    assert_eq!((totals.failed(), totals.connections.unframed, totals.connections.closed_idle), (0, 30, 0));
}

#[tokio::test]
async fn new_connections_serve_one_request_each_and_say_so() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let server = Server::tcp_with(move |_, conn| {
        seen.lock().unwrap().push(conn.take_request()?);
        conn.write_all(ANSWER)?;
        Ok(true)
    });
    let new = Cohort { connections: Connections::New, ..cohort(&server.endpoint, 500.0) };
    let totals = load(&[new], |load| answered(20, load)).await;
    totals.assert_adds_up();
    assert_eq!((totals.connections.opened, totals.connections.reused_requests), (totals.due, 0));
    assert_eq!(totals.statuses, [(200, totals.ok)].into());
    for head in heads.lock().unwrap().iter() {
        assert!(head.starts_with("GET /health?x=1 HTTP/1.1\r\n"), "{head}");
        for field in ["host: target\r\n", "x-test: yes\r\n", "connection: close\r\n"] {
            assert!(head.to_lowercase().contains(field), "{head}");
        }
    }
}

#[tokio::test]
async fn all_connections_take_their_turn() {
    let server = Server::tcp(Fault::Stall, 0);
    let totals = load(&[cohort(&server.endpoint, 500.0)], |load| answered(40, load)).await;
    assert!(totals.connections.opened <= 4);
    assert_eq!(totals.connections.reused_requests, totals.ok - totals.connections.opened);
}

#[tokio::test]
async fn what_the_server_did_to_a_fresh_connection_fails_the_request() {
    // Closed before the client, which waits after connecting, has written.
    let server = Server::tcp_closing_at_once(20);
    let mut waiting = Cohort { connections: Connections::New, ..cohort(&server.endpoint, 200.0) };
    waiting.connect_delay = std::time::Duration::from_millis(20);
    let totals = load(&[waiting], until_answered).await;
    totals.assert_adds_up();
    let lost = totals.of(FailureClass::ClosedBeforeResponse) + totals.of(FailureClass::ResetBeforeResponse);
    assert_eq!((lost, totals.failed()), (20, 20), "{:?}", totals.failures);
    assert_eq!(totals.connections.closed_idle, 0);
}

/// What a server that answers each request once more than it was asked does: the truth is its own count.
#[tokio::test]
async fn a_second_answer_to_one_request_is_counted_and_its_connection_is_not_used_again() {
    let server = Server::tcp_with(|number, conn| {
        conn.take_request()?;
        let twice = number < 30;
        conn.write_all(&if twice { [ANSWER, ANSWER].concat() } else { ANSWER.to_vec() })?;
        Ok(true)
    });
    let totals = load(&[one(cohort(&server.endpoint, 500.0))], |load| answered(40, load)).await;
    totals.assert_adds_up();
    assert_eq!((totals.failed(), totals.due), (0, server.requests()), "{:?}", totals.failures);
    assert_eq!((totals.connections.unasked, totals.connections.closed_idle), (30, 0));
    assert_eq!((totals.connections.opened, server.connections()), (31, 31));
}

#[tokio::test]
async fn answers_that_only_the_close_delimits_are_told_by_due_time_unless_their_body_says_that_they_are_whole() {
    let unframed = async |expect_body: Option<&str>| {
        let server = Server::tcp(Fault::Unframed, 30);
        let mut of = one(cohort(&server.endpoint, 500.0));
        of.target.expect_body = expect_body.map(str::to_owned);
        load(&[of], |load| answered(40, load)).await
    };
    let (held, open) = (unframed(Some("^hello$")).await, unframed(None).await);
    assert_eq!([held.connections.unframed, open.connections.unframed], [30, 30]);
    assert_eq!([held.unframed, open.unframed], [0, 30]);
    assert_eq!([held.unframed_samples.len(), open.unframed_samples.len()], [0, 30]);
    let is_whole = |sample: &gapless::record::segment::UnframedSample| sample.due <= sample.end && sample.bytes_in > 5;
    assert!(open.unframed_samples.iter().all(is_whole), "{:?}", open.unframed_samples);
}
