//! What is known of a request when it has ended.

use std::net::SocketAddr;

use super::instances::Named;
use crate::model::{FailureKey, GrpcStatus, Instead, MonoTime};

/// One request, from its due time to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// When it was to be sent.
    pub(super) due: MonoTime,
    /// Which of the requests of its target.
    pub(super) which: u16,
    /// When its answer was whole, or it was known to have failed.
    pub(super) end: MonoTime,
    /// What became of it.
    pub(super) result: Result<Accepted, FailureKey>,
    /// From the later of (due, a connection was free) to the first write or connect call; none if neither was made.
    pub(super) lateness_ns: Option<u64>,
    /// How far it got on which connection.
    pub(super) trace: Trace,
}

/// The expected answer came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    /// Its status; none for `tcp` targets.
    pub(super) status: Option<u16>,
    /// How the call ended; none unless it is one of gRPC.
    pub(super) grpc: Option<GrpcStatus>,
    /// Nothing but the end of its connection says that it was whole.
    pub(super) unconfirmed: bool,
}

/// How far a request got, and on which connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace {
    /// The first write that the kernel took.
    pub(super) sent: Option<MonoTime>,
    /// Our address, where a TCP connection was tried.
    pub(super) local: Option<SocketAddr>,
    /// When its connection was established.
    pub(super) connected: Option<MonoTime>,
    /// Which request of its connection it is, from 1; 0 without a connection.
    pub(super) nth: u64,
    /// Bytes of the request that the kernel took.
    pub(super) bytes_out: u64,
    /// Bytes of the answer that came.
    pub(super) bytes_in: u64,
    /// Only the end of the connection delimited the answer.
    pub(super) unframed: bool,
    /// What the server spoke, where that was not HTTP/2.
    pub(super) instead: Option<Instead>,
    /// What a complete answer tells of the instance that gave it; none if nobody asks.
    pub(super) named: Option<Named>,
}

impl Trace {
    /// Whether an earlier request had used the connection.
    pub(super) fn reused(&self) -> bool {
        self.nth > 1
    }
}
