//! HTTP/2 against hyper's server and against one that fails frame by frame: what the server did is what is counted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gapless::load::LoadHandle;
use gapless::model::{Disposition, Endpoint, FailureClass, FailureKey, Instead};
use gapless::scenario::plan::{Cohort, Connections, InstanceSource, Pace, Protocol, Scheme, StatusPattern};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::frames::{
    CONTINUATION, Counts, DATA, END_HEADERS, FrameServer, HEADERS, LAST_ID, PING, SETTINGS, STATUS_200,
};
use super::harness::{Totals, cohort, load, until};
use super::server::{Fault, Server};

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/load/localhost.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/load/localhost.key");

/// A closed loop of as many clients as there are streams on one connection.
pub(super) fn clients(endpoint: &Endpoint, streams: u32) -> Cohort {
    let pace = Pace::Clients(streams);
    let mut cohort = Cohort { pace, connections: Connections::Reused(1), streams, ..cohort(endpoint, 1.0) };
    cohort.target.protocol = Protocol::Http2;
    cohort
}

pub(super) fn https(cohort: Cohort) -> Cohort {
    let mut cohort = cohort;
    cohort.target.scheme = Scheme::Https;
    cohort.target.authority = "localhost".into();
    cohort.target.ca_file = Some(CERTIFICATE.into());
    cohort
}

/// Loads until that many requests were answered.
pub(super) async fn load_until(cohort: Cohort, answered: u64) -> Totals {
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().ok, answered).await;
        load
    })
    .await;
    totals.assert_adds_up();
    totals
}

/// Loads until that many requests were dropped.
pub(super) async fn load_until_dropped(cohort: Cohort, dropped: u64) -> Totals {
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().dropped, dropped).await;
        load
    })
    .await;
    totals.assert_adds_up();
    totals
}

/// The only kind of failure, on new and on used connections, and how many there were.
pub(super) fn only(totals: &Totals) -> (FailureKey, u64) {
    let mut keys: Vec<FailureKey> = totals.failures.keys().map(|key| FailureKey { reused: false, ..*key }).collect();
    keys.dedup();
    let [key] = keys[..] else { panic!("{:?}", totals.failures) };
    (key, totals.failed())
}

/// hyper's server on one end of a connection. Answers with `hello`, or with what was sent, and with trailers.
async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, served: Arc<AtomicU64>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let served = Arc::clone(&served);
        async move {
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            let body = if sent.is_empty() { Bytes::from_static(b"hello") } else { sent };
            let number = served.fetch_add(1, Ordering::SeqCst);
            let mut trailers = HeaderMap::new();
            trailers.insert("checksum", "none".parse().unwrap());
            let frames = [Frame::data(body), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
            let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
            response.headers_mut().insert("x-instance", (number % 2).into());
            Ok::<_, Infallible>(response)
        }
    });
    // A client that is done ends it.
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await;
}

/// hyper's server, and what it was asked for: how often for which path.
pub(super) async fn hyper_that_tells() -> (Endpoint, Arc<Mutex<BTreeMap<String, u64>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, asked) = (Endpoint::Tcp(listener.local_addr().unwrap()), Arc::<Mutex<BTreeMap<_, _>>>::default());
    let counts = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counts = Arc::clone(&counts);
            let service = service_fn(move |request: Request<Incoming>| {
                *counts.lock().unwrap().entry(request.uri().path_and_query().unwrap().to_string()).or_default() += 1;
                async { Ok::<_, Infallible>(Response::new(String::new())) }
            });
            let served = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(served);
        }
    });
    (endpoint, asked)
}

async fn hyper_over_tcp(alpn: Option<&[u8]>) -> (Endpoint, Arc<AtomicU64>) {
    let acceptor = alpn.map(acceptor);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, served) = (Endpoint::Tcp(listener.local_addr().unwrap()), Arc::<AtomicU64>::default());
    let counts = Arc::clone(&served);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, served) = (acceptor.clone(), Arc::clone(&counts));
            tokio::spawn(async move {
                match acceptor {
                    None => serve(stream, served).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, served).await;
                        }
                    }
                }
            });
        }
    });
    (endpoint, served)
}

