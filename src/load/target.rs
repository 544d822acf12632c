//! A target made ready: host resolved, request built, expectations compiled.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Uri};
use regex_lite::Regex;

use super::error::LoadError;
use super::tls::Tls;
use crate::model::Endpoint;
use crate::scenario::plan::{Cohort, Destination, Scheme, StatusPattern, Target};

/// What is sent where, and what must come back.
pub(super) struct ReadyTarget {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// For https.
    pub(super) tls: Option<Tls>,
    /// What is sent.
    pub(super) request: RequestTemplate,
    /// What must come back.
    pub(super) expect: Expectation,
    /// From the due time until the answer must be whole.
    pub(super) timeout: Duration,
    /// From the due time until the connection must be there.
    pub(super) connect_timeout: Duration,
}

/// What is sent.
pub(super) enum RequestTemplate {
    /// One HTTP request.
    Http(Box<HttpRequest>),
    /// These bytes.
    Tcp(Bytes),
}

/// An HTTP request that can be made again and again.
pub(super) struct HttpRequest {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    len: u64,
}

/// What must come back.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    statuses: Vec<StatusPattern>,
    /// What the body must match somewhere.
    pub(super) body: Option<Regex>,
}

impl ReadyTarget {
    /// Resolves, builds and compiles. `closes` asks the server to close the connection after each answer.
    pub(super) fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
        let target = &cohort.target;
        let request = match target.scheme {
            Scheme::Tcp => RequestTemplate::Tcp(Bytes::copy_from_slice(&target.body)),
            Scheme::Http | Scheme::Https => RequestTemplate::Http(Box::new(HttpRequest::new(cohort, closes)?)),
        };
        Ok(Self {
            endpoint: resolve(&cohort.name, &target.connect)?,
            tls: (target.scheme == Scheme::Https).then(|| Tls::new(&cohort.name, target)).transpose()?,
            request,
            expect: Expectation::new(&cohort.name, target)?,
            timeout: target.timeout,
            connect_timeout: target.connect_timeout.min(target.timeout),
        })
    }

    /// Length of the request.
    pub(super) fn request_bytes(&self) -> u64 {
        match &self.request {
            RequestTemplate::Http(request) => request.len,
            RequestTemplate::Tcp(bytes) => bytes.len() as u64,
        }
    }
}

/// The address to connect to. A host with several addresses is taken at its first IPv4 one, or else at its
/// first: one name means one listener for the whole run.
fn resolve(cohort: &str, destination: &Destination) -> Result<Endpoint, LoadError> {
    let (host, port) = match destination {
        Destination::Unix(path) => return Ok(Endpoint::Unix(PathBuf::clone(path))),
        Destination::Host { host, port } => (host.as_str(), *port),
    };
    let unresolvable =
        |reason: String| LoadError::Unresolvable { cohort: cohort.to_owned(), host: host.to_owned(), reason };
    let found: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| unresolvable(error.to_string()))?.collect();
    let chosen = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    chosen.copied().map(Endpoint::Tcp).ok_or_else(|| unresolvable("it has no address".to_owned()))
}

impl HttpRequest {
    fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
        let target = &cohort.target;
        let invalid = |part: &str, reason: String| LoadError::Request {
            cohort: cohort.name.clone(),
            part: part.to_owned(),
            reason,
        };
        let method =
            Method::from_bytes(target.method.as_bytes()).map_err(|error| invalid("method", error.to_string()))?;
        let uri = target.path.parse::<Uri>().map_err(|error| invalid("path", error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &target.headers {
            let invalid = |reason: String| invalid(&format!("header {name}"), reason);
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(error.to_string()))?;
            headers.append(key, HeaderValue::from_str(value).map_err(|error| invalid(error.to_string()))?);
        }
        if !headers.contains_key(HOST) {
            let host = HeaderValue::from_str(&target.authority).map_err(|error| invalid("host", error.to_string()))?;
            headers.insert(HOST, host);
        }
        if !target.body.is_empty() && !headers.contains_key(TRANSFER_ENCODING) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(target.body.len()));
        }
        if closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let body = Bytes::copy_from_slice(&target.body);
        let len = written_len(&method, &uri, &headers, &body);
        Ok(Self { method, uri, headers, body, len })
    }

    /// The request, once more.
    pub(super) fn make(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Whether an answer to it has no body, whatever its head says.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

/// How many bytes the request has on the wire: RFC 9112, one space after each header's colon.
fn written_len(method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> u64 {
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let line = method.as_str().len() + target.len() + "  HTTP/1.1\r\n".len();
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    (line + fields + "\r\n".len() + body.len()) as u64
}

impl Expectation {
    fn new(cohort: &str, target: &Target) -> Result<Self, LoadError> {
        let pattern =
            |error: regex_lite::Error| LoadError::Pattern { cohort: cohort.to_owned(), reason: error.to_string() };
        let body = target.expect_body.as_deref().map(Regex::new).transpose().map_err(pattern)?;
        Ok(Self { statuses: target.expect_status.clone(), body })
    }

    /// Whether `status` is expected. Without any pattern, every status is.
    pub(super) fn takes_status(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|pattern| pattern.matches(status))
    }
}
