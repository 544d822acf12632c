//! What became of one request.

use serde::{Deserialize, Serialize};

use super::{FailureClass, GrpcStatus, TlsFault};

/// What became of one request that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The expected answer, whole and in time.
    Ok,
    /// Anything else.
    Failed(FailureClass),
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// The kernel took no byte of it.
    Unsent,
    /// Bytes of it left, none came back.
    Unanswered,
    /// Bytes of the answer came, but not all.
    Partial,
    /// The answer was whole.
    Answered,
}

/// What a failure is counted under. All failures of equal key are one counter, so this holds only
/// what attribution must tell apart and nothing that is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FailureKey {
    /// The failure class.
    pub class: FailureClass,
    /// How far the request got.
    pub disposition: Disposition,
    /// Whether an earlier request had already used the connection.
    pub reused: bool,
    /// The status of the answer, once its status line was whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The errno behind the failure, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// The code of the RST_STREAM that ended its stream (RFC 9113, section 7); 255 for one that HTTP/2 does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// How the gRPC call ended, once its status had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcStatus>,
    /// What TLS did not take, for class `tls`. None in records from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFault>,
}

/// What a server spoke instead of the HTTP/2, or the gRPC, that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// It answered as HTTP/1.1.
    Http1,
    /// It answered with other bytes.
    Other,
    /// It did not choose h2 in its TLS handshake (ALPN).
    NoAlpn,
    /// It answered in HTTP/2, but not as gRPC has it.
    NotGrpc,
}

impl FailureKey {
    /// On a connection that no other request had used, with nothing more known.
    #[must_use]
    pub const fn new(class: FailureClass, disposition: Disposition) -> Self {
        Self { class, disposition, reused: false, status: None, errno: None, code: None, grpc: None, tls: None }
    }

    /// Whether curl's `%{http_code}` would print 000: dropped, and no complete status line arrived.
    /// Meaningless for `tcp` targets, which have no status line; the caller knows the target.
    #[must_use]
    pub fn is_http_000(&self) -> bool {
        self.class.is_dropped() && self.status.is_none()
    }
}