pub(super) fn acceptor(alpn: &[u8]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_server_of_http2_counts_what_is_counted_over_tcp_and_tls() {
    for (alpn, streams) in [(None, 1), (None, 8), (Some(&b"h2"[..]), 1), (Some(b"h2"), 8)] {
        let (endpoint, served) = hyper_over_tcp(alpn).await;
        let cohort = clients(&endpoint, streams);
        let totals = load_until(if alpn.is_some() { https(cohort) } else { cohort }, 200).await;
        assert_eq!((totals.failed(), totals.ok), (0, served.load(Ordering::SeqCst)), "{alpn:?} x {streams}");
        assert_eq!((totals.connections.opened, totals.connections.reused_requests), (1, totals.ok - 1));
    }
}

#[tokio::test]
async fn each_stream_is_counted_for_the_instance_that_its_answer_names() {
    let (endpoint, served) = hyper_over_tcp(None).await;
    let mut cohort = clients(&endpoint, 8);
    cohort.target.instance = Some(InstanceSource::Header("X-Instance".to_owned()));
    let totals = load_until(cohort.clone(), 200).await;
    let all = served.load(Ordering::SeqCst);
    let expected = [("0", all.div_ceil(2)), ("1", all / 2)].map(|(name, answers)| (name.to_owned(), (answers, 0)));
    assert_eq!(totals.instances, expected.into());
    cohort.target.instance = Some(InstanceSource::Body("^(hel)lo".to_owned()));
    let totals = load_until(cohort, 50).await;
    assert_eq!(totals.instances, [("hel".to_owned(), (totals.ok, 0))].into());
}

#[tokio::test]
async fn a_server_of_http2_counts_what_is_counted_over_a_unix_socket_with_a_connection_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("h2.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = Arc::<AtomicU64>::default();
    let counts = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&counts)));
        }
    });
    let cohort = Cohort { connections: Connections::New, ..clients(&Endpoint::Unix(path), 1) };
    let totals = load_until(cohort, 50).await;
    assert_eq!((totals.failed(), totals.ok), (0, served.load(Ordering::SeqCst)));
    assert_eq!((totals.connections.opened, totals.connections.reused_requests), (totals.ok, 0));
}

