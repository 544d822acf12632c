//! `[target]`, and those of its keys that a cohort can say otherwise.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;
use strum::IntoEnumIterator as _;

use crate::model::GrpcStatus;
use crate::model::address::abstract_name;
use crate::scenario::keys::keys;
use crate::scenario::kind::{self, Kind};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Destination, InstanceSource, LARGEST_WEIGHT, Protocol, StatusPattern};
use crate::scenario::reader::{Field, Given};
use crate::scenario::source::Spanned;
use crate::scenario::tree::{Node, Value};
use crate::scenario::url::{self, LONGEST_SOCKET_BYTES, Url};
use crate::secrets::is_secret_header;

/// What a time limit can be.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);

/// Headers of a request, the most.
const MOST_HEADERS: usize = 100;

keys! {
    /// What is sent where, and what must come back.
    #[derive(Clone, Debug)]
    pub(crate) struct Target = "target" after request: Request {
        /// From the due time until the answer must be whole.
        timeout: Field<Duration> = kind::span(TIMEOUT), default "10s";
        /// From the due time until the connection must be there; the same as timeout unless given.
        connect_timeout: Field<Duration> = kind::span(TIMEOUT);
        /// PEM file with the CAs to trust; https only.
        ca_file: Field<PathBuf> = kind::path();
        /// Trust any certificate; https only.
        insecure: Field<bool> = kind::boolean(), default false;
        /// What is spoken to an http or https URL: http1; or http2, by prior knowledge (http) or ALPN (https); or grpc, one
        /// unary call after the other over HTTP/2. The path of a grpc URL is /package.Service/Method; without one, the
        /// service is asked for its health: /grpc.health.v1.Health/Check.
        protocol: Field<Protocol> = kind::one_of(Protocol::iter()), default "http1";
        /// Where an answer names the process, release or pod that gave it: header:NAME, or body:REGEX by its first group.
        instance: Field<InstanceSource> = instance();
        /// Several requests by weight, instead of the one that url, method and body make.
        requests: Field<Vec<Spanned<OneOf>>> = kind::tables::<OneOf>();
        /// A proxy in front of the service listens there: nginx, HAProxy, a load balancer.
        front: Field<bool> = kind::boolean(), default false;
    }
}

keys! {
    /// One of several requests to the target.
    #[derive(Clone, Debug)]
    pub(crate) struct OneOf = "target.requests" {
        /// Path and query.
        path: Field<String> = super::load::path(), required "this request has no path", "add path = \"/\"";
        /// Its method, in capitals.
        method: Field<String> = method(), default "GET";
        /// Headers beside those of the target.
        headers: Field<Vec<Header>> = headers();
        /// What is sent.
        body: Field<String> = kind::text();
        /// A file with the body; a relative path counts from the scenario's folder.
        body_file: Field<PathBuf> = kind::path();
        /// How often it is sent, compared with the others: 3 is three times as often as 1, in a fixed order.
        weight: Field<u32> = kind::whole(1..=LARGEST_WEIGHT), default 1;
    }
}

keys! {
    /// The keys that `[target]` and `[[load]]` share.
    #[derive(Clone, Debug)]
    pub(crate) struct Request = "target" {
        /// http, https, tcp or udp with a host; unix, unix-dgram, unix-seqpacket or fifo with a path, or @NAME.
        url: Field<Url> = url();
        /// Connect to this socket instead of to the URL's host.
        unix: Field<PathBuf> = unix();
        /// Connect to this HOST:PORT instead; the URL's host stays in the Host header and in TLS.
        connect_to: Field<Destination> = connect_to();
        /// The method of the requests, in capitals.
        method: Field<String> = method(), default "GET";
        /// Values of secret headers are masked in the record.
        headers: Field<Vec<Header>> = headers();
        /// What is sent.
        body: Field<String> = kind::text();
        /// A file with the body; a relative path counts from the scenario's folder. With grpc: one serialized message.
        body_file: Field<PathBuf> = kind::path();
        /// Statuses that are expected: each one, or a class of them.
        expect_status: Field<Vec<Spanned<StatusPattern>>> = statuses(), default ["2xx"];
        /// With grpc: statuses that are expected, by name.
        expect_grpc_status: Field<Vec<Spanned<GrpcStatus>>> = grpc_statuses(), default ["OK"];
        /// A regular expression (regex-lite) that the body must match somewhere; with grpc, the message of a call that ends OK.
        expect_body: Field<String> = regex();
    }
}

