//! Several requests by weight: what the server was asked for, and what became of each, is what is counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gapless::load::LoadHandle;
use gapless::scenario::plan::{Cohort, Connections, Pace, Protocol, WeightedRequest};

use super::harness::{cohort, load, until};
use super::http2::hyper_that_tells;
use super::server::Server;

fn request(method: &str, path: &str, body: &str, weight: u32) -> WeightedRequest {
    let headers = vec![("x-own".to_owned(), path.to_owned())];
    WeightedRequest { method: method.to_owned(), path: path.to_owned(), headers, body: body.into(), weight }
}

fn mixed(cohort: Cohort) -> Cohort {
    let mut cohort = cohort;
    cohort.target.requests = vec![request("GET", "/a", "", 3), request("POST", "/b?c=d", "ping", 1)];
    cohort
}

#[tokio::test]
async fn requests_are_sent_in_a_fixed_order_by_weight_and_counted_one_by_one() {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&asked);
    let server = Server::tcp_with(move |_, conn| {
        let text = conn.take_request()?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(text.contains(&format!("x-own: {path}")) && text.contains("x-test: yes"), "{text}");
        assert_eq!(text.ends_with("ping"), path.starts_with("/b"), "{text}");
        noted.lock().unwrap().push(line);
        let (status, body) = if path.starts_with("/b") { (503, "sorry") } else { (200, "hello") };
        conn.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\n{body}").as_bytes())?;
        Ok(true)
    });
    // One client: the order in which it sends is the order in which they arrive.
    let one = Cohort { pace: Pace::Clients(1), connections: Connections::Reused(1), ..cohort(&server.endpoint, 1.0) };
    let totals = load(&[mixed(one)], async |load: LoadHandle| {
        until(&load.live().ok, 100).await;
        load
    })
    .await;
    let asked = asked.lock().unwrap().clone();
    let round = ["GET /a HTTP/1.1", "GET /a HTTP/1.1", "POST /b?c=d HTTP/1.1", "GET /a HTTP/1.1"];
    let expected: Vec<&str> = round.iter().copied().cycle().take(asked.len()).collect();
    assert_eq!(asked, expected);
    let posts = asked.iter().filter(|line| line.starts_with("POST")).count() as u64;
    let counted: BTreeMap<u16, (u64, u64)> = [(0, (asked.len() as u64 - posts, 0)), (1, (0, posts))].into();
    assert_eq!(totals.requests_by_place, counted, "ok and failed, by the place of the request");
}

#[tokio::test]
async fn each_stream_of_a_connection_makes_the_request_that_is_due() {
    let (endpoint, asked) = hyper_that_tells().await;
    let clients =
        Cohort { pace: Pace::Clients(8), connections: Connections::Reused(1), streams: 8, ..cohort(&endpoint, 1.0) };
    let mut mixed = mixed(clients);
    mixed.target.protocol = Protocol::Http2;
    mixed.target.expect_body = None;
    let totals = load(&[mixed], async |load: LoadHandle| {
        until(&load.live().ok, 200).await;
        load
    })
    .await;
    let asked = asked.lock().unwrap().clone();
    let of = |path: &str| asked.get(path).copied().unwrap_or_default();
    assert_eq!(totals.requests_by_place, [(0, (of("/a"), 0)), (1, (of("/b?c=d"), 0))].into(), "{asked:?}");
    assert_eq!(of("/a") + of("/b?c=d"), totals.ok);
    assert!(of("/a").abs_diff(3 * of("/b?c=d")) <= 3, "{asked:?}");
}
