//! One answer after the other, from the first byte to the last, however they are cut. No I/O: bytes in, progress out.

use super::chunked::Chunked;
use super::head::{Asked, Framing, Head, NotHttp};
use super::status_line;
use crate::load::protocol::naming::Naming;

/// A head that is longer is refused, at the length where hyper refuses it.
const HEAD_BYTES_MAX: usize = 8 * 1024 + 400 * 1024;

/// Up to this length a head is looked at with every part that comes; beyond, only when a line has ended. So one
/// that trickles in costs no time that grows with its square.
const EAGER_BYTES: usize = 8 * 1024;

/// Reads the answers of one connection. Keeps nothing of an answer but what its framing needs; a head that
/// comes in one part is not even copied.
#[derive(Debug)]
pub(in crate::load) struct Response {
    state: State,
    /// The start of a head that came in parts, or of one that is not HTTP.
    head: Vec<u8>,
    status: Option<u16>,
    keeps_alive: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Whole,
}

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Taken {
    /// The answer goes on.
    More,
    /// The answer is whole, and this number of bytes follows it.
    Whole {
        /// Bytes that nobody has asked for.
        surplus: usize,
    },
}

impl Response {
    /// Expects an answer.
    pub(in crate::load) fn new() -> Self {
        Self { state: State::Head, head: Vec::new(), status: None, keeps_alive: false }
    }

    /// Expects the next answer.
    pub(in crate::load) fn begin(&mut self) {
        self.state = State::Head;
        self.head.clear();
        self.status = None;
        self.keeps_alive = false;
    }

