//! One request and its answer: the seam between the slot and whatever speaks the protocol.

use std::task::{Context, Poll};

use super::classify::{Failure, Trouble};
use super::http::HttpExchange;
use super::target::{ReadyTarget, RequestTemplate};
use super::tcp_exchange;
use super::wire::Wire;

/// A complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its status; none for `tcp` targets.
    pub(super) status: Option<u16>,
    /// How it compares with what was expected.
    pub(super) judgement: Judgement,
    /// The connection may serve another request.
    pub(super) reusable: bool,
    /// Bytes came behind it that no request had asked for.
    pub(super) has_surplus: bool,
    /// Only the end of the connection delimited it.
    pub(super) unframed: bool,
}

/// How a complete answer compares with what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// As expected.
    Expected,
    /// Another status.
    OtherStatus,
    /// The status is fine, the body is not.
    OtherBody,
}

/// Why there is no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The idle connection was found to be of no further use before a byte was written: the request has still to be sent.
    NotSent(Over),
    /// The request failed.
    Failed(Failure),
}

/// Why an idle connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The peer closed it, or it was lost.
    Ended,
    /// Bytes came that no request had asked for: whose answer would the next one be?
    Unasked,
}

impl NoAnswer {
    /// The connection ended: as the wire saw it, or else the peer closed it.
    pub(super) fn lost(wire: &Wire) -> Self {
        Self::Failed(Failure::Lost(wire.trouble().unwrap_or(Trouble::Closed(None))))
    }
}

/// What speaks the protocol on one connection.
pub(super) enum Exchange {
    /// HTTP/1.1.
    Http(Box<HttpExchange>),
    /// Bytes.
    Tcp,
}

impl Exchange {
    /// On a connection that no request has used.
    pub(super) fn new(target: &ReadyTarget) -> Self {
        match target.request {
            RequestTemplate::Http(_) => Self::Http(Box::new(HttpExchange::new())),
            RequestTemplate::Tcp(_) => Self::Tcp,
        }
    }

    /// Sends the request of `target` and reads the answer to its end. `nth` is the number of the request on
    /// this connection, from 1.
    #[expect(clippy::unreachable, reason = "an exchange is made for the request of its target")]
    pub(super) async fn run(&mut self, target: &ReadyTarget, wire: &mut Wire, nth: u64) -> Result<Answer, NoAnswer> {
        match (self, &target.request) {
            (Self::Http(http), RequestTemplate::Http(request)) => http.run(request, &target.expect, wire, nth).await,
            (Self::Tcp, RequestTemplate::Tcp(bytes)) => tcp_exchange::run(wire, bytes, &target.expect).await,
            _ => unreachable!("an exchange is made for the request of its target"),
        }
    }

    /// While no request runs: resolves when the connection is of no further use.
    pub(super) fn poll_over(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Over> {
        match self {
            Self::Http(_) => HttpExchange::poll_over(wire, cx),
            Self::Tcp => Poll::Pending,
        }
    }

    /// The status of the answer, once its status line is whole; none for `tcp` targets.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Http(http) => http.status(),
            Self::Tcp => None,
        }
    }
}
