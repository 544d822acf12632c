//! The head of a request: HTTP/1.1 as strictly as the server needs it (RFC 9112).

use bytes::{Buf as _, BytesMut};

/// The longest head that is read.
pub(super) const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// A request whose head was read; its body, if it has one, was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query, as sent.
    pub(super) target: String,
    pub(super) body_length_bytes: u64,
    /// Whether the client wants the connection to stay open.
    pub(super) keep_alive: bool,
}

/// The status that a head is refused with.
pub(super) type Refusal = u16;

impl Head {
    /// Takes the next head off the front of `buffer`; none while it is not whole. `searched` is how many bytes were
    /// there at the last try.
    pub(super) fn take(buffer: &mut BytesMut, searched: usize) -> Option<Result<Self, Refusal>> {
        let from = searched.saturating_sub(3);
        let Some(at) = buffer[from..].windows(4).position(|window| window == b"\r\n\r\n") else {
            return (buffer.len() > HEAD_LIMIT_BYTES).then_some(Err(431));
        };
        let head = buffer.split_to(from + at);
        buffer.advance(4);
        Some(Self::parse(&head))
    }

    fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let head = std::str::from_utf8(head).map_err(|_| 400_u16)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        let mut parsed = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            body_length_bytes: 0,
            keep_alive: match version {
                "HTTP/1.1" => true,
                "HTTP/1.0" => false,
                _ => return Err(505),
            },
        };
        if method.is_empty() || !target.starts_with('/') {
            return Err(400);
        }
        lines.try_for_each(|line| parsed.apply_field(line))?;
        Ok(parsed)
    }

    fn apply_field(&mut self, line: &str) -> Result<(), Refusal> {
        let (name, value) = line.split_once(':').ok_or(400_u16)?;
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-length") {
            self.body_length_bytes = value.parse().map_err(|_| 400_u16)?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(411);
        } else if name.eq_ignore_ascii_case("connection") {
            let has = |option: &str| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(option));
            self.keep_alive = !has("close") && (self.keep_alive || has("keep-alive"));
        }
        Ok(())
    }

    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The value of `key` in the query, as a number.
    pub(super) fn query_number(&self, key: &str) -> Option<u64> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Head, Refusal> {
        Head::take(&mut BytesMut::from(format!("{head}\r\n\r\n").as_bytes()), 0).unwrap()
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_whole_at_its_last_byte() {
        let bytes = b"GET /slow?ms=300 HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let mut buffer = BytesMut::new();
        let mut taken_at = None;
        for (index, byte) in bytes.iter().enumerate() {
            let searched = buffer.len();
            buffer.extend_from_slice(&[*byte]);
            if let Some(head) = Head::take(&mut buffer, searched) {
                assert_eq!(head.unwrap().query_number("ms"), Some(300));
                taken_at.get_or_insert(index);
            }
        }
        assert_eq!(taken_at, Some(bytes.len() - 5));
        assert_eq!(&buffer[..], b"rest");
    }

    #[test]
    fn the_connection_stays_open_as_version_and_header_say() {
        let keep_alive = |head: &str| parse(head).unwrap().keep_alive;
        assert!(keep_alive("GET / HTTP/1.1"));
        assert!(!keep_alive("GET / HTTP/1.1\r\nconnection: Close"));
        assert!(!keep_alive("GET / HTTP/1.0"));
        assert!(keep_alive("GET / HTTP/1.0\r\nConnection: foo, Keep-Alive"));
    }

    #[test]
    fn the_body_is_as_long_as_it_says() {
        assert_eq!(parse("POST / HTTP/1.1\r\nContent-Length:  12 ").unwrap().body_length_bytes, 12);
        assert_eq!(parse("POST / HTTP/1.1\r\nContent-Length: -1"), Err(400));
        assert_eq!(parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked"), Err(411));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in ["GET /", "GET  / HTTP/1.1", "GET x HTTP/1.1", "GET / HTTP/1.1\r\nno colon", ""] {
            assert_eq!(parse(head), Err(400), "{head:?}");
        }
        assert_eq!(parse("GET / HTTP/2.0"), Err(505));
    }

    #[test]
    fn a_head_without_end_is_refused_at_the_limit() {
        let mut buffer = BytesMut::from(&vec![b'a'; HEAD_LIMIT_BYTES][..]);
        assert_eq!(Head::take(&mut buffer, 0), None);
        buffer.extend_from_slice(b"a");
        assert_eq!(Head::take(&mut buffer, HEAD_LIMIT_BYTES), Some(Err(431)));
    }
}