    /// Takes the next bytes of the answer, and gives its headers to `naming` and the bytes of its body to `body`.
    pub(in crate::load) fn feed(
        &mut self,
        bytes: &[u8],
        asked: Asked,
        mut naming: Option<&mut Naming>,
        mut body: impl FnMut(&[u8]),
    ) -> Result<Taken, NotHttp> {
        let mut rest = bytes;
        loop {
            match &mut self.state {
                State::Head => match self.feed_head(rest, asked, naming.as_deref_mut())? {
                    None => return Ok(Taken::More),
                    Some(taken) => rest = &rest[taken..],
                },
                State::Length(left) => {
                    let part = &rest[..usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len())];
                    body(part);
                    *left -= part.len() as u64;
                    if *left > 0 {
                        return Ok(Taken::More);
                    }
                    rest = &rest[part.len()..];
                    self.state = State::Whole;
                }
                State::Chunked(chunked) => match chunked.feed(rest, &mut body)? {
                    None => return Ok(Taken::More),
                    Some(taken) => {
                        rest = &rest[taken..];
                        self.state = State::Whole;
                    }
                },
                State::UntilClose => {
                    body(rest);
                    return Ok(Taken::More);
                }
                State::Whole => return Ok(Taken::Whole { surplus: rest.len() }),
            }
        }
    }

    /// The server closed the connection: whether that makes the answer whole.
    pub(in crate::load) fn close(&mut self) -> bool {
        let ends = matches!(self.state, State::UntilClose);
        self.keeps_alive &= !ends;
        ends
    }

    /// The status, as soon as the status line is whole. That of an interim answer (1xx) is none.
    pub(in crate::load) fn status(&self) -> Option<u16> {
        self.status.or_else(|| status_line::status(&self.head))
    }

    /// Of a whole answer: the server will take another request on this connection.
    pub(in crate::load) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// How many of `bytes` belong to the head, once it is whole.
    fn feed_head(&mut self, bytes: &[u8], asked: Asked, naming: Option<&mut Naming>) -> Result<Option<usize>, NotHttp> {
        let held = self.head.len();
        if held == 0 {
            let parsed = Head::parse(bytes, asked, naming);
            if !matches!(parsed, Ok(Some(_))) {
                self.head.extend_from_slice(bytes);
            }
            return self.settle(parsed?, held, bytes.len());
        }
        self.head.extend_from_slice(bytes);
        if self.head.len() > EAGER_BYTES && self.head.len() < HEAD_BYTES_MAX && !bytes.contains(&b'\n') {
            return Ok(None);
        }
        let parsed = Head::parse(&self.head, asked, naming)?;
        self.settle(parsed, held, held + bytes.len())
    }

    /// Takes over what a head says, of which `held` bytes came before the last part, and `seen` with it.
    fn settle(&mut self, head: Option<Head>, held: usize, seen: usize) -> Result<Option<usize>, NotHttp> {
        if head.map_or(seen >= HEAD_BYTES_MAX, |head| head.bytes > HEAD_BYTES_MAX) {
            return Err(NotHttp);
        }
        let Some(head) = head else { return Ok(None) };
        self.head.clear();
        if !head.is_interim() {
            self.status = Some(head.status);
            self.keeps_alive = head.keeps_alive;
            self.state = match head.framing {
                Framing::Length(length) => State::Length(length),
                Framing::Chunked => State::Chunked(Chunked::new()),
                Framing::Close => State::UntilClose,
            };
        }
        Ok(Some(head.bytes - held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of an answer that came in `parts` before the server closed the connection.
    fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Result<Taken, NotHttp>, Vec<u8>, Option<u16>, bool) {
        let (mut response, mut body, mut surplus) = (Response::new(), Vec::new(), None);
        for part in parts {
            match (response.feed(part, Asked::Other, None, |bytes| body.extend_from_slice(bytes)), surplus) {
                (Err(NotHttp), _) => return (Err(NotHttp), body, response.status(), false),
                (Ok(Taken::More), _) => {}
                (Ok(Taken::Whole { surplus: more }), before) => surplus = Some(before.unwrap_or(0) + more),
            }
        }
        let taken = match surplus {
            Some(surplus) => Taken::Whole { surplus },
            None if response.close() => Taken::Whole { surplus: 0 },
            None => Taken::More,
        };
        (Ok(taken), body, response.status(), response.keeps_alive())
    }

    fn whole(text: &str) -> (Result<Taken, NotHttp>, Vec<u8>, Option<u16>, bool) {
        read([text.as_bytes()])
    }

    #[test]
    fn an_answer_is_whole_where_its_framing_ends() {
        let answered = |surplus, body: &str, keeps| (Ok(Taken::Whole { surplus }), body.into(), Some(200), keeps);
        assert_eq!(whole("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), answered(0, "hello", true));
        assert_eq!(whole("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhello"), answered(3, "he", true));
        assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nhello"), answered(0, "hello", false));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(whole(chunked), answered(0, "hello", true));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(whole(interim), answered(0, "", true));
    }

    #[test]
    fn an_answer_that_is_cut_short_has_the_status_of_its_line() {
        assert_eq!(whole("HTTP/1.1 503 No").2, None);
        assert_eq!(whole("HTTP/1.1 503 No\r\ncontent-le").2, Some(503));
        assert_eq!(whole("HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nno").2, Some(503));
        assert_eq!(whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2").2, None, "an interim answer is none");
        let (result, _, status, _) = whole("HTTP/1.1 503 No\r\nno header\r\n\r\n");
        assert_eq!((result, status), (Err(NotHttp), Some(503)));
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_however_it_comes() {
        let head = |bytes: usize| {
            let (start, end) = ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: ", "\r\n\r\n");
            format!("{start}{}{end}", "b".repeat(bytes - start.len() - end.len())).into_bytes()
        };
        for part in [usize::MAX, 16 * 1024, 1_000] {
            let read = |bytes| read(head(bytes).chunks(part.min(bytes))).0;
            assert_eq!(read(HEAD_BYTES_MAX), Ok(Taken::Whole { surplus: 0 }), "{part}");
            assert_eq!(read(HEAD_BYTES_MAX + 1), Err(NotHttp), "{part}");
        }
    }

    #[test]
    fn where_an_answer_is_cut_makes_no_difference() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 No\r\nserver: x\r\n\r\nnot here",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\na: b\r\n\r\nmore",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n",
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        ] {
            let expected = whole(text);
            for cut in 1..text.len() {
                let (left, right) = text.as_bytes().split_at(cut);
                assert_eq!(read([left, right]), expected, "{text:?} at {cut}");
            }
            assert_eq!(read(text.as_bytes().chunks(1)), expected, "{text:?} byte for byte");
        }
    }
}
