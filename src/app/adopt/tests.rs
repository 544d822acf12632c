use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// A server that answers each connection by what it was sent, and the endpoint that it listens at.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 1024];
            let Ok(length) = stream.read(&mut request) else { continue };
            let _ = stream.write_all(answer(&String::from_utf8_lossy(&request[..length])).as_bytes());
        }
    });
    endpoint
}

fn http(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
}

fn ask(endpoint: &Endpoint, request: &RequestArgs) -> String {
    let candidate = Asking { request, here: Path::new("/"), there: None }.ask(endpoint);
    match &candidate.adopted {
        Adopted::Path(asked) => format!("{} {}", candidate.told, asked.certificate.is_some()),
        Adopted::Bytes { .. } => "bytes".to_owned(),
        Adopted::Nothing | Adopted::Unasked => format!("nothing: {}", candidate.told),
    }
}

#[test]
fn a_path_is_adopted_only_with_a_good_status() {
    let asked = |answer: fn(&str) -> String| ask(&server(answer), &RequestArgs::default());
    assert_eq!(asked(|_| http(200)), "GET /health answered 200 over http false");
    let elsewhere = asked(|request| http(if request.starts_with("GET / ") { 302 } else { 404 }));
    assert_eq!(elsewhere, "GET / answered 302 over http false");
    for status in [401, 404, 500, 503] {
        let answered = ask(&server(move |_| http(status)), &RequestArgs::default());
        let all = ["/health", "/healthz", "/ready", "/"].map(|path| format!("{path} {status}")).join(", ");
        assert_eq!(answered, format!("nothing: over http: {all}"));
    }
}

#[test]
fn a_status_that_is_expected_is_good() {
    let said = RequestArgs { expect_status: vec!["401".to_owned()], ..RequestArgs::default() };
    assert_eq!(ask(&server(|_| http(401)), &said), "GET /health answered 401 over http false");
    assert!(ask(&server(|_| http(200)), &said).starts_with("nothing"));
}

#[test]
fn a_service_is_asked_as_it_will_be_loaded() {
    let server = server(|request| {
        let is_right = request.starts_with("POST /health ")
            && request.to_lowercase().contains("x-key: hunter2-x\r\n")
            && request.ends_with("\r\n\r\n{}");
        http(if is_right { 200 } else { 403 })
    });
    let request = RequestArgs {
        headers: vec!["X-Key: hunter2-x".to_owned()],
        body: Some("{}".to_owned()),
        ..RequestArgs::default()
    };
    assert_eq!(ask(&server, &request), "POST /health answered 200 over http false");
    assert!(ask(&server, &RequestArgs::default()).starts_with("nothing"));
}

#[test]
fn what_body_says_is_not_http_is_never_spoken_to_in_http() {
    let (heard, hears) = std::sync::mpsc::channel();
    let endpoint = server(move |request| {
        heard.send(request.to_owned()).unwrap();
        "+PONG\r\n".to_owned()
    });
    let said = |expect_body: &str| RequestArgs {
        body: Some("PING\r\n".to_owned()),
        expect_body: Some(expect_body.to_owned()),
        ..RequestArgs::default()
    };
    assert_eq!(ask(&endpoint, &said("PONG")), "bytes");
    assert_eq!(ask(&endpoint, &said("ready")), "nothing: its 7 bytes in answer to --body do not match --expect-body");
    let all: Vec<String> = hears.try_iter().collect();
    assert!(all.iter().all(|heard| heard == "PING\r\n") && all.len() == 2, "{all:?}");
}

/// Status, content type, body, and `grpc-status` in the trailers.
type Answer = (u16, &'static str, &'static [u8], Option<&'static str>);

/// hyper's server of HTTP/2 with prior knowledge: the answer to each path, with its content type, body and trailers.
fn http2_server(answer: fn(&str) -> Answer) -> Endpoint {
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let (bound, endpoint) = std::sync::mpsc::channel();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| async move {
        let (status, kind, body, grpc) = answer(request.uri().path());
        let trailers = grpc.map(|code| {
            let trailers = [("grpc-status".parse().unwrap(), code.parse().unwrap())];
            Frame::trailers(trailers.into_iter().collect::<hyper::HeaderMap>())
        });
        let frames: Vec<_> =
            [Frame::data(Bytes::from_static(body))].into_iter().chain(trailers).map(Ok::<_, io::Error>).collect();
        let head = hyper::Response::builder().status(status).header("content-type", kind);
        head.body(StreamBody::new(futures_util::stream::iter(frames)))
    });
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(Endpoint::Tcp(listener.local_addr().unwrap())).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // A client that is done ends it.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        });
    });
    endpoint.recv().unwrap()
}

fn speaking(protocol: Protocol) -> RequestArgs {
    RequestArgs { protocol: Some(protocol), ..RequestArgs::default() }
}

#[test]
fn a_service_is_asked_in_the_protocol_that_it_will_be_loaded_in() {
    let of_http2 =
        || http2_server(|path| if path == "/ready" { (200, "text/plain", b"ok", None) } else { (404, "", b"", None) });
    assert_eq!(ask(&of_http2(), &speaking(Protocol::Http2)), "GET /ready answered 200 over http false");
    let told = ask(&of_http2(), &RequestArgs::default());
    assert_eq!(told, "nothing: it speaks HTTP/2: pass --protocol http2, or --protocol grpc");
    let plain = server(|_| http(200));
    let told = ask(&plain, &speaking(Protocol::Http2));
    assert!(told.starts_with("nothing: over http: it does not answer in HTTP/2: it answered as HTTP/1.1"), "{told}");
}

#[test]
fn a_service_of_grpc_is_asked_for_its_health_and_taken_only_if_it_serves() {
    const KIND: &str = "application/grpc";
    let asked = |answer| ask(&http2_server(answer), &speaking(Protocol::Grpc));
    let health = "/grpc.health.v1.Health/Check";
    assert_eq!(
        asked(|_| (200, KIND, b"\0\0\0\0\x02\x08\x01", Some("0"))),
        format!("POST {health} answered OK over http false")
    );
    let not_serving = asked(|_| (200, KIND, b"\0\0\0\0\x02\x08\x02", Some("0")));
    assert_eq!(not_serving, format!("nothing: over http: {health} OK, but not that it is SERVING"));
    let without = asked(|_| (200, KIND, b"", Some("12")));
    assert_eq!(without, format!("nothing: over http: {health} UNIMPLEMENTED"));
    let page = asked(|_| (200, "text/html", b"<html>", None));
    assert!(page.contains("it does not answer in gRPC: it answered with something else over HTTP/2"), "{page}");
    let expected = RequestArgs { expect_grpc_status: vec!["UNIMPLEMENTED".to_owned()], ..speaking(Protocol::Grpc) };
    let said = ask(&http2_server(|_| (200, KIND, b"", Some("12"))), &expected);
    assert_eq!(said, format!("POST {health} answered UNIMPLEMENTED over http false"));
}
