//! `[target]`, and those of its keys that a cohort can say otherwise.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use http::header::{HeaderName, HeaderValue};

use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::StatusPattern;
use crate::scenario::reader::{Field, Given, Reader};
use crate::scenario::source::Spanned;
use crate::scenario::tree::{Node, Value};
use crate::scenario::url::Url;
use crate::scenario::value;

/// What a time limit can be.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);

/// Headers of a request, the most.
const MOST_HEADERS: usize = 100;

/// `[target]`.
#[derive(Debug)]
pub(crate) struct Target {
    pub request: Request,
    pub timeout: Field<Duration>,
    pub connect_timeout: Field<Duration>,
    pub ca_file: Field<PathBuf>,
    pub insecure: Field<bool>,
    pub front: Field<bool>,
}

/// The keys that `[target]` and `[[load]]` share.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub url: Field<Url>,
    pub unix: Field<PathBuf>,
    pub method: Field<String>,
    pub headers: Field<Vec<Header>>,
    pub body: Field<String>,
    pub body_file: Field<PathBuf>,
    pub expect_status: Field<Vec<Spanned<StatusPattern>>>,
    pub expect_body: Field<String>,
}

/// One header. Its value may be a secret.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub name: String,
    pub value: Given<String>,
}

impl Target {
    pub(crate) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("target", node, mistakes)?;
        let target = Self {
            request: Request::read(&mut reader),
            timeout: reader.field("timeout", |node, mistakes| value::span(node, mistakes, &TIMEOUT)),
            connect_timeout: reader.field("connect_timeout", |node, mistakes| value::span(node, mistakes, &TIMEOUT)),
            ca_file: reader.field("ca_file", value::path),
            insecure: reader.field("insecure", value::boolean),
            front: reader.field("front", value::boolean),
        };
        reader.finish();
        Some(target)
    }
}

impl Request {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            url: reader.field("url", url),
            unix: reader.field("unix", unix),
            method: reader.field("method", method),
            headers: reader.field("headers", headers),
            body: reader.field("body", value::string),
            body_file: reader.field("body_file", value::path),
            expect_status: reader.field("expect_status", statuses),
            expect_body: reader.field("expect_body", regex),
        }
    }
}

fn url(node: &Node, mistakes: &mut Mistakes) -> Option<Url> {
    let text = value::word(node, mistakes)?;
    Url::parse(&text)
        .map_err(|(why, help)| {
            mistakes.add(node.place, why).help(help);
        })
        .ok()
}

/// sockaddr_un(7): the path and its NUL fit into 108 bytes.
fn unix(node: &Node, mistakes: &mut Mistakes) -> Option<PathBuf> {
    const LONGEST_BYTES: usize = 107;
    let path = value::path(node, mistakes)?;
    if !path.is_absolute() {
        mistakes
            .add(node.place, "the path of a Unix socket must be absolute")
            .help("write it from the root, as in ListenStream=: \"/run/app/app.sock\"");
        return None;
    }
    if path.as_os_str().len() > LONGEST_BYTES {
        mistakes
            .add(node.place, format!("the path of a Unix socket has at most {LONGEST_BYTES} bytes"))
            .help("put the socket somewhere nearer to the root");
        return None;
    }
    Some(path)
}

fn method(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text = value::word(node, mistakes)?;
    if Method::from_bytes(text.as_bytes()).is_err() {
        mistakes.add(node.place, format!("{text:?} is no method")).help("such as GET, HEAD, POST or PUT");
        return None;
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        mistakes
            .add(node.place, format!("the method {text:?} is not in capitals"))
            .help(format!("methods are case-sensitive: write \"{}\"", text.to_ascii_uppercase()));
        return None;
    }
    if text == "CONNECT" {
        mistakes.add(node.place, "CONNECT is no request to a service").help("use another method");
        return None;
    }
    Some(text)
}

fn headers(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Header>> {
    let Value::Table(table) = &node.value else {
        value::wrong_type(node, "a table", mistakes, "write headers = { Accept = \"text/html\" }");
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
        let Some(value) = value::string(&entry.node, mistakes) else { continue };
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
        return Err((format!("{name:?} is no header name"), "letters, digits and - are allowed"));
    }
    let help = match name.to_ascii_lowercase().as_str() {
        "content-length" | "transfer-encoding" => "it follows from the body; leave it out",
        "connection" | "keep-alive" => "it follows from `reuse` in [[load]]; leave it out",
        "upgrade" | "te" | "trailer" | "expect" => "the load does not speak this part of HTTP; leave it out",
        _ => return Ok(()),
    };
    Err((format!("the header {name} cannot be set"), help))
}

fn statuses(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Spanned<StatusPattern>>> {
    const HELP: &str = "statuses are an array: [\"2xx\"], [\"200\", \"404\"]";
    let statuses = value::list(node, mistakes, HELP, |each, mistakes| {
        let text = match &each.value {
            Value::Integer(number) => number.to_string(),
            _ => value::string(each, mistakes)?,
        };
        let pattern = StatusPattern::try_from(text.clone());
        if pattern.is_err() {
            mistakes.add(each.place, format!("{text:?} is no status")).help("100 to 599, or a class: \"2xx\"");
        }
        pattern.ok()
    })?;
    if statuses.is_empty() {
        mistakes.add(node.place, "no status is expected").help(HELP);
        return None;
    }
    Some(statuses)
}

fn regex(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text = value::string(node, mistakes)?;
    if let Err(error) = regex_lite::Regex::new(&text) {
        mistakes
            .add(node.place, format!("this regular expression does not parse: {error}"))
            .help("in 'single quotes' TOML leaves backslashes alone; the syntax is that of Rust's regex-lite");
        return None;
    }
    Some(text)
}
