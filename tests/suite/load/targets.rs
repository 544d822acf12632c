//! What can be loaded: https, tcp, bodies; and what cannot.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use gapless::load::{LoadError, LoadHandle};
use gapless::model::{Endpoint, FailureClass, Share, TlsFault};
use gapless::scenario::plan::{Cohort, Connections, Destination, Pace, Scheme};

use crate::load::harness::{Totals, cohort, load, until};
use crate::load::server::{ANSWER, Fault, Server, serve};

async fn load_until(cohort: Cohort, answered: u64) -> Totals {
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().ok, answered).await;
        load
    })
    .await;
    totals.assert_adds_up();
    totals
}

/// Reads two bytes, answers and closes; the first three connections otherwise.
fn byte_server() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut ping = [0; 2];
            stream.read_exact(&mut ping).unwrap();
            let answer: &[u8] = match number {
                0 | 1 => b"",
                2 => b"-ERR",
                _ => b"+PONG",
            };
            stream.write_all(answer).unwrap();
        }
    });
    endpoint
}

fn tcp_cohort(endpoint: &Endpoint, expect_body: Option<&str>) -> Cohort {
    let mut cohort = Cohort { connections: Connections::New, ..cohort(endpoint, 200.0) };
    cohort.target.scheme = Scheme::Tcp;
    cohort.target.body = b"hi".to_vec();
    cohort.target.expect_status = Vec::new();
    cohort.target.expect_body = expect_body.map(str::to_owned);
    cohort
}

#[tokio::test]
async fn a_tcp_target_is_judged_by_what_it_says() {
    let totals = load_until(tcp_cohort(&byte_server(), Some("^.PONG")), 5).await;
    assert_eq!(totals.of(FailureClass::ClosedBeforeResponse), 2);
    assert_eq!((totals.of(FailureClass::UnexpectedBody), totals.failed()), (1, 3));
    assert!(totals.statuses.is_empty());
}

#[tokio::test]
async fn a_tcp_target_without_an_expectation_must_say_anything_at_all() {
    let totals = load_until(tcp_cohort(&byte_server(), None), 5).await;
    assert_eq!((totals.of(FailureClass::ClosedBeforeResponse), totals.failed()), (2, 2));
}

#[tokio::test]
async fn a_server_with_an_abstract_name_is_loaded_by_it_and_its_own_count_agrees() {
    let server = Server::abstract_with(|number, conn| serve(conn, (number == 0).then_some(Fault::CloseBefore)));
    let totals = load_until(cohort(&server.endpoint, 200.0), 20).await;
    assert_eq!(totals.of(FailureClass::ClosedBeforeResponse), 1);
    assert_eq!(totals.ok + totals.failed(), server.requests());
    let Endpoint::Unix(name) = &server.endpoint else { panic!("{}", server.endpoint) };
    let gone = Endpoint::Unix(format!("{}-gone", name.display()).into());
    let totals = load(&[cohort(&gone, 200.0)], async |load: LoadHandle| {
        until(&load.live().dropped, 5).await;
        load
    })
    .await;
    assert_eq!(totals.of(FailureClass::Refused), totals.due, "no process is listening at that name");
}

#[tokio::test]
async fn every_byte_of_a_request_is_counted() {
    let server = Server::unix(Fault::CloseBefore, 1);
    let mut post = cohort(&server.endpoint, 200.0);
    post.target.method = "POST".to_owned();
    post.target.body = b"{}".to_vec();
    let totals = load_until(post, 2).await;
    let request = "POST /health?x=1 HTTP/1.1\r\nx-test: yes\r\nhost: target\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(totals.samples[0].bytes_out, request.len() as u64);
    assert_eq!(totals.of(FailureClass::ClosedBeforeResponse), 1, "sent whole: {:?}", totals.failures);
}

