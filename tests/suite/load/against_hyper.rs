//! The reader of answers beside hyper's: whatever comes, and however it is cut, both decide the same.

use std::error::Error as _;
use std::io;

use gapless::load::internals::{AnswerReader, Progress};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a client knows of an answer once the server has closed the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// It is whole.
    Whole { status: u16, body: Vec<u8> },
    /// It is not.
    CutShort,
    /// It is none.
    NotHttp,
}

fn by_gapless(method: &str, parts: &[&[u8]]) -> Seen {
    let (mut reader, mut body) = (AnswerReader::new(method), Vec::new());
    for part in parts {
        match reader.feed(part, |bytes| body.extend_from_slice(bytes)) {
            Progress::More => {}
            Progress::Whole { .. } => return whole(&reader, body),
            Progress::NotHttp => return Seen::NotHttp,
        }
    }
    if reader.close() { whole(&reader, body) } else { Seen::CutShort }
}

fn whole(reader: &AnswerReader, body: Vec<u8>) -> Seen {
    Seen::Whole { status: reader.status().unwrap(), body }
}

async fn by_hyper(method: &str, answer: &[u8]) -> Seen {
    let (client, mut server) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
    let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
    let ask = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        hyper::Result::Ok(Seen::Whole { status: head.status.as_u16(), body: body.collect().await?.to_bytes().to_vec() })
    };
    let serve = async {
        let mut request = [0; 1024];
        assert!(server.read(&mut request).await.unwrap() > 0);
        server.write_all(answer).await.unwrap();
        drop(server);
    };
    // How the connection ends is in what the request gets.
    let (seen, (), _) = tokio::join!(ask, serve, connection);
    seen.unwrap_or_else(|error| if is_cut_short(&error) { Seen::CutShort } else { Seen::NotHttp })
}

fn is_cut_short(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    error.is_incomplete_message() || io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
}

/// One line of a head, or something that is none.
fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Content-Length: 0",
        "content-length: 5",
        "content-length: 5, 5",
        "Content-Length:  17 ",
        "content-length: 5 5",
        "content-length:",
        "Transfer-Encoding: chunked",
        "transfer-encoding: gzip, Chunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: identity",
        "connection: close",
        "connection: keep-alive, upgrade",
        "server: nginx",
        "x: ",
        " folded",
        "no header",
        "a : b",
        "",
    ]);
    prop_oneof![20 => known.prop_map(str::to_owned), 1 => "[ -~]{0,20}"]
}

fn status_line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 103 Early Hints",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304",
        "HTTP/1.1 503 ",
        "HTTP/1.1 099 Low",
        "HTTP/2 200",
        "HTTP/1.1",
    ]);
    prop_oneof![20 => known.prop_map(str::to_owned), 1 => "[ -~]{0,20}"]
}

fn body() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "",
        "hello",
        "hello, this is a ",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;ext=1\r\nhello\r\nC \r\n, I am chunks\r\n0\r\nExpires: never\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nmore",
        "5\r\nhello\r\n",
        "5\r\nhello!\r\n",
        "xyz\r\nhello",
        "ffffffffffffffffff\r\n",
        "0\r\nno trailer\r\n\r\n",
    ]);
    prop_oneof![20 => known.prop_map(str::to_owned), 1 => "[ -~\r\n]{0,40}"]
}

/// Up to three heads, since interim ones are skipped, and a body. Some with a byte changed, some cut short.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n"]);
    let head = (status_line(), prop::collection::vec(line(), 0..4), end)
        .prop_map(|(status, lines, end)| [vec![status], lines, vec![String::new(), String::new()]].concat().join(end));
    let change = prop::option::weighted(0.2, (any::<prop::sample::Index>(), 0_u8..128));
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (prop::collection::vec(head, 1..3), body(), change, cut).prop_map(|(heads, body, change, cut)| {
        let mut bytes = (heads.concat() + &body).into_bytes();
        if let Some((place, byte)) = change {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn both_read_the_same_answer(
        answer in answer(), method in prop::sample::select(vec!["GET", "GET", "HEAD", "CONNECT"]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([answer.len()]);
        let parts: Vec<&[u8]> = starts.zip(ends).map(|(from, to)| &answer[from..to]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = runtime.block_on(by_hyper(method, &answer));
        prop_assert_eq!(by_gapless(method, &parts), expected, "{}", String::from_utf8_lossy(&answer));
    }
}
