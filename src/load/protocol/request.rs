//! What is sent, and what must come back.

use regex_lite::Regex;

use super::answer::Judgement;
use super::body::KeptBody;
use super::http::HttpRequest;
use super::http2::Http2Request;
use super::message::MessageRequest;
use super::naming::NamedBy;
use crate::load::connection::Passed;
use crate::load::error::LoadError;
use crate::model::GrpcStatus;
use crate::scenario::plan::{Cohort, Protocol, Scheme, StatusPattern, Target, WeightedRequest};

/// What is sent.
pub(in crate::load) enum RequestTemplate {
    /// One request of HTTP/1.1.
    Http(HttpRequest),
    /// One of HTTP/2, or a call of gRPC.
    Http2(Box<Http2Request>),
    /// These bytes.
    Tcp(Vec<u8>),
    /// One message.
    Message(MessageRequest),
}

impl RequestTemplate {
    /// Builds the requests of a cohort, at least one.
    pub(in crate::load) fn all(cohort: &Cohort, closes: bool) -> Result<Vec<Self>, LoadError> {
        if cohort.target.requests.is_empty() {
            return Ok(vec![Self::new(cohort, closes)?]);
        }
        let one = |request: &WeightedRequest| {
            let WeightedRequest { method, path, headers, body, .. } = request.clone();
            let own = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
            let mut target = Target { requests: Vec::new(), method, path, body, ..cohort.target.clone() };
            target.headers.retain(|(name, _)| !own(name));
            target.headers.extend(headers);
            Self::new(&Cohort { target, ..cohort.clone() }, closes)
        };
        cohort.target.requests.iter().map(one).collect()
    }

    /// Builds the request of a cohort. `closes` asks the server to close the connection after each answer.
    fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
        Ok(match (cohort.target.scheme, cohort.target.protocol) {
            (Scheme::Tcp, _) => Self::Tcp(cohort.target.body.clone()),
            (scheme @ (Scheme::Message | Scheme::Fifo), _) => Self::Message(MessageRequest {
                bytes: cohort.target.body.clone(),
                is_answered: scheme == Scheme::Message,
            }),
            (Scheme::Http | Scheme::Https, Protocol::Http1) => Self::Http(HttpRequest::new(cohort, closes)?),
            (Scheme::Http | Scheme::Https, Protocol::Http2 | Protocol::Grpc) => {
                Self::Http2(Box::new(Http2Request::new(cohort)?))
            }
        })
    }

    /// Whether all of it was taken, when this much passed for it.
    pub(in crate::load) fn is_written(&self, passed: &Passed) -> bool {
        match self {
            Self::Http2(_) => passed.is_whole,
            Self::Http(_) | Self::Tcp(_) | Self::Message(_) => passed.bytes_out >= self.bytes().len() as u64,
        }
    }

    /// The bytes of each; none of HTTP/2, where they differ.
    pub(in crate::load) fn bytes(&self) -> &[u8] {
        match self {
            Self::Http(request) => request.bytes(),
            Self::Http2(_) => &[],
            Self::Tcp(bytes) => bytes,
            Self::Message(message) => &message.bytes,
        }
    }
}

/// What must come back.
#[derive(Debug, Default)]
pub(in crate::load) struct Expectation {
    statuses: Vec<StatusPattern>,
    /// Statuses of gRPC; none unless it is spoken.
    grpc: Option<Vec<GrpcStatus>>,
    /// What the body must match somewhere.
    pub(in crate::load) body: Option<Regex>,
    /// Where it names the instance that gave it.
    pub(in crate::load) named_by: Option<NamedBy>,
}

impl Expectation {
    pub(in crate::load) fn new(cohort: &str, target: &Target) -> Result<Self, LoadError> {
        let pattern = |reason: String| LoadError::Pattern { cohort: cohort.to_owned(), reason };
        let compiled = |text: &str| Regex::new(text).map_err(|error| pattern(error.to_string()));
        let body = target.expect_body.as_deref().map(compiled).transpose()?;
        let named_by = target.instance.as_ref().map(NamedBy::new).transpose().map_err(pattern)?;
        let grpc = (target.protocol == Protocol::Grpc).then(|| target.expect_grpc_status.clone());
        Ok(Self { statuses: target.expect_status.clone(), grpc, body, named_by })
    }

    /// Whether anything is looked for in the body.
    pub(in crate::load) fn reads_body(&self) -> bool {
        self.body.is_some() || matches!(self.named_by, Some(NamedBy::Body(_)))
    }

    /// Whether `status` is expected. Without any pattern, every status is.
    fn takes_status(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|pattern| pattern.matches(status))
    }

    /// Whether answers are those of gRPC.
    pub(in crate::load) fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    /// How a complete answer compares with it.
    pub(in crate::load) fn judge(&self, status: u16, body: &KeptBody) -> Judgement {
        if self.takes_status(status) { self.judge_body(body) } else { Judgement::OtherStatus }
    }

    /// How a complete answer of gRPC compares with it; `message` is what the answer carried.
    pub(in crate::load) fn judge_call(&self, status: GrpcStatus, message: &KeptBody) -> Judgement {
        let is_expected = self.grpc.as_ref().is_none_or(|expected| expected.contains(&status));
        match status {
            _ if !is_expected => Judgement::OtherGrpcStatus,
            GrpcStatus::Ok => self.judge_body(message),
            // A call that fails has no message.
            _ => Judgement::Expected,
        }
    }

    fn judge_body(&self, body: &KeptBody) -> Judgement {
        if self.body.as_ref().is_none_or(|pattern| body.matches(pattern)) {
            Judgement::Expected
        } else {
            Judgement::OtherBody
        }
    }
}
