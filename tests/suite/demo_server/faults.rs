//! Every fault: what a client sees of it, and how often.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use gapless::demo::server::{Effect, FaultKind, Scope, Transport};
use gapless::model::{Endpoint, FailureClass};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::demo_server::client::{Client, End, Received};
use crate::demo_server::server::TestServer;

/// A client that must give up can do so soon: nothing comes however long it waits.
const SHORT: Duration = Duration::from_millis(50);

/// Those that show with large bodies alone.
const WHILE_SENDING: [FaultKind; 2] = [FaultKind::ResetWhileSending, FaultKind::CloseWhileSending];

fn kinds_of(scope: Scope) -> impl Iterator<Item = FaultKind> {
    let is_of_http1 = |kind: &FaultKind| kind.effect(Transport::Tcp) != Effect::Unavailable;
    FaultKind::ALL.iter().copied().filter(move |kind| kind.scope() == scope && is_of_http1(kind))
}

/// Sends one request on `client` and classifies what came back, as a client does that knows what it is up against.
fn request(client: &mut Client, kind: FaultKind) -> (Option<FailureClass>, Received) {
    let judged_body = (kind == FaultKind::WrongBody).then_some("ok\n");
    client.send_get("/");
    let received = client.receive();
    (received.class(judged_body), received)
}

/// Sends one request that will time out, and gives up on it soon after the server did what it does.
fn request_in_vain(server: &TestServer, client: &mut Client, kind: FaultKind) -> (Option<FailureClass>, Received) {
    let injected = || server.counts().injected.get(&kind).copied();
    let before = injected();
    client.send_get("/");
    while injected() == before {
        std::thread::yield_now();
    }
    client.set_patience(SHORT);
    let received = client.receive();
    (received.class(None), received)
}

/// What twelve requests counted when every third was to fail with `kind`.
fn twelve_requests(kind: FaultKind, transport: Transport, keep_alive: bool) -> BTreeMap<FailureClass, u64> {
    let server = TestServer::with_fault(transport, &format!("{kind}@every=3"));
    let times_out = kind.expected_class(transport) == Some(FailureClass::ResponseTimeout);
    let mut counted = BTreeMap::new();
    let mut connection: Option<Client> = None;
    for number in 1..=12 {
        let mut client = connection.take().unwrap_or_else(|| server.connect());
        let (class, received) = if times_out && number % 3 == 0 {
            request_in_vain(&server, &mut client, kind)
        } else {
            request(&mut client, kind)
        };
        if let Some(class) = class {
            *counted.entry(class).or_insert(0) += 1;
        }
        connection = (keep_alive && received.end == End::Whole).then_some(client);
    }
    let counts = server.counts();
    assert_eq!(counts.requests, 12, "{kind} {transport:?}");
    assert_eq!(counts.injected, [(kind, 4)].into(), "{kind} {transport:?}");
    counted
}

#[test]
fn every_third_of_twelve_requests_meets_each_fault_on_both_transports_and_kinds_of_connection() {
    for kind in kinds_of(Scope::Request).filter(|kind| !WHILE_SENDING.contains(kind)) {
        for (transport, keep_alive) in
            Transport::ALL.iter().flat_map(|&transport| [(transport, false), (transport, true)])
        {
            let expected = kind.expected_class(transport).map(|class| (class, 4)).into_iter().collect();
            assert_eq!(twelve_requests(kind, transport, keep_alive), expected, "{kind} {transport:?} {keep_alive}");
        }
    }
}

#[test]
fn the_first_five_requests_meet_a_fault_and_no_later_one() {
    let server = TestServer::with_fault(Transport::Tcp, "close-before@first=5");
    let classes: Vec<_> = (0..8).map(|_| request(&mut server.connect(), FaultKind::CloseBefore).0).collect();
    assert_eq!(classes[..5], [Some(FailureClass::ClosedBeforeResponse); 5]);
    assert_eq!(classes[5..], [None; 3]);
    assert_eq!(server.stop().injected, [(FaultKind::CloseBefore, 5)].into());
}

