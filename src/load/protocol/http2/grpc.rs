//! What gRPC is beyond HTTP/2: how a message is framed, and how a call ends ("gRPC over HTTP2", in the documentation of
//! gRPC).

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};

use crate::load::classify::Failure;
use crate::load::protocol::body::KeptBody;
use crate::model::GrpcStatus;

/// A flag for compression, and a length.
const PREFIX_BYTES: usize = 5;

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// `message` as it is sent: as it is, with its length.
///
/// # Errors
/// When the length does not fit into its field.
pub(super) fn framed(message: &[u8]) -> Result<Bytes, std::num::TryFromIntError> {
    let length = u32::try_from(message.len())?;
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// Adds what the head of a call has.
pub(super) fn add_headers(headers: &mut HeaderMap, timeout: Duration) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    // Digits and a letter.
    headers.extend(HeaderValue::try_from(deadline(timeout)).ok().map(|timeout| (TIMEOUT, timeout)));
}

/// A time as `grpc-timeout` has it, in the finest unit in which it has at most eight digits; rounded up, so that the server
/// does not give up before the client.
fn deadline(timeout: Duration) -> String {
    const VALUE_MAX: u128 = 99_999_999;
    let units = [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000)];
    let ns = timeout.as_nanos();
    let fitting =
        units.iter().map(|&(unit, ns_each)| (ns.div_ceil(ns_each), unit)).find(|(value, _)| *value <= VALUE_MAX);
    let (value, unit) = fitting.unwrap_or((VALUE_MAX, "S"));
    format!("{value}{unit}")
}

/// The messages of an answer.
#[derive(Debug, Default)]
pub(super) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    held: usize,
    /// Bytes of the message that have still to come.
    left: usize,
    whole: u64,
}

impl Messages {
    /// Takes the next bytes of the body, and hands on those of messages.
    pub(super) fn feed(&mut self, mut bytes: &[u8], into: &mut KeptBody) {
        while !bytes.is_empty() {
            if self.held < PREFIX_BYTES {
                let (taken, rest) = bytes.split_at(bytes.len().min(PREFIX_BYTES - self.held));
                self.prefix[self.held..self.held + taken.len()].copy_from_slice(taken);
                self.held += taken.len();
                bytes = rest;
                if self.held < PREFIX_BYTES {
                    return;
                }
                let [_, length @ ..] = self.prefix;
                self.left = u32::from_be_bytes(length) as usize;
            }
            let (message, rest) = bytes.split_at(bytes.len().min(self.left));
            into.feed(message);
            self.left -= message.len();
            bytes = rest;
            if self.left == 0 {
                self.held = 0;
                self.whole += 1;
            }
        }
    }

    fn is_one(&self) -> bool {
        self.whole == 1 && self.held == 0
    }

    fn is_none(&self) -> bool {
        self.whole == 0 && self.held == 0
    }
}

/// An answer that ended in order.
pub(super) struct Answered<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) trailers: Option<&'a HeaderMap>,
    pub(super) messages: &'a Messages,
}