#[tokio::test]
async fn bodies_larger_than_every_window_pass_both_ways() {
    let (endpoint, served) = hyper_over_tcp(None).await;
    let mut cohort = clients(&endpoint, 4);
    cohort.target.method = "POST".to_owned();
    cohort.target.body = vec![b'x'; 3 << 20];
    cohort.target.expect_body = Some("^x{100}".to_owned());
    let totals = load_until(cohort, 8).await;
    assert_eq!((totals.failed(), totals.ok), (0, served.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn an_open_loop_opens_another_connection_once_all_streams_are_taken() {
    let server = FrameServer::new(|number, peer| {
        peer.greet(&[])?;
        if number == 0 {
            let held = peer.requests(2)?;
            while Counts::of(&peer.counts.connections) < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
            held.into_iter().try_for_each(|id| peer.answer(id))?;
        }
        loop {
            let id = peer.next_request()?;
            peer.answer(id)?;
        }
    });
    let pace = Pace::Rate(400.0);
    let cohort = Cohort { pace, connections: Connections::Reused(2), ..clients(&server.endpoint, 2) };
    let totals = load_until(cohort, 50).await;
    assert_eq!((totals.failed(), totals.connections.opened), (0, 2), "{totals:?}");
}

#[tokio::test]
async fn a_stream_that_is_reset_is_counted_with_its_code_and_its_neighbours_go_on() {
    for streams in [1, 8] {
        for (code, class, kept) in [
            (7, FailureClass::StreamRefused, 7),
            (8, FailureClass::StreamReset, 8),
            (2, FailureClass::StreamReset, 2),
            (0, FailureClass::StreamReset, 0),
            (0xbeef, FailureClass::StreamReset, 255),
        ] {
            let server = FrameServer::faulty(6, move |peer, id| peer.reset(id, code));
            let totals = load_until(clients(&server.endpoint, streams), 50).await;
            let (key, n) = only(&totals);
            assert_eq!((key.class, key.code, key.status, n), (class, Some(kept), None, 6));
            assert_eq!((key.disposition, totals.ok), (Disposition::Unanswered, Counts::of(&server.counts.answered)));
            assert_eq!(totals.connections.opened, 1, "the connection goes on");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_within_its_answer_keeps_the_status() {
    let server = FrameServer::faulty(5, |peer, id| {
        peer.write(HEADERS, END_HEADERS, id, STATUS_200)?;
        peer.write(DATA, 0, id, b"hel")?;
        peer.reset(id, 2)
    });
    let totals = load_until(clients(&server.endpoint, 4), 20).await;
    let (key, n) = only(&totals);
    assert_eq!((key.class, key.code, key.status, n), (FailureClass::StreamReset, Some(2), Some(200), 5));
    assert_eq!((key.disposition, key.is_http_000()), (Disposition::Partial, false));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_whole_though_the_rest_is_not_wanted() {
    let server = FrameServer::faulty(u64::MAX, |peer, id| {
        peer.answer(id)?;
        peer.reset(id, 0)
    });
    let mut cohort = clients(&server.endpoint, 2);
    cohort.target.method = "POST".to_owned();
    cohort.target.body = vec![0; 200_000];
    let totals = load_until(cohort, 20).await;
    assert_eq!(totals.failed(), 0, "{totals:?}");
}

#[tokio::test]
async fn interim_answers_and_trailers_are_no_answer() {
    let server = FrameServer::faulty(u64::MAX, |peer, id| {
        // `:status: 103`, a literal with the indexed name.
        let interim = [&[0x08, 3][..], b"103"].concat();
        peer.write(HEADERS, END_HEADERS, id, &interim)?;
        peer.write(HEADERS, END_HEADERS, id, STATUS_200)?;
        peer.write(DATA, 0, id, b"hello")?;
        // `x: y`, and the end of the stream.
        peer.write(HEADERS, END_HEADERS | 1, id, &[0, 1, b'x', 1, b'y'])
    });
    let totals = load_until(clients(&server.endpoint, 2), 20).await;
    assert_eq!((totals.failed(), totals.statuses.keys().copied().collect::<Vec<_>>()), (0, vec![200]));
}

#[tokio::test]
async fn streams_above_the_last_id_of_a_goaway_were_refused_and_the_others_are_answered() {
    let server = FrameServer::new(|number, peer| {
        peer.greet(&[])?;
        if number > 0 {
            loop {
                let id = peer.next_request()?;
                peer.answer(id)?;
            }
        }
        let ids = peer.requests(8)?;
        peer.counts.injected.fetch_add(5, Ordering::SeqCst);
        peer.goaway(ids[2])?;
        ids[..3].iter().try_for_each(|id| peer.answer(*id))?;
        peer.drain()
    });
    let totals = load_until(clients(&server.endpoint, 8), 100).await;
    let (key, n) = only(&totals);
    assert_eq!((key.class, key.code, n), (FailureClass::StreamRefused, None, 5));
    let (requests, answered) = (Counts::of(&server.counts.requests), Counts::of(&server.counts.answered));
    assert_eq!((totals.due, totals.ok), (requests, answered));
    assert_eq!(totals.connections.opened, 2);
    let goaways = totals.goaways.unwrap();
    assert_eq!((goaways.connections, goaways.two_phase), (1, 0));
    assert_eq!((goaways.streams_open, goaways.answered_after), (8, 3));
}

#[tokio::test]
async fn no_request_follows_a_goaway_that_was_read() {
    static LATE: AtomicU64 = AtomicU64::new(0);
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let server = FrameServer::new(|_, peer| {
        peer.greet(&[])?;
        for _ in 0..20 {
            let id = peer.next_request()?;
            peer.answer(id)?;
        }
        // The first of two: requests may still be on their way.
        peer.goaway(LAST_ID)?;
        let crossed = peer.until_read()?;
        let last = crossed.last().copied().unwrap_or(39);
        crossed.into_iter().try_for_each(|id| peer.answer(id))?;
        ROUNDS.fetch_add(1, Ordering::SeqCst);
        peer.goaway(last)?;
        while let Ok(frame) = peer.read() {
            LATE.fetch_add(u64::from(frame.kind == HEADERS), Ordering::SeqCst);
        }
        Ok(())
    });
    let pace = Pace::Rate(2_000.0);
    let totals = load_until(Cohort { pace, ..clients(&server.endpoint, 4) }, 400).await;
    assert_eq!((totals.failed(), totals.ok), (0, Counts::of(&server.counts.answered)), "{totals:?}");
    assert!(ROUNDS.load(Ordering::SeqCst) >= 1);
    assert_eq!(LATE.load(Ordering::SeqCst), 0);
    let goaways = totals.goaways.unwrap();
    assert!(goaways.two_phase >= 1 && goaways.streams_open == goaways.answered_after, "{goaways:?}");
}

#[tokio::test]
async fn a_goaway_on_an_idle_connection_is_no_failure() {
    let server = FrameServer::new(|_, peer| {
        peer.greet(&[])?;
        let id = peer.next_request()?;
        peer.answer(id)?;
        peer.goaway(id)?;
        peer.drain()
    });
    let cohort = Cohort { pace: Pace::Rate(100.0), ..clients(&server.endpoint, 1) };
    let totals = load_until(cohort, 10).await;
    let answered = Counts::of(&server.counts.answered);
    // On a busy machine the next request may cross the GOAWAY: the server then reads it.
    let crossed = Counts::of(&server.counts.requests) - answered;
    assert_eq!((totals.failed(), totals.ok), (crossed, answered));
    assert!(totals.connections.closed_idle + crossed >= 8, "{totals:?}");
}

#[tokio::test]
async fn a_connection_that_dies_with_its_streams_has_one_outcome_for_each() {
    for (resets, class) in [(false, FailureClass::ClosedBeforeResponse), (true, FailureClass::ResetBeforeResponse)] {
        let server = FrameServer::new(move |number, peer| {
            peer.greet(&[])?;
            if number > 0 {
                loop {
                    let id = peer.next_request()?;
                    peer.answer(id)?;
                }
            }
            peer.requests(8)?;
            // With nothing unread, the connection is closed in order.
            peer.until_read()?;
            if resets { peer.reset_on_close() } else { Ok(()) }
        });
        let totals = load_until(clients(&server.endpoint, 8), 30).await;
        assert_eq!((totals.of(class), totals.failed()), (8, 8), "{totals:?}");
        assert_eq!(totals.due, Counts::of(&server.counts.requests));
    }
}

#[tokio::test]
async fn a_stream_that_stalls_times_out_beside_healthy_ones() {
    let server = FrameServer::faulty(3, |_, _| Ok(()));
    let mut cohort = clients(&server.endpoint, 4);
    cohort.target.timeout = Duration::from_millis(300);
    cohort.target.connect_timeout = cohort.target.timeout;
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().dropped, 3).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!((totals.of(FailureClass::ResponseTimeout), totals.failed()), (3, 3));
    assert_eq!((totals.ok, totals.connections.opened), (Counts::of(&server.counts.answered), 1));
}

#[tokio::test]
async fn a_server_that_takes_no_streams_holds_requests_until_their_time_is_over() {
    // MAX_CONCURRENT_STREAMS 0, known before the first request: it is sent once SETTINGS were read.
    let server = FrameServer::new(|_, peer| {
        peer.greet(&[0, 3, 0, 0, 0, 0])?;
        loop {
            let id = peer.next_request()?;
            peer.reset(id, 7)?;
        }
    });
    let mut cohort = clients(&server.endpoint, 2);
    cohort.connect_delay = Duration::from_millis(50);
    cohort.target.timeout = Duration::from_millis(200);
    cohort.target.connect_timeout = cohort.target.timeout;
    let totals = load_until_dropped(cohort, 4).await;
    let refused = totals.of(FailureClass::StreamRefused);
    assert_eq!(refused, Counts::of(&server.counts.requests), "{totals:?}");
    assert_eq!(totals.of(FailureClass::NoConnection) + refused, totals.failed());
    assert!(totals.of(FailureClass::NoConnection) >= 2, "{totals:?}");
}

#[tokio::test]
async fn what_a_server_speaks_instead_of_http2_is_told() {
    let http1 = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 505 No\r\ncontent-length: 0\r\n\r\n")?;
        Ok(false)
    });
    let garbage = Server::tcp(Fault::Garbage, u64::MAX);
    for (server, instead, status) in [(http1, Instead::Http1, Some(505)), (garbage, Instead::Other, None)] {
        let totals = load_until_dropped(clients(&server.endpoint, 1), 5).await;
        let (key, _) = only(&totals);
        assert_eq!((key.class, key.status, key.disposition), (FailureClass::Malformed, status, Disposition::Partial));
        assert!(totals.samples.iter().all(|sample| sample.instead == Some(instead)), "{totals:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_choose_h2_over_tls_is_malformed() {
    for alpn in [&b""[..], b"http/1.1"] {
        let (endpoint, _) = hyper_over_tcp(Some(alpn)).await;
        let totals = load_until_dropped(https(clients(&endpoint, 1)), 2).await;
        let (key, _) = only(&totals);
        // A server that offers other protocols alone ends the handshake itself (RFC 7301, section 3.2).
        let class = if alpn.is_empty() { FailureClass::Malformed } else { FailureClass::Tls };
        assert_eq!(key.class, class);
        let instead = alpn.is_empty().then_some(Instead::NoAlpn);
        assert!(totals.samples.iter().all(|sample| sample.instead == instead), "{totals:?}");
    }
}

/// What a hostile server sends once it was greeted and asked.
type Hostility = fn(&mut super::frames::Peer, u32) -> io::Result<()>;

#[tokio::test]
async fn a_hostile_server_ends_in_a_class_and_in_bounded_memory() {
    let hostilities: [(&str, Hostility); 9] = [
        ("SETTINGS without end", |peer, _| {
            loop {
                peer.write(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])?;
            }
        }),
        ("PING without end", |peer, _| {
            loop {
                peer.write(PING, 0, 0, b"12345678")?;
            }
        }),
        ("CONTINUATION without end", |peer, id| {
            peer.write(HEADERS, 0, id, STATUS_200)?;
            loop {
                peer.write(CONTINUATION, 0, id, &[0, 1, b'x', 1, b'y'])?;
            }
        }),
        ("interim answers without end", |peer, id| {
            loop {
                peer.write(HEADERS, END_HEADERS, id, &[0x08, 3, b'1', b'0', b'3'])?;
            }
        }),
        ("RST_STREAM of one stream without end", |peer, id| {
            loop {
                peer.reset(id, 2)?;
            }
        }),
        ("RST_STREAM of streams that nobody opened", |peer, id| {
            (id..LAST_ID).step_by(2).try_for_each(|id| peer.reset(id, 8))
        }),
        ("streams that the server opens, and resets at once", |peer, _| {
            (2..LAST_ID).step_by(2).try_for_each(|id| {
                peer.write(HEADERS, END_HEADERS, id, STATUS_200)?;
                peer.reset(id, 8)
            })
        }),
        ("headers without end", |peer, id| {
            let long = [&[0, 1, b'x', 0x7f, 0x81, 0x7e][..], &[b'y'; 16_384]].concat();
            loop {
                peer.write(HEADERS, END_HEADERS, id, &long)?;
            }
        }),
        ("a body past its window", |peer, id| {
            peer.write(HEADERS, END_HEADERS, id, STATUS_200)?;
            loop {
                peer.write(DATA, 0, id, &[0; 16_384])?;
            }
        }),
    ];
    for (what, hostility) in hostilities {
        let server = FrameServer::faulty(u64::MAX, hostility);
        let mut cohort = clients(&server.endpoint, 2);
        cohort.target.timeout = Duration::from_millis(300);
        cohort.target.connect_timeout = cohort.target.timeout;
        cohort.target.expect_status = vec![StatusPattern::Class(2)];
        let totals = load_until_dropped(cohort, 4).await;
        assert_eq!(totals.ok, 0, "{what}");
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let resident_kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(resident_kib < 1 << 20, "{what}: {line}");
    }
}
