//! `[target]`: what is sent where, and what must come back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::GrpcStatus;
use crate::model::address::{self, Endpoint};
use crate::model::time::as_ns;

/// What is sent where, and what must come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// What is spoken over it.
    #[serde(default, skip_serializing_if = "is_http1")]
    pub protocol: Protocol,
    /// The URL as given, without credentials: for people and for the Host header's origin.
    pub url: String,
    /// Where to connect.
    pub connect: Destination,
    /// The Host header and TLS server name, with the port where it is not the scheme's own.
    pub authority: String,
    /// Request method.
    pub method: String,
    /// Path and query; starts with `/`.
    pub path: String,
    /// Headers in order, as given. Values of secret headers are masked in the record.
    pub headers: Vec<(String, String)>,
    /// Request body; with `tcp`, what is sent; with `grpc`, the message. Base64 in the record.
    #[serde(with = "as_base64")]
    pub body: Vec<u8>,
    /// What is sent instead of the one request that `method`, `path` and `body` make, by weight; empty for that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<WeightedRequest>,
    /// Statuses that are expected; empty for `tcp` and `grpc`.
    pub expect_status: Vec<StatusPattern>,
    /// Statuses of gRPC that are expected; empty for other protocols.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_grpc_status: Vec<GrpcStatus>,
    /// A regular expression (regex-lite) that the body must match somewhere.
    pub expect_body: Option<String>,
    /// Where an answer names the process, release or pod that gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceSource>,
    /// From the due time until the answer must be whole.
    #[serde(rename = "timeout_ns", with = "as_ns")]
    pub timeout: Duration,
    /// From the due time until the connection must be there; at most `timeout`.
    #[serde(rename = "connect_timeout_ns", with = "as_ns")]
    pub connect_timeout: Duration,
    /// A PEM file with the CAs to trust beside none of the system's; https only.
    pub ca_file: Option<PathBuf>,
    /// Trust any certificate; https only.
    pub insecure: bool,
    /// A proxy in front of the service listens there, not the service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub front: bool,
}

/// One of several requests to a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedRequest {
    /// Request method.
    pub method: String,
    /// Path and query; starts with `/`.
    pub path: String,
    /// Headers beside the target's. Values of secret headers are masked in the record.
    pub headers: Vec<(String, String)>,
    /// Request body. Base64 in the record.
    #[serde(with = "as_base64")]
    pub body: Vec<u8>,
    /// How often it is sent, compared with the others; at least 1.
    pub weight: u32,
}

/// Where an answer names the instance that gave it: `header:NAME`, or `body:REGEX` by its first group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceSource {
    /// In the header of that name.
    Header(String),
    /// In the body, by the first group of that regular expression (regex-lite).
    Body(String),
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HTTP in the clear.
    Http,
    /// HTTP over TLS.
    Https,
    /// Bytes over a stream.
    Tcp,
    /// One message, and one in answer.
    Message,
    /// One message into a FIFO, which has no way back.
    Fifo,
}

impl Scheme {
    /// Whether it is HTTP, in the clear or over TLS.
    #[must_use]
    pub const fn speaks_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether each request is one message.
    #[must_use]
    pub const fn sends_messages(self) -> bool {
        matches!(self, Self::Message | Self::Fifo)
    }
}

/// What is spoken to an HTTP target; means nothing for `tcp`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by prior knowledge in the clear, by ALPN over TLS.
    Http2,
    /// gRPC over HTTP/2: one message there, one back.
    Grpc,
}

