//! gRPC against hyper's server, well-behaved and hostile, and against one that fails frame by frame: what the server did
//! is what is counted. tests/suite/systemd/grpc.rs has a server of gRPC that is not ours at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gapless::model::{Disposition, Endpoint, FailureClass, GrpcStatus, Instead};
use gapless::scenario::plan::{Cohort, Protocol};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::frames::{DATA, END_HEADERS, END_STREAM, FrameServer, HEADERS};
use super::harness::Totals;
use super::http2::{acceptor, clients, https, load_until, load_until_dropped, only};

/// What a server answers.
#[derive(Clone, Copy)]
struct Answer {
    status: u16,
    head: &'static [(&'static str, &'static str)],
    parts: &'static [&'static [u8]],
    trailers: &'static [(&'static str, &'static str)],
}

const KIND: (&str, &str) = ("content-type", "application/grpc");

/// `hello` as a message.
const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

const GOOD: Answer = Answer { status: 200, head: &[KIND], parts: &[MESSAGE], trailers: &[("grpc-status", "0")] };

/// What a server saw.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    /// Calls that were not what gRPC has.
    wrong: AtomicU64,
}

/// Whether it is a call as gRPC has it, of that path, with that message.
fn is_call(request: &Request<()>, path: &str, body: &[u8], message: &[u8]) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let framed = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat();
    request.method() == "POST"
        && request.uri().path() == path
        && header("te") == Some("trailers")
        && header("content-type") == Some("application/grpc")
        && header("grpc-timeout") == Some("10000000u")
        && body == framed
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, seen: Arc<Seen>, answers: Arc<[Answer]>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let is_right = is_call(&Request::from_parts(parts, ()), "/pkg.Service/Say", &body, b"hi");
            seen.wrong.fetch_add(u64::from(!is_right), Ordering::SeqCst);
            let nth = usize::try_from(seen.calls.fetch_add(1, Ordering::SeqCst)).unwrap();
            let answer = answers[nth % answers.len()];
            let data = answer.parts.iter().map(|part| Frame::data(Bytes::from_static(part)));
            let trailers = (!answer.trailers.is_empty()).then(|| Frame::trailers(headers(answer.trailers)));
            let frames: Vec<_> = data.chain(trailers).map(Ok::<_, Infallible>).collect();
            let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
            *response.status_mut() = answer.status.try_into().unwrap();
            *response.headers_mut() = headers(answer.head);
            Ok::<_, Infallible>(response)
        }
    });
    // A client that is done ends it.
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await;
}

fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
    of.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// A server that gives those answers in turn.
async fn server(answers: &[Answer], is_tls: bool) -> (Endpoint, Arc<Seen>) {
    let acceptor = is_tls.then(|| acceptor(b"h2"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, seen) = (Endpoint::Tcp(listener.local_addr().unwrap()), Arc::<Seen>::default());
    let (counts, answers) = (Arc::clone(&seen), Arc::<[Answer]>::from(answers));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen, answers) = (acceptor.clone(), Arc::clone(&counts), Arc::clone(&answers));
            tokio::spawn(async move {
                match acceptor {
                    None => serve(stream, seen, answers).await,
                    Some(acceptor) => serve(acceptor.accept(stream).await.unwrap(), seen, answers).await,
                }
            });
        }
    });
    (endpoint, seen)
}

/// A closed loop of calls.
fn calls(endpoint: &Endpoint, streams: u32) -> Cohort {
    let mut cohort = clients(endpoint, streams);
    cohort.target.protocol = Protocol::Grpc;
    cohort.target.method = "POST".into();
    cohort.target.path = "/pkg.Service/Say".into();
    cohort.target.body = b"hi".to_vec();
    cohort.target.timeout = Duration::from_secs(10);
    cohort.target.expect_status = Vec::new();
    cohort.target.expect_grpc_status = vec![GrpcStatus::Ok];
    cohort
}

