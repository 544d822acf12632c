//! HTTP/2, seen by curl, which speaks it by nghttp2, and by hyper: what they get, how curl exits, and what the server counts.

use std::process::Command;
use std::time::Duration;

use gapless::demo::server::{Counts, FaultKind, Injector, Transport};
use gapless::model::{Endpoint, FailureClass};
use gapless::scenario::plan::Protocol;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::demo_server::client::Client;
use crate::demo_server::server::TestServer;

/// curl over HTTP/2 by prior knowledge.
fn curl(server: &TestServer, path: &str, arguments: &[&str]) -> Command {
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("{}", server.endpoint) };
    let mut curl = Command::new("curl");
    curl.args(["--disable", "--silent", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", "60"]);
    curl.args(["--write-out", "%{http_version} %{http_code} %{size_download}\\n"]);
    curl.args(arguments).arg(format!("http://{address}{path}"));
    curl
}

/// What curl printed, and its exit code.
fn asked(server: &TestServer, path: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let output = curl(server, path, arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn curl_gets_over_http2_what_it_gets_over_http1() {
    let server = TestServer::start(Transport::Tcp, |_| {});
    let body = server.file("body");
    std::fs::write(&body, vec![b'x'; 3 << 20]).unwrap();
    let body = format!("@{}", body.display());
    let log = |path: &str, arguments: &[&str]| asked(&server, path, arguments).0;
    assert_eq!(log("/", &[]), "ok\n2 200 3\n");
    assert_eq!(log("/socket", &[]), "own\n2 200 4\n");
    assert_eq!(log("/nothing", &[]), "not found\n2 404 10\n");
    assert_eq!(log("/", &["--head", "--output", "/dev/null"]), "2 200 0\n");
    // More than every window, one way and the other.
    assert_eq!(log("/bytes?n=5000000", &["--output", "/dev/null"]), "2 200 5000000\n");
    assert_eq!(log("/", &["--data-binary", &body]), "ok\n2 200 3\n");
    let counts = server.stop();
    assert_eq!((counts.connections, counts.requests, counts.answered), (6, 6, 6));
}

#[test]
fn the_question_of_the_counts_is_not_counted() {
    let server = TestServer::start(Transport::Tcp, |_| {});
    asked(&server, "/", &[]);
    let (told, _) = asked(&server, "/-/counts", &[]);
    let told: Counts = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((told.connections, told.requests, told.answered), (1, 1, 1));
    assert_eq!(server.counts(), told);
}

/// Asks for each path at once, on one connection: the statuses of the answers, once the connection has ended. `asked` is
/// called when all was sent.
fn statuses(server: &TestServer, paths: &[String], asked: impl FnOnce()) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(answered(server, paths, asked))
}

async fn answered(server: &TestServer, paths: &[String], asked: impl FnOnce()) -> Vec<u16> {
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("{}", server.endpoint) };
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let answers: Vec<_> = paths
        .iter()
        .map(|path| {
            let request = Request::get(format!("http://{address}{path}")).body(Empty::new()).unwrap();
            tokio::spawn(client.send_request(request))
        })
        .collect();
    let sent = async {
        while server.counts().requests < paths.len() as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    sent.await;
    asked();
    let mut statuses = Vec::new();
    for answer in answers {
        let answer = answer.await.unwrap().unwrap();
        statuses.push(answer.status().as_u16());
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok\n");
    }
    drop(client);
    connection.await.unwrap().unwrap();
    statuses
}

#[test]
fn the_streams_of_one_connection_are_answered_beside_each_other() {
    let server = TestServer::start(Transport::Tcp, |_| {});
    let paths: Vec<_> = (0..40).map(|n| format!("/slow?ms={}", 400 - n)).collect();
    let begin = std::time::Instant::now();
    assert_eq!(statuses(&server, &paths, || ()), [200; 40]);
    assert!(begin.elapsed() < Duration::from_secs(12), "one after the other, they take 15 s");
    let counts = server.stop();
    assert_eq!((counts.connections, counts.requests, counts.answered), (1, 40, 40));
}

#[test]
fn a_stop_answers_the_streams_in_flight_and_ends_the_connection() {
    let server = TestServer::start(Transport::Tcp, |options| options.drain = Duration::from_secs(60));
    let paths: Vec<_> = (0..8).map(|_| "/slow?ms=300".to_owned()).collect();
    assert_eq!(statuses(&server, &paths, || server.background.request_stop()), [200; 8]);
    let counts = server.stop();
    assert_eq!((counts.requests, counts.answered), (8, 8));
}

/// Where curl sees something else than the class says; the README tells of each.
fn otherwise(kind: FaultKind) -> Option<i32> {
    match kind {
        // It has a stream that did not end.
        FaultKind::CloseBefore | FaultKind::GoawayThenClose => Some(18),
        FaultKind::GoawayRefused | FaultKind::GoawayZero => Some(16),
        // It has sent the request again, five times.
        FaultKind::RstRefused => Some(56),
        _ => None,
    }
}

#[test]
fn curl_exits_over_http2_with_the_code_of_the_class_that_it_meets() {
    let mut different = Vec::new();
    for &class in FailureClass::ALL {
        let of_streams = Injector::of(class).into_iter().filter_map(|injector| match injector {
            Injector::OfStreams(kind, Protocol::Http2) => Some(kind),
            _ => None,
        });
        // Waiting in vain is a timeout like any other.
        for kind in of_streams.filter(|kind| !matches!(kind, FaultKind::Stall | FaultKind::NoStreams)) {
            let server = TestServer::with_fault(Transport::Tcp, kind.name());
            let (_, exit) = asked(&server, "/", &["--output", "/dev/null"]);
            let expected = otherwise(kind).or(class.curl_exit().map(i32::from));
            let counts = server.counts();
            if exit != expected || counts.injected.get(&kind) != Some(&counts.requests) {
                different.push(format!("{class} by {kind}: {exit:?}, not {expected:?}; {counts:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn faults_of_http2_leave_http1_alone_and_the_other_way_round() {
    let server = TestServer::with_fault(Transport::Tcp, "rst-cancel");
    let mut client = server.connect();
    client.send_get("/");
    assert_eq!(client.receive().class(None), None);
    assert!(server.counts().injected.is_empty());
    let server = TestServer::with_fault(Transport::Tcp, "close-head");
    assert_eq!(asked(&server, "/", &[]), ("ok\n2 200 3\n".to_owned(), Some(0)));
    assert!(server.counts().injected.is_empty());
}

#[test]
fn what_is_not_http2_after_its_preface_is_told_so() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // DATA of 16,385 bytes; trailers before any request; a header block that cannot be decoded.
    let frames: [&[u8]; 3] =
        [&[0, 0x40, 1, 0, 0, 0, 0, 0, 1], &[0, 0, 1, 9, 4, 0, 0, 0, 1, 0x88], &[0, 0, 2, 1, 5, 0, 0, 0, 1, 0xff, 0xff]];
    for frame in frames {
        let server = TestServer::start(Transport::Tcp, |_| {});
        let mut client: Client = server.connect();
        client.send(&[PREFACE, frame].concat()).unwrap();
        let received = client.receive_to_end().bytes;
        // SETTINGS, then GOAWAY with PROTOCOL_ERROR.
        assert_eq!((received[3], received[9 + 3], received.last()), (4, 7, Some(&1)), "{received:?}");
        drop(client);
        assert_eq!(server.stop().answered, 0);
    }
}

#[test]
fn curl_speaks_tls_to_the_same_port_and_chooses_the_protocol() {
    let server = TestServer::start(Transport::Tcp, |_| {});
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("{}", server.endpoint) };
    for (argument, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = Command::new("curl");
        curl.args(["--disable", "--silent", "--noproxy", "*", "--insecure", "--max-time", "60", argument]);
        curl.args(["--write-out", "%{http_version} %{num_connects}\\n", "--output", "/dev/null"]);
        let output = curl.arg(format!("https://{address}/slow?ms=[1-3]")).output().unwrap();
        let expected = [1, 0, 0].map(|connects| format!("{version} {connects}\n")).concat();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    }
    // The certificate is one that nobody trusts.
    let untrusting = Command::new("curl").args(["--silent", &format!("https://{address}/")]).output().unwrap();
    assert_eq!(untrusting.status.code(), Some(60));
    let counts = server.stop();
    assert_eq!((counts.connections, counts.requests, counts.answered), (3, 6, 6));
}
