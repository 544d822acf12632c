//! HTTP/1.1 on one connection: the request out, the answer in.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::request::HttpRequest;
use super::response::{Response, Taken};
use crate::load::classify::Failure;
use crate::load::connection::{Idle, Wire};
use crate::load::instances::Instances;
use crate::load::protocol::answer::{Answer, NoAnswer, Over};
use crate::load::protocol::body::KeptBody;
use crate::load::protocol::naming::Naming;
use crate::load::protocol::request::Expectation;

/// What one connection needs to make its exchanges, one after the other. Allocates nothing for a request whose
/// answer's head comes in one part.
pub(in crate::load) struct HttpExchange {
    response: Response,
    body: KeptBody,
    naming: Naming,
    stage: Stage,
    /// The number of the request on this connection, from 1.
    nth: u64,
    /// Bytes of the request that were written.
    written: usize,
    flushed: bool,
}

enum Stage {
    /// Nothing was done for the request yet.
    New,
    /// The reactor is to deliver what there is; then the connection is looked at again.
    Unclear(Turn),
    Exchanging,
    /// The server takes no more of the request; the reactor is to deliver what it may have answered before.
    Unwritable(Turn),
}

/// One turn of the reactor.
type Turn = Pin<Box<dyn Future<Output = ()>>>;

fn turn() -> Turn {
    Box::pin(tokio::task::yield_now())
}

/// What an exchange makes of its request.
#[derive(Clone, Copy)]
struct Job<'a> {
    request: &'a HttpRequest,
    expect: &'a Expectation,
}

impl HttpExchange {
    /// On a connection that no request has used.
    pub(in crate::load) fn new(expect: &Expectation, instances: Instances) -> Self {
        Self {
            response: Response::new(),
            body: KeptBody::default(),
            naming: Naming::new(expect.named_by.as_ref(), instances),
            stage: Stage::New,
            nth: 0,
            written: 0,
            flushed: false,
        }
    }

    /// Between two requests: resolves when the connection is of no further use.
    pub(in crate::load) fn poll_over(wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Over> {
        wire.poll_read(cx, |_| ()).map(|read| match read {
            Ok(Some(())) => Over::Unasked,
            Ok(None) | Err(_) => Over::Ended,
        })
    }

    /// Starts the exchange with that number on the connection, from 1.
    pub(in crate::load) fn start(&mut self, expect: &Expectation, nth: u64) {
        self.response.begin();
        self.body.begin(expect.reads_body());
        (self.stage, self.nth, self.written, self.flushed) = (Stage::New, nth, 0, false);
    }

    /// Sends the request and reads its answer to the end.
    pub(in crate::load) fn poll(
        &mut self,
        request: &HttpRequest,
        expect: &Expectation,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, NoAnswer>> {
        let job = Job { request, expect };
        loop {
            self.stage = match &mut self.stage {
                Stage::New if self.nth == 1 => {
                    if has_spoken_first(wire, cx) {
                        return Poll::Ready(Err(NoAnswer::Failed(Failure::NotHttp)));
                    }
                    Stage::Exchanging
                }
                // Makes sure, as far as anybody can, that the server has not closed an idle connection: by asking the
                // kernel, which may know of a FIN that the reactor has not delivered yet.
                Stage::New => match wire.look() {
                    Idle::Quiet => Stage::Exchanging,
                    Idle::Ended => return Poll::Ready(Err(NoAnswer::NotSent(Over::Ended))),
                    Idle::Bytes => return Poll::Ready(Err(NoAnswer::NotSent(Over::Unasked))),
                    Idle::Unclear => Stage::Unclear(turn()),
                },
                Stage::Unclear(turn) => {
                    ready!(turn.as_mut().poll(cx));
                    if let Poll::Ready(over) = Self::poll_over(wire, cx) {
                        return Poll::Ready(Err(NoAnswer::NotSent(over)));
                    }
                    Stage::Exchanging
                }
                Stage::Exchanging => match ready!(self.poll_answer(job, wire, cx)) {
                    Err(Stopped::Answerless(why)) => return Poll::Ready(Err(why)),
                    Err(Stopped::Unwritable) => Stage::Unwritable(turn()),
                    Ok(answer) => return Poll::Ready(Ok(answer)),
                },
                Stage::Unwritable(turn) => {
                    ready!(turn.as_mut().poll(cx));
                    let last_words = self.poll_read(job, wire, cx);
                    return Poll::Ready(match last_words {
                        Poll::Ready(read) => read,
                        Poll::Pending => Err(NoAnswer::lost(wire)),
                    });
                }
            };
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
                Err(_) if self.nth > 1 && self.written == 0 => {
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
            let (response, body, naming) = (&mut self.response, &mut self.body, &mut self.naming);
            let read = wire
                .poll_read(cx, |bytes| response.feed(bytes, job.request.asked, Some(naming), |part| body.feed(part)));
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

    fn answer(&mut self, Job { request, expect }: Job<'_>, unframed: bool) -> Answer {
        let status = self.response.status().unwrap_or_default();
        let judgement = expect.judge(status, &self.body);
        let reusable = self.response.keeps_alive() && self.written == request.bytes.len();
        let named = self.naming.named(&self.body);
        Answer { status: Some(status), grpc: None, judgement, reusable, has_surplus: false, unframed, named }
    }

    /// The status of the answer, once its status line is whole.
    pub(in crate::load) fn status(&self) -> Option<u16> {
        self.response.status()
    }
}

/// Whether the server sent something over a connection that no request has used. What it did else will show when the
/// request is written.
fn has_spoken_first(wire: &mut Wire, cx: &mut Context<'_>) -> bool {
    match wire.look() {
        Idle::Bytes => true,
        Idle::Quiet | Idle::Ended => false,
        Idle::Unclear => HttpExchange::poll_over(wire, cx) == Poll::Ready(Over::Unasked),
    }
}

/// Why [`HttpExchange::poll_answer`] got no answer.
enum Stopped {
    Answerless(NoAnswer),
    /// The request cannot be written to its end.
    Unwritable,
}