impl Protocol {
    /// Whether it is spoken over HTTP/2.
    #[must_use]
    pub fn is_http2(self) -> bool {
        self != Self::Http1
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_http1(protocol: &Protocol) -> bool {
    *protocol == Protocol::Http1
}

/// What a service of gRPC is asked where a URL names no method: for its health (grpc/health/v1/health.proto).
pub const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Where to connect. As written it may name a host; in the plan of a run, an address stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A host name or address, and a port. Resolved once, before anything is begun.
    Host {
        /// Without brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket: absolute, or `@NAME` in the abstract name space.
    Unix(PathBuf),
    /// As `host`, for UDP.
    Udp {
        /// Without brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket for datagrams.
    UnixDgram(PathBuf),
    /// A Unix socket for messages on a connection.
    UnixSeqpacket(PathBuf),
    /// A FIFO, absolute.
    Fifo(PathBuf),
}

impl Destination {
    /// Where a listener at `endpoint` is connected to.
    #[must_use]
    pub fn at(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp(address) => Self::Host { host: address.ip().to_string(), port: address.port() },
            Endpoint::Unix(path) => Self::Unix(path.clone()),
            Endpoint::Udp(address) => Self::Udp { host: address.ip().to_string(), port: address.port() },
            Endpoint::UnixDgram(path) => Self::UnixDgram(path.clone()),
            Endpoint::UnixSeqpacket(path) => Self::UnixSeqpacket(path.clone()),
            Endpoint::Fifo(path) => Self::Fifo(path.clone()),
        }
    }

    /// Whether it takes datagrams.
    #[must_use]
    pub fn takes_datagrams(&self) -> bool {
        matches!(self, Self::Udp { .. } | Self::UnixDgram(_))
    }

    /// The host and the port.
    #[must_use]
    pub fn host(&self) -> Option<(&str, u16)> {
        match self {
            Self::Host { host, port } | Self::Udp { host, port } => Some((host, *port)),
            _ => None,
        }
    }

    /// Whether connections to it reach a listener at `endpoint`. Of a host name, only the port can be compared.
    #[must_use]
    pub fn reaches(&self, bound_to: &Endpoint) -> bool {
        match (self, bound_to) {
            (Self::Host { host, port }, Endpoint::Tcp(bound)) | (Self::Udp { host, port }, Endpoint::Udp(bound)) => {
                match host.parse() {
                    Ok(ip) => address::takes(*bound, SocketAddr::new(ip, *port)),
                    Err(_) => bound.port() == *port,
                }
            }
            _ => self.endpoint().is_some_and(|endpoint| endpoint.name().is_some() && endpoint == *bound_to),
        }
    }

    /// The endpoint, where it is known without asking a resolver.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Unix(path) => Some(Endpoint::Unix(path.clone())),
            Self::Host { host, port } => host.parse().ok().map(|ip| Endpoint::Tcp(SocketAddr::new(ip, *port))),
            Self::Udp { host, port } => host.parse().ok().map(|ip| Endpoint::Udp(SocketAddr::new(ip, *port))),
            Self::UnixDgram(path) => Some(Endpoint::UnixDgram(path.clone())),
            Self::UnixSeqpacket(path) => Some(Endpoint::UnixSeqpacket(path.clone())),
            Self::Fifo(path) => Some(Endpoint::Fifo(path.clone())),
        }
    }
}

/// `200`, or `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StatusPattern {
    /// One status, 100 to 599.
    Exact(u16),
    /// A hundred of them: 1 to 5.
    Class(u8),
}

impl StatusPattern {
    /// Whether `status` is meant.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            Self::Exact(exact) => status == exact,
            Self::Class(class) => status / 100 == u16::from(class),
        }
    }
}

impl std::fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl From<StatusPattern> for String {
    fn from(pattern: StatusPattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for StatusPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let exact = text.parse::<u16>().ok().filter(|status| (100..600).contains(status)).map(Self::Exact);
        let class = || {
            let digit = text.strip_suffix("xx")?.parse::<u8>().ok()?;
            (1..6).contains(&digit).then_some(Self::Class(digit))
        };
        exact.or_else(class).ok_or_else(|| format!("{text:?} is not a status; say 200 or 2xx"))
    }
}

/// Serialises bytes as base64.
mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
