//! One request and its answer.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::HeaderMap;

use super::grpc::{Answered, Messages};
use crate::load::classify::{Failure, Trouble};
use crate::load::connection::Passed;
use crate::load::instances::Named;
use crate::load::protocol::answer::{Answer, Exchanged, Judgement};
use crate::load::protocol::body::KeptBody;
use crate::load::protocol::naming::Naming;
use crate::load::protocol::request::Expectation;
use crate::model::Instead;

/// A code that HTTP/2 does not know (RFC 9113, section 7) is told as this one: what a server makes up is not counted
/// apart.
const UNKNOWN_CODE: u8 = u8::MAX;
const CODE_MAX: u8 = 13;

/// A stream that was given to h2.
pub(super) struct Stream {
    pub(super) id: u32,
    /// The number of its exchange on the connection.
    pub(super) nth: u64,
    pub(super) passed: Passed,
    /// A frame of it came since it was last polled.
    pub(super) is_touched: bool,
    /// The last frame of its answer came.
    pub(super) was_ended: bool,
    /// It was in flight when a GOAWAY was read.
    pub(super) met_goaway: bool,
    /// How often something had come over the connection when it was sent.
    pub(super) sent_after: u64,
    status: Option<u16>,
    /// What its headers tell of the instance that gave it.
    named: Option<Named>,
    body: KeptBody,
    /// Of a call of gRPC.
    call: Option<Box<Call>>,
    stage: Stage,
}

/// What a call of gRPC is judged by.
#[derive(Default)]
struct Call {
    headers: HeaderMap,
    messages: Messages,
    trailers: Option<HeaderMap>,
}

enum Stage {
    Head(ResponseFuture),
    /// With the body at its end, trailers follow.
    Body {
        body: RecvStream,
        is_at_end: bool,
    },
}

impl Stream {
    pub(super) fn new(nth: u64, response: ResponseFuture, expect: &Expectation) -> Self {
        let mut body = KeptBody::default();
        body.begin(expect.reads_body());
        Self {
            id: response.stream_id().as_u32(),
            nth,
            passed: Passed::default(),
            is_touched: false,
            was_ended: false,
            met_goaway: false,
            sent_after: 0,
            status: None,
            named: None,
            body,
            call: expect.is_grpc().then(Box::default),
            stage: Stage::Head(response),
        }
    }

    /// Takes what came of the answer; resolves with its end. Each byte that is taken gives the server room for another.
    pub(super) fn poll(
        &mut self,
        expect: &Expectation,
        naming: &mut Naming,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, Failure>> {
        self.is_touched = false;
        match ready!(self.poll_whole(naming, cx)) {
            Ok(()) => Poll::Ready(self.answer(expect, naming)),
            // A server that wants no more of the request may reset a stream that it has answered (RFC 9113, 8.1).
            Err(error) if self.was_ended && error.reason() == Some(Reason::NO_ERROR) => {
                Poll::Ready(self.answer(expect, naming))
            }
            Err(error) => Poll::Ready(Err(failure(&error))),
        }
    }

    fn poll_whole(&mut self, naming: &Naming, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.stage {
                Stage::Head(response) => {
                    let (head, body) = ready!(Pin::new(response).poll(cx))?.into_parts();
                    self.status = Some(head.status.as_u16());
                    self.named = naming.see_all(&head.headers);
                    if let Some(call) = &mut self.call {
                        call.headers = head.headers;
                    }
                    self.stage = Stage::Body { body, is_at_end: false };
                }
                Stage::Body { body, is_at_end } if !*is_at_end => match ready!(body.poll_data(cx)).transpose()? {
                    Some(bytes) => {
                        match &mut self.call {
                            Some(call) => call.messages.feed(&bytes, &mut self.body),
                            None => self.body.feed(&bytes),
                        }
                        body.flow_control().release_capacity(bytes.len())?;
                    }
                    None => *is_at_end = true,
                },
                Stage::Body { body, .. } => {
                    let trailers = ready!(body.poll_trailers(cx))?;
                    if let Some(call) = &mut self.call {
                        call.trailers = trailers;
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// What a stream that ended in order comes to.
    fn answer(&self, expect: &Expectation, naming: &mut Naming) -> Result<Answer, Failure> {
        let status = self.status.unwrap_or_default();
        let (grpc, judgement) = match &self.call {
            None => (None, expect.judge(status, &self.body)),
            Some(call) => {
                let Call { headers, messages, trailers } = &**call;
                let answered = Answered { status, headers, trailers: trailers.as_ref(), messages };
                match answered.grpc_status()? {
                    None => (None, Judgement::OtherStatus),
                    Some(grpc) => (Some(grpc), expect.judge_call(grpc, &self.body)),
                }
            }
        };
        let named = self.named.or_else(|| naming.named(&self.body));
        Ok(Answer { status: self.status, grpc, judgement, reusable: true, has_surplus: false, unframed: false, named })
    }

    /// What became of it, on a connection that goes on.
    pub(super) fn ended(self, result: Result<Answer, Failure>) -> Exchanged {
        let instead = (result == Err(Failure::NotGrpc)).then_some(Instead::NotGrpc);
        Exchanged { result, status: self.status, passed: self.passed, keeps_connection: true, instead }
    }
}

/// What an error of h2 says of its stream.
fn failure(error: &h2::Error) -> Failure {
    let reset = error.reason().filter(|_| error.is_reset() && error.is_remote());
    match reset.map(|reason| u8::try_from(u32::from(reason)).ok().filter(|code| *code <= CODE_MAX)) {
        Some(code) => Failure::StreamReset(code.unwrap_or(UNKNOWN_CODE)),
        // h2 found what the server sent to be against the protocol.
        None if error.is_library() => Failure::NotHttp,
        None => Failure::Lost(Trouble::Closed(None)),
    }
}
