//! What a service answers to the one request by which it is found out what can be loaded.

use std::error::Error;
use std::io;

use crate::host::answer::{self, Question};
use crate::load::{self, Heard, LoadError};
use crate::model::{FailureClass, FailureKey, GrpcStatus, Instead};
use crate::scenario::plan::{Cohort, Protocol};

/// What a healthy service answers to a call for its health: `status: SERVING` (grpc/health/v1/health.proto).
pub(super) const SERVING: &str = r"^\x08\x01";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Status(u16),
    /// The end of a call of gRPC.
    Call(GrpcStatus),
    /// It answered a call for its health, and that it is not healthy.
    NotServing,
    /// It does not speak the protocol; with what it speaks, where that is known.
    AnotherProtocol(Option<Instead>),
}

/// There was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unheard {
    pub(super) why: String,
    /// What is wrong with its certificate, where that is why.
    pub(super) certificate: Option<String>,
    /// No certificate could be checked, since there are no CAs to trust.
    pub(super) is_without_cas: bool,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Call(status) => write!(f, "{status}"),
            Self::NotServing => f.write_str("OK, but not that it is SERVING"),
            Self::AnotherProtocol(_) => f.write_str("in another protocol"),
        }
    }
}

impl From<io::Error> for Unheard {
    fn from(error: io::Error) -> Self {
        Self {
            why: error.to_string(),
            certificate: answer::certificate_error(&error),
            is_without_cas: error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LoadError>),
        }
    }
}

/// Sends the request of a cohort once.
pub(super) fn hear(cohort: &Cohort) -> Result<Said, Unheard> {
    if cohort.target.protocol.is_http2() {
        let heard = load::ask(cohort).map_err(io::Error::other)?;
        let is_unhealthy = heard.failure.is_some_and(|key| key.class == FailureClass::UnexpectedBody);
        if is_unhealthy && cohort.target.expect_body.as_deref() == Some(SERVING) {
            return Ok(Said::NotServing);
        }
        return said(heard, cohort.target.protocol);
    }
    let (endpoint, tls, bytes) = load::asks(cohort).map_err(io::Error::other)?;
    let status = answer::status_of(&Question { endpoint, tls, bytes })?;
    Ok(status.map_or(Said::AnotherProtocol(None), Said::Status))
}

fn said(heard: Heard, protocol: Protocol) -> Result<Said, Unheard> {
    let is_answer = heard.failure.is_none_or(|key| key.class.is_wrong());
    match (heard.status, heard.grpc, heard.failure) {
        (_, Some(status), _) if is_answer => Ok(Said::Call(status)),
        (Some(status), None, _) if is_answer && protocol != Protocol::Grpc => Ok(Said::Status(status)),
        (_, None, _) if is_answer => Ok(Said::AnotherProtocol(Some(Instead::NotGrpc))),
        (.., Some(FailureKey { class: FailureClass::Malformed, .. })) => Ok(Said::AnotherProtocol(heard.instead)),
        (.., Some(key)) => Err(Unheard::of(key)),
        _ => Ok(Said::AnotherProtocol(None)),
    }
}

impl Unheard {
    fn of(key: FailureKey) -> Self {
        let meaning = key.class.meaning().trim_end_matches('.');
        let why = key.tls.map_or_else(|| meaning.to_owned(), |fault| format!("{meaning}: {fault}"));
        let certificate = key.tls.filter(|fault| fault.is_of_certificate()).map(|fault| fault.to_string());
        Self { why: format!("{}: {why}", key.class), certificate, is_without_cas: false }
    }
}
