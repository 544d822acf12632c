//! Targets that mean harm: what they do costs bounded memory and time, and is counted as what it is.

use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use gapless::load::LoadHandle;
use gapless::model::{Endpoint, FailureClass};
use gapless::scenario::plan::{Cohort, Connections, Scheme};

use crate::load::harness::{Totals, cohort, load, until, until_answered};
use crate::load::server::{ANSWER, Conn, Server};

/// More of an answer's head than this is never read.
const HEAD_MAX_BYTES: u64 = 2 << 20;

/// A few requests with half a second for each, on new connections.
fn impatient(endpoint: &Endpoint) -> Cohort {
    let mut cohort = Cohort { connections: Connections::New, ..cohort(endpoint, 20.0) };
    cohort.target.timeout = Duration::from_millis(500);
    cohort.target.connect_timeout = cohort.target.timeout;
    cohort
}

/// Until a few have failed; all of them fail like this.
async fn all_fail(cohort: Cohort, class: FailureClass) -> Totals {
    let timeout = cohort.target.timeout;
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().dropped, 3).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!((totals.ok, totals.of(class)), (0, totals.due), "{:?}", totals.failures);
    // Whatever comes, and however fast, the timer is heard. A second is for a machine that is busy.
    for sample in &totals.samples {
        assert!(sample.end.since(sample.due) < timeout + Duration::from_secs(1), "{sample:?}");
    }
    totals
}

/// A server that begins every answer like this and goes on for ever.
fn endless(begin: &'static str, more: &'static str) -> Server {
    Server::tcp_with(move |_, conn| {
        conn.take_request()?;
        conn.write_all(begin.as_bytes())?;
        let more = more.repeat(64 * 1024 / more.len() + 1);
        loop {
            conn.write_all(more.as_bytes())?;
        }
    })
}

#[tokio::test]
async fn a_head_without_end_is_not_http() {
    for (begin, more) in [
        ("HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
        ("HTTP/1.1 200 OK\r\nx-more: ", "and more"),
        ("HTTP/1.1 200 ", "and more"),
    ] {
        let server = endless(begin, more);
        let totals = all_fail(impatient(&server.endpoint), FailureClass::Malformed).await;
        assert!(totals.samples.iter().all(|sample| sample.bytes_in < HEAD_MAX_BYTES), "{:?}", totals.samples);
    }
}

#[tokio::test]
async fn a_body_without_end_is_an_answer_that_is_not_whole_in_time() {
    for (begin, more) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nhello\r\n"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551600\r\n\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\n\r\n", "hello"),
    ] {
        let server = endless(begin, more);
        all_fail(impatient(&server.endpoint), FailureClass::ResponseTimeout).await;
    }
}

#[tokio::test]
async fn provisional_answers_without_end_are_no_answer() {
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        let hundreds = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(500);
        loop {
            conn.write_all(&hundreds)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    all_fail(impatient(&server.endpoint), FailureClass::ResponseTimeout).await;
}

#[tokio::test]
async fn thousands_of_provisional_answers_before_the_answer_are_read_past() {
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(&b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(5_000))?;
        conn.write_all(ANSWER)?;
        Ok(true)
    });
    let totals = load(&[cohort(&server.endpoint, 20.0)], until_answered).await;
    totals.assert_adds_up();
    assert_eq!((totals.ok, totals.failed()), (totals.due, 0), "{:?}", totals.failures);
    assert_eq!(totals.statuses, [(200, totals.due)].into());
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_not_whole_in_time() {
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        for byte in ANSWER {
            conn.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(true)
    });
    all_fail(impatient(&server.endpoint), FailureClass::ResponseTimeout).await;
}

/// The most memory that this process ever had resident.
fn resident_max_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kib * 1024
}

#[tokio::test]
async fn a_gigabyte_of_body_is_read_and_not_kept() {
    const BODY_BYTES: usize = 1 << 30;
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n").as_bytes())?;
        let part = vec![b'x'; 1 << 20];
        for _ in 0..BODY_BYTES / part.len() {
            conn.write_all(&part)?;
        }
        Ok(true)
    });
    let mut one = Cohort { connections: Connections::Reused(1), ..cohort(&server.endpoint, 0.1) };
    one.target.timeout = Duration::from_secs(60);
    one.target.expect_body = Some("^x{5}".to_owned());
    let totals = load(&[one], until_answered).await;
    totals.assert_adds_up();
    assert_eq!(totals.ok, totals.due, "{:?}", totals.failures);
    assert!(resident_max_bytes() < 1 << 29, "{}", resident_max_bytes());
}

#[tokio::test]
async fn a_compressed_body_is_taken_as_it_comes() {
    // hello, by gzip: nobody asked for it, and nobody inflates it.
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    let answer = |_, conn: &mut Conn| {
        conn.take_request()?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", GZIP.len());
        conn.write_all(head.as_bytes())?;
        conn.write_all(GZIP)?;
        Ok(true)
    };
    let server = Server::tcp_with(answer);
    let totals = load(&[cohort(&server.endpoint, 50.0)], async |load: LoadHandle| {
        until(&load.live().wrong, 3).await;
        load
    })
    .await;
    assert_eq!((totals.ok, totals.of(FailureClass::UnexpectedBody)), (0, totals.due), "{:?}", totals.failures);
    let mut any_body = cohort(&server.endpoint, 50.0);
    any_body.target.expect_body = None;
    let totals = load(&[any_body], until_answered).await;
    assert_eq!((totals.ok, totals.failed()), (totals.due, 0), "{:?}", totals.failures);
}

#[tokio::test]
async fn lengths_that_contradict_each_other_or_are_none_are_not_http() {
    for length in
        ["content-length: 5\r\ncontent-length: 6", "content-length: -1", "content-length: 99999999999999999999"]
    {
        let server = Server::tcp_with(move |_, conn| {
            conn.take_request()?;
            conn.write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\nhello").as_bytes())?;
            Ok(true)
        });
        all_fail(impatient(&server.endpoint), FailureClass::Malformed).await;
    }
}

/// An https server that does this with each connection.
fn tls_server(serve: impl Fn(std::net::TcpStream) -> io::Result<()> + Copy + Send + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for conn in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(conn));
        }
    });
    endpoint
}

#[tokio::test]
async fn a_tls_handshake_that_is_never_over_is_a_connect_that_came_too_late() {
    let silent = tls_server(|mut conn| io::copy(&mut conn, &mut io::sink()).map(drop));
    // A handshake record of 16 KiB is announced, and comes byte by byte.
    let slow = tls_server(|mut conn| {
        conn.read_exact(&mut [0])?;
        conn.write_all(b"\x16\x03\x03\x40\x00\x02")?;
        loop {
            conn.write_all(b"\0")?;
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for endpoint in [silent, slow] {
        let mut https = impatient(&endpoint);
        https.target.scheme = Scheme::Https;
        https.target.insecure = true;
        all_fail(https, FailureClass::ConnectTimeout).await;
    }
}
