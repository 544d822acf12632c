//! One request and its answer.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::frame::{self, PAYLOAD_BYTES_MAX, flag, kind};
use super::headers;
use crate::demo::server::answer::{Answer, Body};
use crate::demo::server::fault::FaultKind;
use crate::demo::server::request::Head;

/// What is written at once of a long body.
static PIECE: [u8; PAYLOAD_BYTES_MAX] = [b'x'; PAYLOAD_BYTES_MAX];

/// `HealthCheckResponse` with `SERVING` (grpc/health/v1/health.proto), as a message of gRPC: not compressed, two bytes.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// The path that is answered with it; others are answered with an empty message.
const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";

/// A stream that the client opened.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: Head,
    pub(super) is_grpc: bool,
    /// It is a question of the counts, which is not counted itself.
    pub(super) is_inspection: bool,
    /// What goes wrong with it.
    pub(super) fault: Option<FaultKind>,
    /// It is never answered: that has gone wrong with it.
    pub(super) has_stalled: bool,
    /// Bytes of its answer that the client has room for.
    pub(super) window: i64,
    /// None before it begins.
    pub(super) reply: Option<Reply>,
}

/// An answer under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    content_type: &'static str,
    body: Left,
    /// The status of gRPC behind it; none if the body is the end.
    grpc_status: Option<&'static str>,
    has_begun: bool,
}

/// What is left of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Left {
    Bytes(Bytes),
    Fill(u64),
}

impl Reply {
    /// The answer to a request of HTTP; without a body, if none is to come.
    pub(super) fn http(answer: Answer, with_body: bool) -> Self {
        let body = match answer.body {
            _ if !with_body => Left::Fill(0),
            Body::Text(text) => Left::Bytes(text.into()),
            Body::Fill(length) => Left::Fill(length),
        };
        Self { status: answer.status, content_type: "text/plain", body, grpc_status: None, has_begun: false }
    }

    /// The answer to a call of `path`.
    pub(super) fn grpc(path: &str, grpc_status: Option<&'static str>) -> Self {
        let message = if path == HEALTH_PATH { SERVING } else { &[0; 5] };
        let body = Left::Bytes(Bytes::from_static(message));
        Self { status: 200, content_type: "application/grpc", body, grpc_status, has_begun: false }
    }

    /// A call's answer of one message of these bytes, at most 255.
    pub(super) fn message(bytes: &'static str) -> Self {
        let mut framed = BytesMut::new();
        framed.put_slice(&[0, 0, 0, 0]);
        framed.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        framed.put_slice(bytes.as_bytes());
        Self { body: Left::Bytes(framed.freeze()), ..Self::grpc("", Some("0")) }
    }

    /// Appends the frames that there is room for, of the stream and of the connection: whether they are the last.
    pub(super) fn put(&mut self, out: &mut BytesMut, stream: u32, window: &mut i64, of_all: &mut i64) -> bool {
        let ends_at_body = self.grpc_status.is_none();
        if !self.has_begun {
            self.has_begun = true;
            let is_all = ends_at_body && self.left() == 0;
            let mut block = BytesMut::new();
            headers::put(&mut block, ":status", &self.status.to_string());
            headers::put(&mut block, "server", "gapless-demo");
            headers::put(&mut block, "content-type", self.content_type);
            frame::put(out, kind::HEADERS, flag::END_HEADERS | end_if(is_all), stream, &block);
            if is_all {
                return true;
            }
        }
        while self.left() > 0 {
            let room = u64::try_from((*window).min(*of_all)).unwrap_or(0);
            let length = room.min(self.left()).min(PAYLOAD_BYTES_MAX as u64);
            if length == 0 {
                return false;
            }
            let is_last = ends_at_body && length == self.left();
            // At most PAYLOAD_BYTES_MAX.
            let piece = self.take(usize::try_from(length).unwrap_or(0));
            frame::put(out, kind::DATA, end_if(is_last), stream, &piece);
            *window -= i64::try_from(piece.len()).unwrap_or(i64::MAX);
            *of_all -= i64::try_from(piece.len()).unwrap_or(i64::MAX);
        }
        if let Some(grpc_status) = self.grpc_status {
            let mut trailers = BytesMut::new();
            headers::put(&mut trailers, "grpc-status", grpc_status);
            frame::put(out, kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &trailers);
        }
        true
    }

    fn left(&self) -> u64 {
        match &self.body {
            Left::Bytes(bytes) => bytes.len() as u64,
            Left::Fill(length) => *length,
        }
    }

    /// The next bytes of the body, at most [`PAYLOAD_BYTES_MAX`].
    fn take(&mut self, length: usize) -> Bytes {
        match &mut self.body {
            Left::Bytes(bytes) => bytes.split_to(length),
            Left::Fill(left) => {
                *left -= length as u64;
                Bytes::from_static(&PIECE[..length])
            }
        }
    }
}

fn end_if(is_end: bool) -> u8 {
    if is_end { flag::END_STREAM } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;

    fn frames(out: &mut BytesMut) -> Vec<(u8, usize, bool)> {
        let next = || Frame::take(out).unwrap();
        std::iter::from_fn(next).map(|frame| (frame.kind, frame.payload.len(), frame.has(flag::END_STREAM))).collect()
    }

    #[test]
    fn a_body_is_sent_as_far_as_there_is_room_for_it() {
        let answer = Answer { body: Body::Fill(40_000), ..Answer::text(200, "") };
        let mut reply = Reply::http(answer, true);
        let (mut out, mut window, mut of_all) = (BytesMut::new(), 20_000, 65_535);
        assert!(!reply.put(&mut out, 1, &mut window, &mut of_all));
        assert_eq!((window, of_all), (0, 45_535));
        assert_eq!(frames(&mut out)[1..], [(kind::DATA, 16_384, false), (kind::DATA, 3_616, false)]);
        window += 100_000;
        assert!(reply.put(&mut out, 1, &mut window, &mut of_all));
        assert_eq!(frames(&mut out), [(kind::DATA, 16_384, false), (kind::DATA, 3_616, true)]);
    }

    #[test]
    fn a_call_ends_with_its_status_and_an_answer_without_a_body_with_its_head() {
        let (mut out, mut window, mut of_all) = (BytesMut::new(), 100, 100);
        assert!(Reply::grpc(HEALTH_PATH, Some("0")).put(&mut out, 1, &mut window, &mut of_all));
        let sent: Vec<_> = frames(&mut out).into_iter().map(|(kind, _, is_last)| (kind, is_last)).collect();
        assert_eq!(sent, [(kind::HEADERS, false), (kind::DATA, false), (kind::HEADERS, true)]);
        assert!(Reply::http(Answer::text(200, "ok\n"), false).put(&mut out, 1, &mut window, &mut of_all));
        assert!(matches!(frames(&mut out)[..], [(kind::HEADERS, _, true)]));
    }
}
