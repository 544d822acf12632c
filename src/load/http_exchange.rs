//! HTTP/1.1 by hyper's connection API, driven by the task that waits for the answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::{Response, Version};
use hyper_util::rt::TokioIo;

use super::body::KeptBody;
use super::classify::Failure;
use super::exchange::{Answer, Judgement, NoAnswer};
use super::target::{Expectation, HttpRequest};
use super::wire::{Counted, Idle, Wire};

/// A connection of hyper's, and the end to send requests into.
pub(super) struct HttpExchange {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Counted>, Full<Bytes>>,
    over: bool,
}

impl HttpExchange {
    /// On a connection that no request has used.
    pub(super) async fn new(stream: Counted) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection, over: false })
    }

    /// Resolves when hyper is done with the connection.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.over {
            // Why it is over is on the wire, and in the error that the request gets.
            let _ = ready!(Pin::new(&mut self.connection).poll(cx));
            self.over = true;
        }
        Poll::Ready(())
    }

    /// Sends one request and reads its answer to the end.
    pub(super) async fn run(
        &mut self,
        request: &HttpRequest,
        expect: &Expectation,
        wire: &Wire,
        nth: u64,
    ) -> Result<Answer, NoAnswer> {
        if nth > 1 {
            self.still_usable(wire).await?;
        }
        let response = self.send(request, wire, nth).await?;
        let (head, mut body) = response.into_parts();
        let framed = body.is_end_stream() || body.size_hint().exact().is_some() || request.is_head();
        let unframed = !framed && !head.headers.contains_key(TRANSFER_ENCODING);
        let mut kept = KeptBody::new(expect.body.as_ref());
        while let Some(bytes) = self.next_bytes(&mut body, wire).await? {
            kept.feed(&bytes);
            // A body that comes faster than it is read would else keep the thread from its timer for ever.
            tokio::task::coop::consume_budget().await;
        }
        let status = head.status.as_u16();
        let judgement = if !expect.takes_status(status) {
            Judgement::OtherStatus
        } else if kept.matches() {
            Judgement::Expected
        } else {
            Judgement::OtherBody
        };
        let reusable = head.version == Version::HTTP_11 && !unframed && !announces_close(&head.headers);
        Ok(Answer { status: Some(status), judgement, reusable, unframed })
    }

    /// Makes sure, as far as anybody can, that the server has not closed an idle connection: by asking the
    /// kernel, which may know of a FIN that the reactor has not delivered yet.
    async fn still_usable(&mut self, wire: &Wire) -> Result<(), NoAnswer> {
        match wire.look() {
            Idle::Quiet => {}
            Idle::Over => return Err(NoAnswer::NotSent),
            // Lets the reactor deliver what there is, for hyper to read.
            Idle::Unclear => tokio::task::yield_now().await,
        }
        poll_fn(|cx| {
            if self.poll_over(cx).is_ready() {
                return Poll::Ready(Err(NoAnswer::NotSent));
            }
            self.sender.poll_ready(cx).map_err(|_| NoAnswer::NotSent)
        })
        .await
    }

    async fn send(&mut self, request: &HttpRequest, wire: &Wire, nth: u64) -> Result<Response<Incoming>, NoAnswer> {
        let mut response = pin!(self.sender.try_send_request(request.make()));
        let (connection, over) = (&mut self.connection, &mut self.over);
        let sent = poll_fn(|cx| {
            if !*over && Pin::new(&mut *connection).poll(cx).is_ready() {
                *over = true;
            }
            response.as_mut().poll(cx)
        })
        .await;
        sent.map_err(|mut refused| {
            // On a connection that no request has used, the server has closed it under the client's hands.
            if refused.take_message().is_some() && nth > 1 && wire.bytes_out() == 0 {
                return NoAnswer::NotSent;
            }
            no_answer(refused.error(), wire)
        })
    }

    async fn next_bytes(&mut self, body: &mut Incoming, wire: &Wire) -> Result<Option<Bytes>, NoAnswer> {
        loop {
            let frame = poll_fn(|cx| {
                let _ = self.poll_over(cx);
                Pin::new(&mut *body).poll_frame(cx)
            })
            .await;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(no_answer(&error, wire)),
                // Trailers are read past.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// What an error of hyper's means: the end of the connection where the wire saw one, else bytes that hyper
/// could not make sense of.
fn no_answer(error: &hyper::Error, wire: &Wire) -> NoAnswer {
    if error.is_parse() || (wire.trouble().is_none() && wire.bytes_in() > 0) {
        NoAnswer::Failed(Failure::NotHttp)
    } else {
        NoAnswer::lost(wire)
    }
}

/// Whether the server said that it closes the connection after this answer.
fn announces_close(headers: &hyper::HeaderMap) -> bool {
    let mut options = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    options.any(|list| list.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")))
}
