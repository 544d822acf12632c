//! HTTP/1.1 on one connection: the request out, the answer in.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::{HttpRequest, Response, Taken};
use crate::load::body::KeptBody;
use crate::load::classify::Failure;
use crate::load::exchange::{Answer, Judgement, NoAnswer, Over};
use crate::load::target::Expectation;
use crate::load::wire::{Idle, Wire};

/// What one connection needs to make its exchanges, one after the other. Allocates nothing for a request whose
/// answer's head comes in one part.
pub(in crate::load) struct HttpExchange {
    response: Response,
    body: KeptBody,
    /// Bytes of the request that were written.
    written: usize,
    flushed: bool,
}

/// What an exchange makes of its request.
#[derive(Clone, Copy)]
struct Job<'a> {
    request: &'a HttpRequest,
    expect: &'a Expectation,
    /// The number of the request on this connection, from 1.
    nth: u64,
}

impl HttpExchange {
    /// On a connection that no request has used.
    pub(in crate::load) fn new() -> Self {
        Self { response: Response::new(), body: KeptBody::default(), written: 0, flushed: false }
    }

    /// Between two requests: resolves when the connection is of no further use.
    pub(in crate::load) fn poll_over(wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Over> {
        wire.poll_read(cx, |_| ()).map(|read| match read {
            Ok(Some(())) => Over::Unasked,
            Ok(None) | Err(_) => Over::Ended,
        })
    }

    /// Sends one request and reads its answer to the end.
    pub(in crate::load) async fn run(
        &mut self,
        request: &HttpRequest,
        expect: &Expectation,
        wire: &mut Wire,
        nth: u64,
    ) -> Result<Answer, NoAnswer> {
        if nth > 1 {
            Self::still_usable(wire).await?;
        } else if Self::has_spoken_first(wire).await {
            return Err(NoAnswer::Failed(Failure::NotHttp));
        }
        self.response.begin();
        self.body.begin(expect.body.is_some());
        (self.written, self.flushed) = (0, false);
        let job = Job { request, expect, nth };
        match poll_fn(|cx| self.poll_answer(job, wire, cx)).await {
            Err(Stopped::Answerless(why)) => Err(why),
            Err(Stopped::Unwritable) => self.last_words(job, wire).await,
            Ok(answer) => Ok(answer),
        }
    }

    /// Makes sure, as far as anybody can, that the server has not closed an idle connection: by asking the
    /// kernel, which may know of a FIN that the reactor has not delivered yet.
    async fn still_usable(wire: &mut Wire) -> Result<(), NoAnswer> {
        match wire.look() {
            Idle::Quiet => return Ok(()),
            Idle::Ended => return Err(NoAnswer::NotSent(Over::Ended)),
            Idle::Bytes => return Err(NoAnswer::NotSent(Over::Unasked)),
            // Lets the reactor deliver what there is, for TLS to read.
            Idle::Unclear => tokio::task::yield_now().await,
        }
        match poll_fn(|cx| Poll::Ready(Self::poll_over(wire, cx))).await {
            Poll::Ready(over) => Err(NoAnswer::NotSent(over)),
            Poll::Pending => Ok(()),
        }
    }

    /// Whether the server sent something over a connection that no request has used. What it did else will show when
    /// the request is written.
    async fn has_spoken_first(wire: &mut Wire) -> bool {
        match wire.look() {
            Idle::Bytes => true,
            Idle::Quiet | Idle::Ended => false,
            Idle::Unclear => poll_fn(|cx| Poll::Ready(Self::poll_over(wire, cx) == Poll::Ready(Over::Unasked))).await,
        }
    }

    /// Writes what can be written, reads what can be read. A server may answer before it has read all.
    fn poll_answer(&mut self, job: Job<'_>, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<Answer, Stopped>> {
        let written = self.poll_written(job, wire, cx)?;
        if written.is_pending() && self.written == 0 {
            // What a server did to a connection before the first byte was written must fail that request, and not
            // be read as if it were its answer.
            return Poll::Pending;
        }
        self.poll_read(job, wire, cx).map_err(Stopped::Answerless)
    }

    fn poll_written(&mut self, job: Job<'_>, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        while let Some(rest @ [_, ..]) = job.request.bytes.get(self.written..) {
            match ready!(wire.poll_write(cx, rest)) {
                Ok(taken) => self.written += taken,
                // Closed between the look and the write, before a byte of the request was taken.
                Err(_) if job.nth > 1 && self.written == 0 => {
                    return Poll::Ready(Err(Stopped::Answerless(NoAnswer::NotSent(Over::Ended))));
                }
                Err(_) => return Poll::Ready(Err(Stopped::Unwritable)),
            }
        }
        if !self.flushed {
            ready!(wire.poll_flush(cx)).map_err(|_| Stopped::Unwritable)?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, job: Job<'_>, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<Answer, NoAnswer>> {
        loop {
            let (response, body) = (&mut self.response, &mut self.body);
            let read = wire.poll_read(cx, |bytes| response.feed(bytes, job.request.asked, |part| body.feed(part)));
            match ready!(read) {
                Ok(Some(Ok(Taken::More))) => {}
                Ok(Some(Ok(Taken::Whole { surplus }))) => {
                    return Poll::Ready(Ok(Answer { has_surplus: surplus > 0, ..self.answer(job, false) }));
                }
                Ok(Some(Err(_))) => return Poll::Ready(Err(NoAnswer::Failed(Failure::NotHttp))),
                Ok(None) if self.response.close() => return Poll::Ready(Ok(self.answer(job, true))),
                Ok(None) | Err(_) => return Poll::Ready(Err(NoAnswer::lost(wire))),
            }
        }
    }

    /// The server takes no more of the request, but may have answered before it closed the connection.
    async fn last_words(&mut self, job: Job<'_>, wire: &mut Wire) -> Result<Answer, NoAnswer> {
        // Lets the reactor deliver what there is.
        tokio::task::yield_now().await;
        let read = poll_fn(|cx| Poll::Ready(self.poll_read(job, wire, cx))).await;
        match read {
            Poll::Ready(read) => read,
            Poll::Pending => Err(NoAnswer::lost(wire)),
        }
    }

    fn answer(&self, Job { request, expect, .. }: Job<'_>, unframed: bool) -> Answer {
        let status = self.response.status().unwrap_or_default();
        let judgement = if !expect.takes_status(status) {
            Judgement::OtherStatus
        } else if expect.body.as_ref().is_none_or(|pattern| self.body.matches(pattern)) {
            Judgement::Expected
        } else {
            Judgement::OtherBody
        };
        let reusable = self.response.keeps_alive() && self.written == request.bytes.len();
        Answer { status: Some(status), judgement, reusable, has_surplus: false, unframed }
    }

    /// The status of the answer, once its status line is whole.
    pub(in crate::load) fn status(&self) -> Option<u16> {
        self.response.status()
    }
}

/// Why [`HttpExchange::poll_answer`] got no answer.
enum Stopped {
    Answerless(NoAnswer),
    /// The request cannot be written to its end.
    Unwritable,
}