impl Answered<'_> {
    /// How the call ended; none if the answer is one of HTTP alone, as a proxy gives it.
    ///
    /// # Errors
    /// When it is not a whole answer of gRPC.
    pub(super) fn grpc_status(&self) -> Result<Option<GrpcStatus>, Failure> {
        // A server that has nothing to say but the status says it in the head: "Trailers-Only".
        let is_head_alone = self.trailers.is_none() && self.messages.is_none();
        let trailers = self.trailers.or(is_head_alone.then_some(self.headers));
        let Some(code) = trailers.and_then(|trailers| trailers.get(STATUS)) else {
            const OK: u16 = 200;
            let kind = self.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
            return match self.status {
                OK if kind.starts_with(b"application/grpc") => Err(Failure::NoGrpcStatus),
                OK => Err(Failure::NotGrpc),
                _ => Ok(None),
            };
        };
        match GrpcStatus::of_code(code.as_bytes()) {
            // A unary call that succeeded has an answer.
            Some(GrpcStatus::Ok) if !self.messages.is_one() => Err(Failure::NotGrpc),
            Some(status) => Ok(Some(status)),
            None => Err(Failure::NotGrpc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_at_most_eight_digits_and_is_not_earlier() {
        let shown = |ns| deadline(Duration::from_nanos(ns));
        assert_eq!(shown(1_000_000), "1000000n");
        assert_eq!(shown(99_999_999), "99999999n");
        assert_eq!(shown(100_000_001), "100001u");
        assert_eq!(shown(10_000_000_000), "10000000u");
        assert_eq!(deadline(Duration::from_secs(100)), "100000m");
        assert_eq!(deadline(Duration::from_secs(3_600)), "3600000m");
        assert_eq!(deadline(Duration::from_secs(100_000)), "100000S");
    }

    fn messages(parts: &[&[u8]]) -> (Messages, KeptBody) {
        let (mut messages, mut body) = (Messages::default(), KeptBody::default());
        body.begin(true);
        parts.iter().for_each(|part| messages.feed(part, &mut body));
        (messages, body)
    }

    #[test]
    fn a_message_is_the_same_wherever_its_bytes_are_cut() {
        let framed = framed(b"hello").unwrap();
        assert_eq!(&framed[..], b"\0\0\0\0\x05hello");
        for cut in 0..=framed.len() {
            let (messages, body) = messages(&[&framed[..cut], &framed[cut..]]);
            assert!(messages.is_one() && body.matches(&regex_lite::Regex::new("^hello$").unwrap()), "cut at {cut}");
        }
        for short in 1..framed.len() {
            let (messages, _) = messages(&[&framed[..short]]);
            assert!(!messages.is_one() && !messages.is_none(), "{short} bytes");
        }
        let two = [framed.clone(), framed].concat();
        assert!(!messages(&[&two]).0.is_one());
        assert!(messages(&[&[0; PREFIX_BYTES]]).0.is_one(), "an empty message is one");
    }

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        headers.collect()
    }

    /// What comes of a head with that status and kind, `parts` and trailers.
    fn status(
        head: (u16, &[(&'static str, &'static str)]),
        parts: &[&[u8]],
        trailers: Option<&[(&'static str, &'static str)]>,
    ) -> Result<Option<GrpcStatus>, Failure> {
        let (headers, trailers) = (map(head.1), trailers.map(map));
        let messages = &messages(parts).0;
        Answered { status: head.0, headers: &headers, trailers: trailers.as_ref(), messages }.grpc_status()
    }

    const KIND: (&str, &str) = ("content-type", "application/grpc+proto");
    const MESSAGE: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

    #[test]
    fn the_status_of_a_call_comes_after_its_message_or_alone() {
        let ok = Some(&[("grpc-status", "0")][..]);
        assert_eq!(status((200, &[KIND]), &[MESSAGE], ok), Ok(Some(GrpcStatus::Ok)));
        let not_found = Some(&[("grpc-status", "5"), ("grpc-message", "no")][..]);
        assert_eq!(status((200, &[KIND]), &[], not_found), Ok(Some(GrpcStatus::NotFound)));
        assert_eq!(status((200, &[KIND, ("grpc-status", "12")]), &[], None), Ok(Some(GrpcStatus::Unimplemented)));
        // Envoy and others say it so, with the status of HTTP beside it.
        assert_eq!(status((503, &[("grpc-status", "14")]), &[], None), Ok(Some(GrpcStatus::Unavailable)));
    }

    #[test]
    fn what_has_no_status_is_not_whole() {
        assert_eq!(status((200, &[KIND]), &[MESSAGE], None), Err(Failure::NoGrpcStatus));
        assert_eq!(status((200, &[KIND]), &[MESSAGE], Some(&[("x", "y")])), Err(Failure::NoGrpcStatus));
        assert_eq!(status((200, &[KIND]), &[], None), Err(Failure::NoGrpcStatus));
        // A status in the head counts only where the head is all.
        assert_eq!(status((200, &[KIND, ("grpc-status", "0")]), &[MESSAGE], None), Err(Failure::NoGrpcStatus));
    }

    #[test]
    fn what_is_not_grpc_is_told_from_what_lacks_its_end() {
        assert_eq!(status((200, &[("content-type", "text/html")]), &[b"<html>"], None), Err(Failure::NotGrpc));
        assert_eq!(status((200, &[]), &[], None), Err(Failure::NotGrpc));
        assert_eq!(status((502, &[("content-type", "text/html")]), &[b"<html>"], None), Ok(None));
        assert_eq!(status((200, &[KIND]), &[MESSAGE], Some(&[("grpc-status", "fine")])), Err(Failure::NotGrpc));
    }

    #[test]
    fn a_call_that_succeeded_has_exactly_one_message() {
        let ok = Some(&[("grpc-status", "0")][..]);
        assert_eq!(status((200, &[KIND]), &[], ok), Err(Failure::NotGrpc));
        assert_eq!(status((200, &[KIND]), &[&MESSAGE[..6]], ok), Err(Failure::NotGrpc));
        assert_eq!(status((200, &[KIND]), &[MESSAGE, MESSAGE], ok), Err(Failure::NotGrpc));
        assert_eq!(status((200, &[KIND, ("grpc-status", "0")]), &[], None), Err(Failure::NotGrpc));
    }
}
