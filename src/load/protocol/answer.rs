//! What becomes of an exchange.

use crate::load::classify::{Failure, Trouble};
use crate::load::connection::{Passed, Wire};
use crate::load::instances::Named;
use crate::model::{GrpcStatus, Instead};

/// An exchange that has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct Exchanged {
    pub(in crate::load) result: Result<Answer, Failure>,
    /// The status of the answer, as soon as it was known; none for `tcp` targets.
    pub(in crate::load) status: Option<u16>,
    pub(in crate::load) passed: Passed,
    /// The connection may carry another exchange, or carries one.
    pub(in crate::load) keeps_connection: bool,
    /// What the server spoke, where that was not what it was asked for.
    pub(in crate::load) instead: Option<Instead>,
}

impl Exchanged {
    /// One for which nothing passed, and that ends its connection.
    pub(in crate::load) fn failed(why: Failure) -> Self {
        Self { result: Err(why), status: None, passed: Passed::default(), keeps_connection: false, instead: None }
    }
}

/// A complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) struct Answer {
    /// Its status; none for `tcp` targets.
    pub(in crate::load) status: Option<u16>,
    /// How the call ended; none unless it is one of gRPC.
    pub(in crate::load) grpc: Option<GrpcStatus>,
    /// How it compares with what was expected.
    pub(in crate::load) judgement: Judgement,
    /// The connection may serve another request.
    pub(in crate::load) reusable: bool,
    /// Bytes came behind it that no request had asked for.
    pub(in crate::load) has_surplus: bool,
    /// Only the end of the connection delimited it.
    pub(in crate::load) unframed: bool,
    /// The instance that gave it; none if nobody asks.
    pub(in crate::load) named: Option<Named>,
}

/// How a complete answer compares with what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Judgement {
    /// As expected.
    Expected,
    /// Another status.
    OtherStatus,
    /// Another status of gRPC.
    OtherGrpcStatus,
    /// The status is fine, the body is not.
    OtherBody,
}

/// Why there is no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum NoAnswer {
    /// The idle connection was found to be of no further use before a byte was written: the request has still to be sent.
    NotSent(Over),
    /// The request failed.
    Failed(Failure),
}

/// Why a connection without an exchange is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Over {
    /// The peer closed it, or it was lost.
    Ended,
    /// Bytes came that no request had asked for: whose answer would the next one be?
    Unasked,
}

impl NoAnswer {
    /// The connection ended: as the wire saw it, or else the peer closed it.
    pub(in crate::load) fn lost(wire: &Wire) -> Self {
        Self::Failed(Failure::Lost(wire.trouble().unwrap_or(Trouble::Closed(None))))
    }
}