#[test]
fn a_reset_and_a_close_send_the_same_bytes_before_they_end() {
    for (reset, close) in [
        (FaultKind::ResetBefore, FaultKind::CloseBefore),
        (FaultKind::ResetStatusLine, FaultKind::CloseStatusLine),
        (FaultKind::ResetHead, FaultKind::CloseHead),
        (FaultKind::ResetBodyLength, FaultKind::CloseBodyLength),
        (FaultKind::ResetBodyChunked, FaultKind::CloseBodyChunked),
        (FaultKind::ResetBodyEof, FaultKind::CloseBodyEof),
    ] {
        let see = |kind: FaultKind| {
            let server = TestServer::with_fault(Transport::Tcp, kind.name());
            request(&mut server.connect(), kind).1
        };
        let (reset, close) = (see(reset), see(close));
        assert_eq!((reset.end, close.end), (End::Reset, End::Fin));
        assert_eq!(reset.bytes, close.bytes);
    }
}

#[test]
fn each_cut_falls_where_its_name_says() {
    let see = |kind: FaultKind| {
        let server = TestServer::with_fault(Transport::Tcp, kind.name());
        String::from_utf8(request(&mut server.connect(), kind).1.bytes).unwrap()
    };
    assert_eq!(see(FaultKind::CloseBefore), "");
    assert_eq!(see(FaultKind::CloseStatusLine), "HTTP/1.1 20");
    let head = see(FaultKind::CloseHead);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("\r\n\r\n"), "{head}");
    let length = see(FaultKind::CloseBodyLength);
    assert!(length.contains("Content-Length: 64\r\n"), "{length}");
    assert_eq!(length.split_once("\r\n\r\n").unwrap().1.len(), 32);
    assert!(see(FaultKind::CloseBodyChunked).contains("Transfer-Encoding: chunked\r\n"));
    let eof = see(FaultKind::CloseBodyEof);
    assert!(!eof.contains("Content-Length") && !eof.contains("Transfer-Encoding"), "{eof}");
}

#[test]
fn a_request_that_cannot_be_written_whole_is_reset_while_it_is_sent() {
    for (kind, transport) in
        WHILE_SENDING.into_iter().flat_map(|kind| Transport::ALL.map(|transport| (kind, transport)))
    {
        let server = TestServer::with_fault(transport, &format!("{kind}@every=2"));
        let body = vec![b'x'; 64 << 20];
        let send = || {
            let mut client = server.connect();
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
            client.send(head.as_bytes()).unwrap();
            client.send(&body).map(|()| client.receive().class(None))
        };
        assert_eq!(send().unwrap(), None);
        assert!(send().is_err(), "{kind} {transport:?}");
        assert_eq!(server.stop().injected, [(kind, 1)].into());
    }
}

#[test]
fn every_third_of_twelve_connections_is_left_unread() {
    for kind in [FaultKind::AcceptUnread, FaultKind::AcceptCloseUnread] {
        for transport in Transport::ALL {
            let server = TestServer::with_fault(transport, &format!("{kind}@every=3"));
            let classes: Vec<_> = (0..12).filter_map(|_| request(&mut server.connect(), kind).0).collect();
            assert_eq!(classes, [kind.expected_class(transport).unwrap(); 4], "{kind} {transport:?}");
            let counts = server.stop();
            assert_eq!((counts.connections, counts.requests), (12, 8), "{kind} {transport:?}");
            assert_eq!(counts.injected, [(kind, 4)].into());
        }
    }
}

#[test]
fn a_connection_that_is_closed_unused_meets_no_fault() {
    let server = TestServer::with_fault(Transport::Tcp, "accept-unread");
    drop(server.connect());
    let mut client = server.connect();
    client.send_get("/");
    assert_eq!(client.receive().end, End::Reset);
    let counts = server.stop();
    assert_eq!((counts.connections, counts.injected), (2, [(FaultKind::AcceptUnread, 1)].into()));
}