#[tokio::test]
async fn calls_that_a_server_answered_are_what_is_counted_over_tcp_and_tls() {
    for (is_tls, streams) in [(false, 1), (false, 8), (true, 1), (true, 8)] {
        let (endpoint, seen) = server(&[GOOD], is_tls).await;
        let cohort = calls(&endpoint, streams);
        let totals = load_until(if is_tls { https(cohort) } else { cohort }, 100).await;
        assert_eq!((totals.failed(), totals.ok), (0, seen.calls.load(Ordering::SeqCst)), "{is_tls} x {streams}");
        assert_eq!(seen.wrong.load(Ordering::SeqCst), 0);
        assert_eq!(totals.grpc_statuses, [(GrpcStatus::Ok, totals.ok)].into());
    }
}

/// Loads a server that gives every answer of `answers` in turn, of which the first is `GOOD`: what was counted of the
/// others, and how often they were given.
async fn loaded(answers: &[Answer], mut cohort: impl FnMut(&mut Cohort)) -> (Totals, u64) {
    let (endpoint, seen) = server(answers, false).await;
    let mut calls = calls(&endpoint, 1);
    cohort(&mut calls);
    let totals = load_until(calls, 40).await;
    let given = seen.calls.load(Ordering::SeqCst);
    // A run that is cut off may leave the answer to its last call unread.
    assert_eq!(given, totals.due, "{totals:?}");
    let good = given.div_ceil(answers.len() as u64);
    (totals, given - good)
}

#[tokio::test]
async fn a_status_that_is_not_expected_is_wrong_with_its_name_in_trailers_and_without() {
    let in_trailers =
        Answer { trailers: &[("grpc-status", "5"), ("grpc-message", "no such thing")], parts: &[], ..GOOD };
    let after_a_message = Answer { parts: &[MESSAGE], ..in_trailers };
    let alone = Answer { head: &[KIND, ("grpc-status", "5")], trailers: &[], parts: &[], ..GOOD };
    for answer in [in_trailers, after_a_message, alone] {
        let (totals, others) = loaded(&[GOOD, answer], |_| {}).await;
        let (key, n) = only(&totals);
        assert_eq!((key.class, key.grpc, n), (FailureClass::UnexpectedGrpcStatus, Some(GrpcStatus::NotFound), others));
        assert_eq!((key.status, key.disposition, key.is_http_000()), (Some(200), Disposition::Answered, false));
        assert_eq!(totals.connections.opened, 1, "the connection goes on");
        let expected = |cohort: &mut Cohort| cohort.target.expect_grpc_status.push(GrpcStatus::NotFound);
        let (totals, others) = loaded(&[GOOD, answer], expected).await;
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert_eq!(totals.grpc_statuses.get(&GrpcStatus::NotFound), Some(&others), "{totals:?}");
    }
}

#[tokio::test]
async fn a_code_that_grpc_does_not_know_is_unknown() {
    let (totals, others) = loaded(&[GOOD, Answer { trailers: &[("grpc-status", "99")], ..GOOD }], |_| {}).await;
    let (key, n) = only(&totals);
    assert_eq!((key.class, key.grpc, n), (FailureClass::UnexpectedGrpcStatus, Some(GrpcStatus::Unknown), others));
}

#[tokio::test]
async fn an_answer_without_its_status_is_dropped_but_not_000() {
    let without = [
        Answer { trailers: &[], ..GOOD },
        Answer { trailers: &[("checksum", "none")], ..GOOD },
        Answer { trailers: &[], parts: &[], ..GOOD },
        Answer { trailers: &[], head: &[KIND, ("grpc-status", "0")], ..GOOD },
    ];
    for answer in without {
        let (totals, others) = loaded(&[GOOD, answer], |_| {}).await;
        let (key, n) = only(&totals);
        assert_eq!((key.class, key.grpc, key.status, n), (FailureClass::ClosedMidResponse, None, Some(200), others));
        assert_eq!((key.disposition, key.is_http_000()), (Disposition::Partial, false));
    }
}