/// One header. Its value may be a secret.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub name: String,
    pub value: Given<String>,
}

fn url() -> Kind<Url> {
    let url = kind::word().then(|text, node, mistakes| {
        Url::parse(&text)
            .map_err(|(why, help)| {
                mistakes.add(node.place, why).help(help);
            })
            .ok()
    });
    url.described(|| json!({ "type": "string", "pattern": url::pattern() }))
}

/// sockaddr_un(7): the path and its NUL fit into 108 bytes.
fn unix() -> Kind<PathBuf> {
    let unix = kind::path().then(|path, node, mistakes| {
        let name = abstract_name(&path);
        if !path.is_absolute() && name.is_none_or(<[u8]>::is_empty) {
            mistakes.add(node.place, "the path of a Unix socket must be absolute").help(
                "write it from the root, as in ListenStream=: \"/run/app/app.sock\", or \"@NAME\" for an abstract one",
            );
            return None;
        }
        if name.map_or(path.as_os_str().len(), <[u8]>::len) > LONGEST_SOCKET_BYTES {
            mistakes
                .add(node.place, format!("the path of a Unix socket has at most {LONGEST_SOCKET_BYTES} bytes"))
                .help("put the socket somewhere nearer to the root");
            return None;
        }
        Some(path)
    });
    unix.described(|| json!({ "type": "string", "pattern": "^[/@]", "maxLength": LONGEST_SOCKET_BYTES + 1 }))
}

/// `HOST:PORT`, or `[V6]:PORT`.
fn connect_to() -> Kind<Destination> {
    let at = kind::word().then(|text, node, mistakes| {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse::<u16>().ok().filter(|&port| port > 0)?;
            let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let host = v6.unwrap_or(host);
            let is_host = v6.is_some() || !host.contains([':', '[', ']']);
            (is_host && !host.is_empty() && !host.contains(['/', ' '])).then(|| (host.to_owned(), port))
        });
        if parts.is_none() {
            mistakes
                .add(node.place, format!("{text:?} is not HOST:PORT"))
                .help("such as \"127.0.0.1:8443\" or \"[::1]:8443\"");
        }
        parts.map(|(host, port)| Destination::Host { host, port })
    });
    at.described(|| json!({ "type": "string", "pattern": ":[0-9]+$" }))
}

fn method() -> Kind<String> {
    kind::word().then(checked_method).described(|| json!({ "type": "string", "pattern": "^[^a-z\\s]+$" }))
}

fn checked_method(text: String, node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    if Method::from_bytes(text.as_bytes()).is_err() {
        mistakes.add(node.place, format!("{text:?} is not a method")).help("such as GET, HEAD, POST or PUT");
        return None;
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        mistakes
            .add(node.place, format!("the method {text:?} is not in capitals"))
            .help(format!("methods are case-sensitive: write \"{}\"", text.to_ascii_uppercase()));
        return None;
    }
    if text == "CONNECT" {
        mistakes.add(node.place, "CONNECT does not ask a service for anything").help("use another method");
        return None;
    }
    Some(text)
}

fn headers() -> Kind<Vec<Header>> {
    let schema = || json!({ "type": "object", "additionalProperties": { "type": "string" } });
    Kind::new(schema, read_headers)
}

fn read_headers(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Header>> {
    let Value::Table(table) = &node.value else {
        kind::wrong_type(node, "a table", mistakes, "write headers = { Accept = \"text/html\" }");
        return None;
    };
    if table.entries().len() > MOST_HEADERS {
        mistakes
            .add(node.place, format!("more than {MOST_HEADERS} headers"))
            .help("Apache, for one, takes no more unless told to; leave some out");
        return None;
    }
    let mut headers: Vec<Header> = Vec::new();
    for entry in table.entries() {
        let name = entry.key.clone();
        if let Err((why, help)) = check_header_name(&name) {
            mistakes.add(entry.key_place, why).help(help);
            continue;
        }
        if let Some(twin) = headers.iter().find(|header| header.name.eq_ignore_ascii_case(&name)) {
            mistakes
                .add(entry.key_place, format!("the header {name} is given twice"))
                .help("header names are the same in any case; keep one")
                .and(twin.value.key, "here as well");
            continue;
        }
        let Some(value) = kind::text().read(&entry.node, mistakes) else { continue };
        if HeaderValue::from_str(&value).is_err() {
            mistakes
                .add(entry.node.place, "a header's value holds visible ASCII, spaces and tabs only")
                .help("take out line breaks and other control characters, and encode the rest");
            continue;
        }
        headers.push(Header { name, value: Given { key: entry.key_place, place: entry.node.place, value } });
    }
    (headers.len() == table.entries().len()).then_some(headers)
}

fn check_header_name(name: &str) -> Result<(), (String, &'static str)> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err((format!("{name:?} is not a header name"), "letters, digits and - are allowed"));
    }
    let help = match name.to_ascii_lowercase().as_str() {
        "content-length" | "transfer-encoding" => "it follows from the body; leave it out",
        "connection" | "keep-alive" => "it follows from `reuse` in [[load]]; leave it out",
        "upgrade" | "te" | "trailer" | "expect" => "the load does not speak this part of HTTP; leave it out",
        _ => return Ok(()),
    };
    Err((format!("the header {name} cannot be set"), help))
}

