//! What is sent, and what must come back.

use regex_lite::Regex;

use super::http::HttpRequest;
use crate::load::error::LoadError;
use crate::scenario::plan::{Cohort, Scheme, StatusPattern, Target};

/// What is sent.
pub(in crate::load) enum RequestTemplate {
    /// One HTTP request.
    Http(HttpRequest),
    /// These bytes.
    Tcp(Vec<u8>),
}

impl RequestTemplate {
    /// Builds the request of a cohort. `closes` asks the server to close the connection after each answer.
    pub(in crate::load) fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
        Ok(match cohort.target.scheme {
            Scheme::Tcp => Self::Tcp(cohort.target.body.clone()),
            Scheme::Http | Scheme::Https => Self::Http(HttpRequest::new(cohort, closes)?),
        })
    }

    /// The bytes that are sent.
    pub(in crate::load) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Http(request) => request.into_bytes(),
            Self::Tcp(bytes) => bytes,
        }
    }

    /// Its length in bytes.
    pub(in crate::load) fn len(&self) -> u64 {
        match self {
            Self::Http(request) => request.len(),
            Self::Tcp(bytes) => bytes.len() as u64,
        }
    }
}

/// What must come back.
#[derive(Debug, Default)]
pub(in crate::load) struct Expectation {
    statuses: Vec<StatusPattern>,
    /// What the body must match somewhere.
    pub(in crate::load) body: Option<Regex>,
}

impl Expectation {
    pub(in crate::load) fn new(cohort: &str, target: &Target) -> Result<Self, LoadError> {
        let pattern =
            |error: regex_lite::Error| LoadError::Pattern { cohort: cohort.to_owned(), reason: error.to_string() };
        let body = target.expect_body.as_deref().map(Regex::new).transpose().map_err(pattern)?;
        Ok(Self { statuses: target.expect_status.clone(), body })
    }

    /// Whether `status` is expected. Without any pattern, every status is.
    pub(in crate::load) fn takes_status(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|pattern| pattern.matches(status))
    }
}
