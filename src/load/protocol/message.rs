//! A target that takes messages: `udp`, `unix-dgram`, `unix-seqpacket`, `fifo`.

use std::task::{Context, Poll, ready};

use super::answer::{Answer, Judgement, NoAnswer};
use super::body::KeptBody;
use super::naming::Naming;
use super::request::Expectation;
use crate::load::connection::Wire;
use crate::load::instances::{Instances, Named};

/// What is sent, and whether anything comes back.
pub(in crate::load) struct MessageRequest {
    pub(in crate::load) bytes: Vec<u8>,
    /// A FIFO has no way back: what the kernel took whole is done.
    pub(in crate::load) is_answered: bool,
}

/// Sends one message; the first one that comes back is the answer.
pub(in crate::load) struct MessageExchange {
    is_sent: bool,
    kept: KeptBody,
    naming: Naming,
}

impl MessageExchange {
    /// On a socket that no request has used.
    pub(in crate::load) fn new(expect: &Expectation, instances: Instances) -> Self {
        let naming = Naming::new(expect.named_by.as_ref(), instances);
        Self { is_sent: false, kept: KeptBody::default(), naming }
    }

    pub(in crate::load) fn start(&mut self, expect: &Expectation) {
        self.is_sent = false;
        self.kept.begin(expect.reads_body());
    }

    pub(in crate::load) fn poll(
        &mut self,
        request: &MessageRequest,
        expect: &Expectation,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, NoAnswer>> {
        if !self.is_sent {
            wire.send(&request.bytes).map_err(|_| NoAnswer::lost(wire))?;
            self.is_sent = true;
        }
        if !request.is_answered {
            return Poll::Ready(Ok(answer(Judgement::Expected, None)));
        }
        let kept = &mut self.kept;
        match ready!(wire.poll_read(cx, |bytes| kept.feed(bytes))) {
            Ok(Some(())) => {}
            // A datagram of no bytes is an answer; on a connection it is the end.
            Ok(None) if wire.is_datagram() => {}
            Ok(None) | Err(_) => return Poll::Ready(Err(NoAnswer::lost(wire))),
        }
        let is_expected = expect.body.as_ref().is_none_or(|pattern| self.kept.matches(pattern));
        let judgement = if is_expected { Judgement::Expected } else { Judgement::OtherBody };
        Poll::Ready(Ok(answer(judgement, self.naming.named(&self.kept))))
    }
}

fn answer(judgement: Judgement, named: Option<Named>) -> Answer {
    Answer { status: None, grpc: None, judgement, reusable: false, has_surplus: false, unframed: false, named }
}