fn instance() -> Kind<InstanceSource> {
    let instance = kind::text().then(|text, node, mistakes| {
        instance_source(&text)
            .map_err(|(why, help)| {
                mistakes.add(node.place, why).help(help);
            })
            .ok()
    });
    instance.described(|| json!({ "type": "string", "pattern": "^(header:[^\\s:]+|body:.*\\(.*)$" }))
}

fn instance_source(text: &str) -> Result<InstanceSource, (String, &'static str)> {
    const HELP: &str = "such as \"header:X-Version\", or 'body:\"pid\": ([0-9]+)' whose first group is the name";
    match text.split_once(':') {
        Some(("header", name)) if HeaderName::from_bytes(name.as_bytes()).is_err() => {
            Err((format!("{name:?} is not a header name"), HELP))
        }
        Some(("header", name)) if is_secret_header(name) => Err((
            format!("the header {name} holds a secret, which reports do not show"),
            "use a header that names the release, the process or the pod",
        )),
        Some(("header", name)) => Ok(InstanceSource::Header(name.to_owned())),
        Some(("body", pattern)) => match regex_lite::Regex::new(pattern) {
            Err(error) => Err((format!("this regular expression does not parse: {error}"), HELP)),
            Ok(regex) if regex.captures_len() < 2 => {
                Err(("this regular expression has no group".to_owned(), "put the part that is the name in parentheses"))
            }
            Ok(_) => Ok(InstanceSource::Body(pattern.to_owned())),
        },
        _ => Err((format!("{text:?} does not say where an answer names its instance"), HELP)),
    }
}

fn statuses() -> Kind<Vec<Spanned<StatusPattern>>> {
    const HELP: &str = "statuses are an array: [\"2xx\"], [\"200\", \"404\"]";
    let status = Kind::new(
        || {
            json!({ "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^([1-5]xx|[1-5][0-9][0-9])$" },
            ] })
        },
        |node, mistakes| {
            let text = match &node.value {
                Value::Integer(number) => number.to_string(),
                _ => kind::text().read(node, mistakes)?,
            };
            let pattern = StatusPattern::try_from(text.clone());
            if pattern.is_err() {
                mistakes.add(node.place, format!("{text:?} is not a status")).help("100 to 599, or a class: \"2xx\"");
            }
            pattern.ok()
        },
    );
    let statuses = kind::list(HELP, status).then(|statuses, node, mistakes| {
        if statuses.is_empty() {
            mistakes.add(node.place, "no status is expected").help(HELP);
            return None;
        }
        Some(statuses)
    });
    statuses.with("minItems", 1)
}

fn grpc_statuses() -> Kind<Vec<Spanned<GrpcStatus>>> {
    const HELP: &str = "statuses of gRPC are an array of names: [\"OK\"], [\"OK\", \"NOT_FOUND\"]";
    let statuses = kind::list(HELP, kind::one_of(GrpcStatus::iter())).then(|statuses, node, mistakes| {
        if statuses.is_empty() {
            mistakes.add(node.place, "no status is expected").help(HELP);
            return None;
        }
        Some(statuses)
    });
    statuses.with("minItems", 1)
}

fn regex() -> Kind<String> {
    kind::text().then(|text, node, mistakes| {
        if let Err(error) = regex_lite::Regex::new(&text) {
            mistakes
                .add(node.place, format!("this regular expression does not parse: {error}"))
                .help("in 'single quotes' TOML leaves backslashes alone; the syntax is that of Rust's regex-lite");
            return None;
        }
        Some(text)
    })
}
