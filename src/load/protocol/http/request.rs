//! The bytes of a request: rendered once, sent again and again.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Uri};

use super::head::Asked;
use crate::load::error::LoadError;
use crate::scenario::plan::Cohort;

/// One request.
pub(in crate::load) struct HttpRequest {
    /// Head and body, as they are on the wire.
    pub(super) bytes: Vec<u8>,
    /// What it asks for.
    pub(super) asked: Asked,
}

impl HttpRequest {
    /// Renders the request of a cohort. `closes` asks the server to close the connection after its answer.
    pub(in crate::load) fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
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
        let body = framed(&target.body, &mut headers);
        if closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let asked = match method {
            Method::HEAD => Asked::Head,
            Method::CONNECT => Asked::Connect,
            _ => Asked::Other,
        };
        Ok(Self { bytes: render(&method, &uri, &headers, &body), asked })
    }

    /// Head and body, as they are on the wire.
    pub(in crate::load) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body as it goes over the wire, and the header that says where it ends: a length, or chunks where the plan
/// asks for them.
fn framed(body: &[u8], headers: &mut HeaderMap) -> Vec<u8> {
    if body.is_empty() {
        headers.remove(TRANSFER_ENCODING);
        return Vec::new();
    }
    let Some(encodings) = headers.get_all(TRANSFER_ENCODING).into_iter().next_back() else {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        return body.to_vec();
    };
    let last = encodings.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    if !last.eq_ignore_ascii_case(b"chunked") {
        // Without it nobody could tell where the request ends (RFC 9112, section 6.1).
        headers.append(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    headers.remove(CONTENT_LENGTH);
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

fn render(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed_with(encodings: &[&'static str], body: &str) -> (String, Vec<u8>) {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(encoding));
        }
        let body = framed(body.as_bytes(), &mut headers);
        (String::from_utf8(render(&Method::POST, &Uri::from_static("/x?y"), &headers, b"")).unwrap(), body)
    }

    #[test]
    fn a_body_has_a_length_unless_the_plan_asks_for_chunks() {
        let start = "POST /x?y HTTP/1.1\r\n";
        assert_eq!(framed_with(&[], ""), (format!("{start}\r\n"), Vec::new()));
        assert_eq!(framed_with(&[], "{}"), (format!("{start}content-length: 2\r\n\r\n"), b"{}".to_vec()));
        let chunks = b"2\r\n{}\r\n0\r\n\r\n".to_vec();
        assert_eq!(
            framed_with(&["Chunked"], "{}"),
            (format!("{start}transfer-encoding: Chunked\r\n\r\n"), chunks.clone())
        );
        let both = format!("{start}transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(framed_with(&["gzip"], "{}"), (both, chunks));
        assert_eq!(framed_with(&["chunked"], ""), (format!("{start}\r\n"), Vec::new()));
    }
}
