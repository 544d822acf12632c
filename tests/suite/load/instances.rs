//! Which instance answered: what servers counted of each is what is told of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gapless::load::LoadHandle;
use gapless::model::EventId;
use gapless::record::instances::INSTANCES_MAX;
use gapless::record::segment::Scope;
use gapless::scenario::plan::{Cohort, Connections, InstanceSource, Scheme};

use super::harness::{Totals, by_scope, cohort, load, until};
use super::server::{Conn, Server};

/// Answers `hello` with that status, and names an instance in a header if it has a name.
fn answer(conn: &mut Conn, status: u16, name: Option<&str>) -> std::io::Result<()> {
    conn.take_request()?;
    let header = name.map(|name| format!("X-Release: {name}\r\n")).unwrap_or_default();
    conn.write_all(format!("HTTP/1.1 {status} X\r\n{header}content-length: 5\r\n\r\nhello").as_bytes())
}

fn by_header(server: &Server) -> Cohort {
    let mut cohort = cohort(&server.endpoint, 1_000.0);
    cohort.target.instance = Some(InstanceSource::Header("x-release".to_owned()));
    cohort
}

async fn load_until(cohort: Cohort, answered: u64) -> Totals {
    load(&[cohort], async |load: LoadHandle| {
        until(&load.live().ok, answered).await;
        load
    })
    .await
}

fn told<const N: usize>(instances: [(&str, u64); N]) -> BTreeMap<String, (u64, u64)> {
    instances.map(|(name, answers)| (name.to_owned(), (answers, 0))).into()
}

#[tokio::test]
async fn an_answer_is_counted_for_the_instance_in_its_header_be_it_expected_or_wrong() {
    let server = Server::tcp_with(|number, conn| {
        match number % 4 {
            0 | 1 => answer(conn, 200, Some("v1"))?,
            2 => answer(conn, 503, Some("v2"))?,
            _ => answer(conn, 200, None)?,
        }
        Ok(true)
    });
    let totals = load_until(by_header(&server), 300).await;
    let quarters: Vec<u64> = (0..4).map(|rest| (server.requests() + 3 - rest) / 4).collect();
    assert_eq!(totals.instances, told([("v1", quarters[0] + quarters[1]), ("v2", quarters[2])]));
    assert_eq!(totals.unknown_instances, (quarters[3], 0));
}

#[tokio::test]
async fn an_interim_answer_and_an_answer_cut_short_name_no_instance() {
    let server = Server::tcp_with(|number, conn| {
        if number == 0 {
            conn.take_request()?;
            conn.write_all(b"HTTP/1.1 200 OK\r\nX-Release: half\r\ncontent-length: 50\r\n\r\nhello")?;
            return Ok(false);
        }
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 103 Early\r\nX-Release: early\r\n\r\nHTTP/1.1 200 OK\r\nX-Rel")?;
        std::thread::sleep(std::time::Duration::from_millis(2));
        conn.write_all(b"ease: v1\r\ncontent-length: 5\r\n\r\nhello")?;
        Ok(true)
    });
    let totals = load_until(by_header(&server), 50).await;
    assert_eq!(totals.instances, told([("v1", server.requests() - 1)]), "of an answer whose head comes in two parts");
    assert_eq!(totals.unknown_instances, (0, 0));
}

#[tokio::test]
async fn the_first_group_of_a_pattern_names_the_instance_of_a_body_over_http_and_over_a_stream_of_bytes() {
    let http = Server::unix_with(|number, conn| {
        conn.take_request()?;
        let body = format!("pid={}", number % 3);
        conn.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{body}").as_bytes())?;
        Ok(true)
    });
    let bytes = Server::tcp_with(|number, conn| {
        conn.take_request()?;
        conn.write_all(format!("pid={}\n", number % 3).as_bytes())?;
        Ok(false)
    });
    for (server, scheme) in [(&http, Scheme::Http), (&bytes, Scheme::Tcp)] {
        let mut cohort = cohort(&server.endpoint, 200.0);
        cohort.target.expect_body = None;
        cohort.target.instance = Some(InstanceSource::Body("pid=([0-9]+)".to_owned()));
        cohort.target.scheme = scheme;
        if scheme == Scheme::Tcp {
            (cohort.target.body, cohort.connections) = (b"who?\r\n\r\n".to_vec(), Connections::New);
        }
        let totals = load_until(cohort, 100).await;
        let thirds: Vec<u64> = (0..3).map(|rest| (server.requests() + 2 - rest) / 3).collect();
        assert_eq!(totals.instances, told([("0", thirds[0]), ("1", thirds[1]), ("2", thirds[2])]), "{scheme:?}");
    }
}

#[tokio::test]
async fn more_names_than_are_kept_are_counted_and_those_that_are_known_go_on_to_be() {
    let server = Server::tcp_with(|number, conn| {
        let name = if number % 2 == 0 { "known".to_owned() } else { format!("request-{number}") };
        answer(conn, 200, Some(&name))?;
        Ok(true)
    });
    let totals = load_until(by_header(&server), 2_000).await;
    let (all, kept) = (server.requests(), INSTANCES_MAX as u64 - 1);
    assert_eq!(totals.instances["known"], (all.div_ceil(2), 0));
    assert_eq!(totals.instances.len() as u64, kept + 1);
    assert_eq!(totals.unknown_instances, (0, all / 2 - kept));
}

#[tokio::test]
async fn what_an_old_instance_answers_after_the_event_is_stale_and_what_it_answers_before_is_not() {
    const LEFT_OVER: u64 = 7;
    // More than can be in flight when an event is over.
    const MARGIN: u64 = 50;
    let (is_new, since) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let flipped = Arc::clone(&is_new);
    let server = Server::tcp_with(move |_, conn| {
        let place = if flipped.load(Ordering::SeqCst) { since.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let is_left_over = (MARGIN..MARGIN + LEFT_OVER).contains(&place);
        answer(conn, 200, Some(if place == 0 || is_left_over { "v1" } else { "v2" }))?;
        Ok(true)
    });
    let scopes = by_scope(LoadHandle::start_counting(&[by_header(&server)]).unwrap(), async |load: LoadHandle| {
        let (first, second) = (EventId(0), EventId(1));
        until(&load.live().ok, 100).await;
        load.mark(first).await;
        until(&load.live().ok, 200).await;
        is_new.store(true, Ordering::SeqCst);
        load.over(first).await;
        until(&load.live().ok, 200 + 2 * MARGIN + LEFT_OVER).await;
        // Nothing of before this one answers any more but the newer release, which it does not replace.
        load.mark(second).await;
        until(&load.live().ok, 400).await;
        load
    });
    let scopes = scopes.await;
    let of_first = &scopes[&Scope::Event(EventId(0))].instances;
    assert_eq!((of_first["v1"].1, of_first["v2"].1), (LEFT_OVER, 0), "{of_first:?}");
    assert!(of_first["v1"].0 >= 100, "what it answered until the event was over is not stale: {of_first:?}");
    let all_stale: u64 = scopes.values().flat_map(|totals| totals.instances.values()).map(|(_, stale)| stale).sum();
    assert_eq!(all_stale, LEFT_OVER);
    let answered: u64 = scopes.values().flat_map(|totals| totals.instances.values()).map(|(answers, _)| answers).sum();
    assert_eq!(answered, server.requests());
}