#[test]
fn a_client_hello_is_answered_with_an_alert_or_with_garbage() {
    for transport in Transport::ALL {
        let first_bytes = |kind: FaultKind| {
            let server = TestServer::with_fault(transport, kind.name());
            let mut client = server.connect();
            client.send(b"\x16\x03\x01\x00\x05hello").unwrap();
            let received = client.receive_to_end();
            assert_eq!(received.end, End::Fin);
            drop(client);
            assert_eq!(server.stop().injected, [(kind, 1)].into());
            received.bytes
        };
        assert_eq!(first_bytes(FaultKind::TlsAlert), [21, 3, 3, 0, 2, 2, 40]);
        assert!(!(20..=24).contains(&first_bytes(FaultKind::TlsGarbage)[0]), "a TLS content type");
    }
}

#[test]
fn a_server_that_refuses_listens_nowhere() {
    for transport in Transport::ALL {
        let server = TestServer::with_fault(transport, "refuse");
        let error = Client::connect(&server.endpoint).err().unwrap();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::CONNREFUSED), "{transport:?}");
    }
}

#[test]
fn a_full_queue_lets_no_client_in() {
    let server = TestServer::with_fault(Transport::Tcp, "queue-full");
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("{}", server.endpoint) };
    let error = std::net::TcpStream::connect_timeout(address, SHORT).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);

    let server = TestServer::with_fault(Transport::Unix, "queue-full");
    let Endpoint::Unix(path) = &server.endpoint else { panic!("{}", server.endpoint) };
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let address = SocketAddrUnix::new(path.as_path()).unwrap();
    assert_eq!(rustix::net::connect(&socket, &address), Err(Errno::AGAIN));
}

#[test]
fn a_path_can_be_missing_forbidden_or_of_the_wrong_type() {
    let connect = |server: &TestServer| Errno::from_io_error(&Client::connect(&server.endpoint).err().unwrap());
    let missing = TestServer::with_fault(Transport::Unix, "path-missing");
    assert_eq!(connect(&missing), Some(Errno::NOENT));
    let wrong = TestServer::with_fault(Transport::Unix, "wrong-socket-type");
    assert_eq!(connect(&wrong), Some(Errno::PROTOTYPE));
    // Whether that keeps a client out depends on who runs the test: root gets in.
    let forbidden = TestServer::with_fault(Transport::Unix, "no-permission");
    assert_eq!(forbidden.file("server.sock").metadata().unwrap().permissions().mode() & 0o777, 0);
}

#[test]
#[ignore = "runs in the box"]
fn every_handshake_is_reset_before_the_client_is_connected() {
    let server = TestServer::with_fault(Transport::Tcp, "reset-handshake");
    for _ in 0..8 {
        let error = Client::connect(&server.endpoint).err().unwrap();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::CONNRESET));
    }
}

#[test]
fn handshakes_are_reset_on_one_ipv4_address_only() {
    for address in ["0.0.0.0:0", "[::1]:0"] {
        let mut options =
            gapless::demo::server::ServerOptions::listening_on(vec![Endpoint::Tcp(address.parse().unwrap())]);
        options.faults.push("reset-handshake".parse().unwrap());
        let error = gapless::demo::server::Background::start(options).err().unwrap().to_string();
        assert!(error.contains("no reset-handshake on such an address"), "{error}");
    }
}

#[test]
fn a_fault_that_the_transport_does_not_have_is_an_error_at_the_start() {
    let of_listeners = FaultKind::ALL.iter().filter(|kind| kind.scope() == Scope::Listener);
    for kind in of_listeners.filter(|kind| kind.effect(Transport::Tcp) == Effect::Unavailable) {
        let mut options =
            gapless::demo::server::ServerOptions::listening_on(vec![Endpoint::Tcp(([127, 0, 0, 1], 0).into())]);
        options.faults.push(kind.name().parse().unwrap());
        let error = gapless::demo::server::Background::start(options).err().unwrap().to_string();
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}