mod tls {
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, Stream};

    use super::*;

    const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/load/localhost.pem");
    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/load/localhost.key");

    /// Of the same key for the same host, from another issuer; it was valid in 2020.
    const EXPIRED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/load/expired.pem");

    /// Serves one connection at a time over TLS, but breaks off the first `broken` handshakes.
    fn server(certificate: &str, broken: u64) -> Endpoint {
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (number, socket) in (0..).zip(listener.incoming()) {
                let mut socket = socket.unwrap();
                if number < broken {
                    socket.write_all(b"this is no TLS, and long enough to see that").unwrap();
                    continue;
                }
                let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = Stream::new(&mut session, &mut socket);
                let mut request = [0; 4096];
                // A client that does not trust us ends the handshake here.
                while stream.read(&mut request).is_ok_and(|length| length > 0) {
                    stream.write_all(ANSWER).unwrap();
                    stream.flush().unwrap();
                }
            }
        });
        endpoint
    }

    fn https(endpoint: &Endpoint) -> Cohort {
        let mut cohort = Cohort { connections: Connections::Reused(1), ..cohort(endpoint, 100.0) };
        cohort.target.scheme = Scheme::Https;
        cohort.target.authority = "localhost".into();
        cohort.target.ca_file = Some(CERTIFICATE.into());
        cohort
    }

    #[tokio::test]
    async fn a_certificate_of_the_given_ca_is_trusted_and_broken_handshakes_are_counted() {
        let totals = load_until(https(&server(CERTIFICATE, 6)), 5).await;
        assert_eq!((totals.of(FailureClass::Tls), totals.failed()), (6, 6));
        assert_eq!(faults(&totals), [Some(TlsFault::NotTls)]);
        assert_eq!((totals.connections.opened, totals.connections.reused_requests), (1, totals.ok - 1));
    }

    fn faults(totals: &Totals) -> Vec<Option<TlsFault>> {
        totals.failures.keys().map(|key| key.tls).collect()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_certificate_is_recorded() {
        let with = |certificate, change: fn(&mut Cohort)| {
            let mut cohort = https(&server(certificate, 0));
            change(&mut cohort);
            cohort
        };
        for (cohort, fault) in [
            (with(EXPIRED, |cohort| cohort.target.ca_file = Some(EXPIRED.into())), TlsFault::CertificateExpired),
            (with(CERTIFICATE, |cohort| cohort.target.authority = "elsewhere".to_owned()), TlsFault::WrongName),
            (with(CERTIFICATE, |cohort| cohort.target.ca_file = Some(EXPIRED.into())), TlsFault::UnknownIssuer),
        ] {
            let totals = load(&[cohort], async |load: LoadHandle| {
                until(&load.live().dropped, 3).await;
                load
            })
            .await;
            assert_eq!(faults(&totals), [Some(fault)]);
        }
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_not_trusted_unless_told_so() {
        let mut other = https(&server(CERTIFICATE, 0));
        other.target.authority = "elsewhere".to_owned();
        let totals = load(&[other.clone()], async |load: LoadHandle| {
            until(&load.live().dropped, 5).await;
            load
        })
        .await;
        assert_eq!((totals.of(FailureClass::Tls), totals.ok), (totals.due, 0));
        other.target.ca_file = None;
        other.target.insecure = true;
        assert_eq!(load_until(other, 5).await.failed(), 0);
    }
}

#[test]
fn an_address_stands_for_a_hosts_name_once_it_is_pinned() {
    let server = Server::tcp(Fault::Stall, 0);
    let pinned = |connect: Destination| {
        let mut cohorts = [cohort(&server.endpoint, 1.0)];
        cohorts[0].target.connect = connect;
        LoadHandle::pin(&mut cohorts, Share::WHOLE).unwrap();
        cohorts[0].target.connect.clone()
    };
    let host = |host: &str| Destination::Host { host: host.to_owned(), port: 8008 };
    assert_eq!(pinned(host("localhost")), host("127.0.0.1"));
    assert_eq!(pinned(host("::1")), host("::1"));
    assert_eq!(pinned(host("fe80::1%lo")), host("fe80::1%lo"), "a zone would be lost");
    let path = Destination::Unix("/run/app.sock".into());
    assert_eq!(pinned(path.clone()), path);
}

#[test]
fn what_cannot_be_loaded_is_said_before_anything_is_sent() {
    let server = Server::tcp(Fault::Stall, 0);
    let start = |change: fn(&mut Cohort)| {
        let mut cohort = cohort(&server.endpoint, 1.0);
        change(&mut cohort);
        LoadHandle::start(&[cohort]).expect_err("cannot be loaded")
    };
    assert!(matches!(LoadHandle::start(&[]), Err(LoadError::NoCohort)));
    assert!(matches!(start(|c| c.pace = Pace::Rate(0.0)), LoadError::Rate { .. }));
    assert!(matches!(start(|c| c.pace = Pace::Clients(0)), LoadError::Never { what: "clients", .. }));
    assert!(matches!(start(|c| c.connections = Connections::Reused(0)), LoadError::Never { what: "connections", .. }));
    assert!(matches!(start(|c| c.connections = Connections::Reused(u32::MAX)), LoadError::DescriptorLimit { .. }));
    assert!(matches!(start(|c| c.target.expect_body = Some("(".into())), LoadError::Pattern { .. }));
    assert!(matches!(start(|c| c.target.method = "GE T".into()), LoadError::Request { .. }));
    let bad_header = |c: &mut Cohort| c.target.headers.push(("a b".into(), String::new()));
    assert!(start(bad_header).to_string().contains("header a b"));
    let nowhere = |c: &mut Cohort| {
        c.target.connect = Destination::Host { host: "no such host.invalid".into(), port: 80 };
    };
    assert!(matches!(start(nowhere), LoadError::Unresolvable { .. }));
    let no_ca = |c: &mut Cohort| {
        c.target.scheme = Scheme::Https;
        c.target.ca_file = Some("/nonexistent/ca.pem".into());
    };
    assert!(matches!(start(no_ca), LoadError::CaFile { .. }));
    assert_eq!(server.connections(), 0);
}
