//! The head of an answer: its status, where its body ends, and whether the connection stays.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use crate::load::protocol::naming::Naming;

/// What decides, beside an answer's own head, whether it has a body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Asked {
    /// For a head: no answer has a body.
    Head,
    /// For a tunnel: a 2xx answer has no body, and what follows is no HTTP.
    Connect,
    /// For anything else.
    Other,
}

/// What came is not HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) struct NotHttp;

/// More headers than this are refused, as hyper does.
pub(super) const HEADERS_MAX: usize = 100;

/// What a whole head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its length in bytes, with the empty line behind it.
    pub(super) bytes: usize,
    /// From 100 to 999.
    pub(super) status: u16,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// The server will take another request on this connection.
    pub(super) keeps_alive: bool,
}

/// Where the body of an answer ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The number of bytes after which it ended.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

impl Head {
    /// Parses the head that `bytes` start with, and shows `naming` its headers; none while it is not whole.
    pub(super) fn parse(bytes: &[u8], asked: Asked, naming: Option<&mut Naming>) -> Result<Option<Self>, NotHttp> {
        let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let parse = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut room);
        let length = match parse {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(NotHttp),
        };
        let status = parsed.code.filter(|&status| status >= 100).ok_or(NotHttp)?;
        let is_1_1 = parsed.version == Some(1);
        let fields = Fields::read(parsed.headers);
        if let Some(naming) = naming {
            naming.begin();
            parsed.headers.iter().for_each(|header| naming.see(header.name, header.value));
        }
        let framing = fields.framing(status, asked, is_1_1)?;
        let keeps_alive = !fields.closes && (is_1_1 || fields.keeps_alive) && !becomes_tunnel(status, asked);
        Ok(Some(Self { bytes: length, status, framing, keeps_alive }))
    }

    /// Another head follows: that of the answer itself.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != SWITCHING_PROTOCOLS
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;

fn becomes_tunnel(status: u16, asked: Asked) -> bool {
    status == SWITCHING_PROTOCOLS || (asked == Asked::Connect && (200..300).contains(&status))
}

/// The headers that matter here.
#[derive(Default)]
struct Fields<'a> {
    closes: bool,
    keeps_alive: bool,
    length: Option<Result<u64, NotHttp>>,
    /// The last of them.
    transfer_encoding: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(headers: &[Header<'a>]) -> Self {
        let mut fields = Self::default();
        for header in headers {
            // By length first: nearly all headers are none of these.
            match header.name.len() {
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    fields.closes |= items(header.value).any(|item| item.eq_ignore_ascii_case(b"close"));
                    fields.keeps_alive |= items(header.value).any(|item| item.eq_ignore_ascii_case(b"keep-alive"));
                }
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    for item in items(header.value) {
                        let length =
                            digits(item).filter(|&length| *fields.length.get_or_insert(Ok(length)) == Ok(length));
                        if length.is_none() {
                            fields.length = Some(Err(NotHttp));
                        }
                    }
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.transfer_encoding = Some(header.value);
                }
                _ => {}
            }
        }
        fields
    }

    fn framing(&self, status: u16, asked: Asked, is_1_1: bool) -> Result<Framing, NotHttp> {
        let has_no_body = status < 200 || matches!(status, 204 | 304) || asked == Asked::Head;
        if has_no_body || becomes_tunnel(status, asked) {
            return Ok(Framing::Length(0));
        }
        match (self.transfer_encoding, self.length) {
            // HTTP/1.0 does not know it: nobody can tell where such an answer ends.
            (Some(_), _) if !is_1_1 => Err(NotHttp),
            (Some(encodings), _) => {
                let is_chunked = items(encodings).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
                Ok(if is_chunked { Framing::Chunked } else { Framing::Close })
            }
            (None, Some(length)) => length.map(Framing::Length),
            (None, None) => Ok(Framing::Close),
        }
    }
}

/// The items of a comma-separated list.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn digits(item: &[u8]) -> Option<u64> {
    let mut length = (!item.is_empty()).then_some(0_u64)?;
    for byte in item {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        length = length.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, NotHttp> {
        Head::parse(text.as_bytes(), Asked::Other, None)
    }

    fn framing(fields: &str) -> Result<Framing, NotHttp> {
        head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|head| head.unwrap().framing)
    }

    fn keeps_alive(text: &str) -> bool {
        head(text).unwrap().unwrap().keeps_alive
    }

    #[test]
    fn where_a_body_ends_is_what_rfc_9112_says() {
        assert_eq!(framing("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing("content-length: 7, 7\r\nCONTENT-LENGTH: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(framing("content-length: 7\r\ntransfer-encoding: gzip, Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing("transfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n"), Ok(Framing::Close));
        assert_eq!(framing("x: y\r\n"), Ok(Framing::Close));
    }

    #[test]
    fn a_length_that_is_none_is_not_http() {
        for length in ["", "-1", "+1", "1x", "0x1", "7, 8", "7,", "18446744073709551616"] {
            assert_eq!(framing(&format!("content-length: {length}\r\n")), Err(NotHttp), "{length:?}");
        }
        assert_eq!(framing("content-length: 8\r\ncontent-length: 7\r\n"), Err(NotHttp));
        assert_eq!(head("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), Err(NotHttp));
    }

    #[test]
    fn some_answers_have_no_body_whatever_their_head_says() {
        for (status, asked) in [(204, Asked::Other), (304, Asked::Other), (200, Asked::Head), (200, Asked::Connect)] {
            let text = format!("HTTP/1.1 {status} \r\ncontent-length: 5\r\n\r\n");
            assert_eq!(
                Head::parse(text.as_bytes(), asked, None).unwrap().unwrap().framing,
                Framing::Length(0),
                "{status}"
            );
        }
        let refused =
            Head::parse(b"HTTP/1.1 403 No\r\ncontent-length: 5\r\n\r\n", Asked::Connect, None).unwrap().unwrap();
        assert_eq!(refused.framing, Framing::Length(5), "there is no tunnel");
    }

    #[test]
    fn a_connection_stays_by_its_version_unless_told_otherwise() {
        assert!(keeps_alive("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(keeps_alive("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n"));
    }

    #[test]
    fn more_headers_than_the_limit_and_a_status_that_is_none_are_not_http() {
        let with = |headers: usize| head(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(headers)));
        assert!(with(HEADERS_MAX).is_ok_and(|head| head.is_some()));
        assert_eq!(with(HEADERS_MAX + 1), Err(NotHttp));
        assert_eq!(head("HTTP/1.1 099 Low\r\n\r\n"), Err(NotHttp));
        assert_eq!(head("HTTP/2 200\r\n\r\n"), Err(NotHttp));
    }
}