#[tokio::test]
async fn what_is_http2_but_not_grpc_is_malformed_and_told() {
    let page = Answer { head: &[("content-type", "text/html")], parts: &[b"<html>"], trailers: &[], ..GOOD };
    let others = [
        page,
        Answer { trailers: &[("grpc-status", "fine")], ..GOOD },
        Answer { parts: &[], ..GOOD },
        Answer { parts: &[b"\0\0\0\0\x06hello"], ..GOOD },
        Answer { parts: &[MESSAGE, MESSAGE], ..GOOD },
    ];
    for answer in others {
        let (totals, others) = loaded(&[GOOD, answer], |_| {}).await;
        let (key, n) = only(&totals);
        assert_eq!((key.class, key.grpc, n), (FailureClass::Malformed, None, others));
        assert!(totals.samples.iter().all(|sample| sample.instead == Some(Instead::NotGrpc)), "{totals:?}");
    }
}

#[tokio::test]
async fn an_answer_of_http_alone_has_its_status_of_http() {
    let page = Answer { status: 502, head: &[("content-type", "text/html")], parts: &[b"<html>"], trailers: &[] };
    let (totals, others) = loaded(&[GOOD, page], |_| {}).await;
    let (key, n) = only(&totals);
    assert_eq!((key.class, key.status, key.grpc, n), (FailureClass::UnexpectedStatus, Some(502), None, others));
}

#[tokio::test]
async fn a_message_is_judged_without_its_frame_however_it_is_cut() {
    let cut = Answer { parts: &[b"\0\0", b"\0\0\x05he", b"llo"], ..GOOD };
    let expects =
        |pattern: &'static str| move |cohort: &mut Cohort| cohort.target.expect_body = Some(pattern.to_owned());
    let (totals, _) = loaded(&[GOOD, cut], expects("^hello$")).await;
    assert_eq!(totals.failed(), 0, "{totals:?}");
    let other = Answer { parts: &[b"\0\0\0\0\x03bye"], ..GOOD };
    let (totals, others) = loaded(&[GOOD, other], expects("^hello$")).await;
    let (key, n) = only(&totals);
    assert_eq!((key.class, key.grpc, n), (FailureClass::UnexpectedBody, Some(GrpcStatus::Ok), others));
}

#[tokio::test]
async fn a_stream_that_is_reset_within_its_answer_is_no_answer_without_a_status() {
    // `grpc-status: 0` as a literal without indexing, in HPACK.
    let trailers = [&[0, 11][..], b"grpc-status", &[1], b"0"].concat();
    let kind = [&[0x88, 0, 12][..], b"content-type", &[16], b"application/grpc"].concat();
    let server = FrameServer::faulty(5, {
        let kind = kind.clone();
        move |peer, id| {
            peer.write(HEADERS, END_HEADERS, id, &kind)?;
            peer.write(DATA, 0, id, MESSAGE)?;
            peer.reset(id, 8)
        }
    });
    let mut cohort = calls(&server.endpoint, 4);
    cohort.target.expect_grpc_status = Vec::new();
    let totals = load_until_dropped(cohort, 5).await;
    assert_eq!(totals.of(FailureClass::StreamReset), 5, "{totals:?}");

    // With its status, it was whole: what a server resets then is the rest of the call, which it does not want.
    let server = FrameServer::faulty(u64::MAX, move |peer, id| {
        peer.write(HEADERS, END_HEADERS, id, &kind)?;
        peer.write(DATA, 0, id, MESSAGE)?;
        peer.write(HEADERS, END_HEADERS | END_STREAM, id, &trailers)?;
        peer.reset(id, 0)
    });
    let mut cohort = calls(&server.endpoint, 2);
    cohort.target.body = vec![0; 200_000];
    let totals = load_until(cohort, 20).await;
    assert_eq!(totals.failed(), 0, "{totals:?}");
}
