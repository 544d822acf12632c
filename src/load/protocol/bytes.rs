//! A `tcp` target: bytes out, bytes in until they match or the peer is done.

use std::task::{Context, Poll, ready};

use super::answer::{Answer, Judgement, NoAnswer};
use super::body::KeptBody;
use super::naming::Naming;
use super::request::Expectation;
use crate::load::connection::Wire;
use crate::load::instances::Instances;

/// Sends bytes, then reads until the expectation matches or the peer closes. Without an expectation, any byte before the
/// close is an answer.
pub(in crate::load) struct BytesExchange {
    written: usize,
    flushed: bool,
    kept: KeptBody,
    naming: Naming,
}

impl BytesExchange {
    /// On a connection that no request has used.
    pub(in crate::load) fn new(expect: &Expectation, instances: Instances) -> Self {
        let naming = Naming::new(expect.named_by.as_ref(), instances);
        Self { written: 0, flushed: false, kept: KeptBody::default(), naming }
    }

    pub(in crate::load) fn start(&mut self, expect: &Expectation) {
        (self.written, self.flushed) = (0, false);
        self.kept.begin(expect.reads_body());
    }

    pub(in crate::load) fn poll(
        &mut self,
        request: &[u8],
        expect: &Expectation,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, NoAnswer>> {
        while let Some(rest @ [_, ..]) = request.get(self.written..) {
            match ready!(wire.poll_write(cx, rest)) {
                Ok(taken) => self.written += taken,
                Err(_) => return Poll::Ready(Err(NoAnswer::lost(wire))),
            }
        }
        if !self.flushed {
            ready!(wire.poll_flush(cx)).map_err(|_| NoAnswer::lost(wire))?;
            self.flushed = true;
        }
        loop {
            let kept = &mut self.kept;
            match ready!(wire.poll_read(cx, |bytes| kept.feed(bytes))) {
                Ok(Some(())) => {}
                Ok(None) if wire.passed().bytes_in > 0 => {
                    let as_expected = expect.body.is_none();
                    let judgement = if as_expected { Judgement::Expected } else { Judgement::OtherBody };
                    return Poll::Ready(Ok(Answer { unframed: true, ..self.answer(judgement) }));
                }
                Ok(None) | Err(_) => return Poll::Ready(Err(NoAnswer::lost(wire))),
            }
            if expect.body.as_ref().is_some_and(|pattern| self.kept.matches(pattern)) {
                return Poll::Ready(Ok(self.answer(Judgement::Expected)));
            }
        }
    }

    fn answer(&mut self, judgement: Judgement) -> Answer {
        let named = self.naming.named(&self.kept);
        Answer { status: None, grpc: None, judgement, reusable: false, has_surplus: false, unframed: false, named }
    }
}
