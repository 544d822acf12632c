//! A request of HTTP/2: built once, sent again and again.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use super::grpc;
use crate::load::error::LoadError;
use crate::scenario::plan::{Cohort, Protocol, Scheme};

/// One request, or one call of gRPC.
pub(in crate::load) struct Http2Request {
    head: Request<()>,
    pub(super) body: Bytes,
}

impl Http2Request {
    /// Builds the request of a cohort.
    pub(in crate::load) fn new(cohort: &Cohort) -> Result<Self, LoadError> {
        let target = &cohort.target;
        let invalid = |part: &str, reason: String| LoadError::Request {
            cohort: cohort.name.clone(),
            part: part.to_owned(),
            reason,
        };
        let scheme = if target.scheme == Scheme::Https { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(target.authority.as_str()).path_and_query(&*target.path);
        let mut head = Request::new(());
        *head.version_mut() = Version::HTTP_2;
        *head.uri_mut() = uri.build().map_err(|error| invalid("path", error.to_string()))?;
        *head.method_mut() =
            Method::from_bytes(target.method.as_bytes()).map_err(|error| invalid("method", error.to_string()))?;
        for (name, value) in &target.headers {
            let invalid = |reason: String| invalid(&format!("header {name}"), reason);
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(error.to_string()))?;
            let value = HeaderValue::from_str(value).map_err(|error| invalid(error.to_string()))?;
            head.headers_mut().append(key, value);
        }
        let body = if target.protocol == Protocol::Grpc {
            grpc::add_headers(head.headers_mut(), target.timeout);
            grpc::framed(&target.body).map_err(|error| invalid("message", error.to_string()))?
        } else {
            if !target.body.is_empty() {
                head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(target.body.len()));
            }
            Bytes::from(target.body.clone())
        };
        Ok(Self { head, body })
    }

    /// Its head, as h2 takes it.
    pub(super) fn head(&self) -> Request<()> {
        self.head.clone()
    }
}
