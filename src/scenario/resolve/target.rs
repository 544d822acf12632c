//! `[target]` as one cohort sees it: its own keys over those of the scenario.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{grpc, message, requests};
use crate::scenario::file::target::Header;
use crate::scenario::file::{self, File, Load, Request};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Destination, GRPC_HEALTH, InstanceSource, Protocol, Scheme, StatusPattern, Target};
use crate::scenario::reader::{Field, Given};
use crate::scenario::source::Place;
use crate::scenario::url::Url;

/// What of a body file is sent with every request; more than that measures the client.
const LARGEST_BODY_BYTES: u64 = 64 << 20;

/// The target of a cohort; of the default cohorts without `load`. None if that cannot be said, which was noted.
pub(super) fn resolve(file: &File, load: Option<&Load>, directory: &Path, mistakes: &mut Mistakes) -> Option<Target> {
    let nothing = Request::default();
    let base = file.target.value().map_or(&nothing, |target| &target.request);
    let own = load.map_or(&nothing, |load| &load.request);
    let body = body([own, base].map(|request| (&request.body, &request.body_file)), directory, mistakes);
    let (timeout, connect_timeout) = timeouts(file, mistakes);
    let ca_file = ca_file(file, directory, mistakes);
    let url = url(file, own, base, mistakes)?;
    let is_bytes = !url.value.scheme.speaks_http();
    let is_tls = url.value.scheme == Scheme::Https;
    if is_bytes {
        check_bytes(url.value.scheme_name(), own, base, load, mistakes);
    }
    if url.value.scheme.sends_messages() {
        message::check(&url.value, own, base, &body, load, mistakes);
    }
    let protocol = protocol(file, &url.value, mistakes);
    let is_grpc = protocol == Protocol::Grpc;
    if is_grpc {
        grpc::check_keys(own, base, mistakes);
    } else if !is_bytes {
        grpc::check_absence(file, own, base, mistakes);
    }
    // A cohort with a URL of its own goes there.
    let place = if own.url.is_absent() && !says_where(own) { base } else { own };
    let connect = destination(url, place, mistakes);
    let (headers, host) =
        if is_bytes { (Vec::new(), None) } else { headers(Some(&url.value), own.headers.over(&base.headers)) };
    let method = match protocol {
        _ if is_bytes => String::new(),
        Protocol::Grpc => "POST".to_owned(),
        Protocol::Http1 | Protocol::Http2 => own.method.over(&base.method).or_default(),
    };
    let path = if is_grpc {
        grpc::path(url, load, mistakes)
    } else {
        load.and_then(|load| load.path.value()).unwrap_or(&url.value.path).clone()
    };
    let is_asked_for_health = is_grpc && url.value.path == "/" && path == GRPC_HEALTH;
    check_head(&method, own.expect_body.over(&base.expect_body), mistakes);
    let requests = requests::resolve(file, load, &url.value, (protocol, directory), mistakes);
    for request in &requests {
        check_head(&request.method, own.expect_body.over(&base.expect_body), mistakes);
    }
    // What is shown and asked of a target with several requests is the first of them.
    let first = requests.first().cloned();
    let method = first.as_ref().map_or(method, |first| first.method.clone());
    let path = first.as_ref().map_or(path, |first| first.path.clone());
    let instance = instance(file, &method, &url.value, mistakes);
    Some(Target {
        scheme: url.value.scheme,
        protocol,
        url: if is_asked_for_health {
            format!("{}{path}", url.value.text.trim_end_matches('/'))
        } else {
            url.value.text.clone()
        },
        connect: connect?,
        authority: host.unwrap_or_else(|| url.value.authority()),
        method,
        path,
        headers,
        body: first.map_or(body, |first| first.body),
        requests,
        expect_status: if is_bytes || is_grpc { Vec::new() } else { statuses(own, base) },
        expect_grpc_status: if is_grpc { grpc::statuses(own, base) } else { Vec::new() },
        expect_body: own.expect_body.over(&base.expect_body).value().cloned(),
        instance,
        timeout,
        connect_timeout,
        ca_file: ca_file.filter(|_| is_tls),
        insecure: is_tls && file.target.value().is_some_and(|target| target.insecure.or_default()),
        // A cohort that goes elsewhere does not go through the front.
        front: own.url.is_absent()
            && !says_where(own)
            && file.target.value().is_some_and(|target| target.front.or_default()),
    })
}

/// The target of a `request` step: that of the scenario, at another path. None if that cannot be said, which was noted.
pub(super) fn of_request(
    file: &File,
    request: &file::steps::Request,
    key: Place,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<Target> {
    if file.target.value().is_none_or(|target| target.request.url.is_absent()) {
        if !file.target.is_wrong() {
            mistakes
                .add(key, "`request` without a URL in [target]")
                .help("add url = \"http://127.0.0.1:8000/\" to [target]: the request goes there, to its own path");
        }
        return None;
    }
    let target = resolve(file, None, directory, mistakes)?;
    if !target.scheme.speaks_http() {
        let scheme = target.url.split(':').next().unwrap_or_default();
        mistakes
            .add(key, format!("`request` with a {scheme} target"))
            .help("it asks for a path: use an http URL, or leave the step out");
        return None;
    }
    let path = request.path.or_default();
    if target.protocol == Protocol::Grpc {
        grpc::check_path(request.path.given().map_or(key, |path| path.place), &path, mistakes);
    }
    // The URL of a target with several requests has no path.
    let (own_path, method, body) = if target.requests.is_empty() {
        (target.path.as_str(), target.method.clone(), target.body.clone())
    } else {
        ("/", "GET".to_owned(), Vec::new())
    };
    let origin = target.url.strip_suffix(own_path).unwrap_or(&target.url);
    Some(Target { url: format!("{origin}{path}"), path, method, body, requests: Vec::new(), ..target })
}

fn url<'a>(file: &File, own: &'a Request, base: &'a Request, mistakes: &mut Mistakes) -> Option<&'a Given<Url>> {
    let field = own.url.over(&base.url);
    if field.is_absent() && !file.target.is_wrong() {
        let place = file.target.given().map_or(Place::ROOT, |target| target.place);
        mistakes
            .add(place, "there is no URL to send requests to")
            .help("add url = \"http://127.0.0.1:8000/\" to [target]");
    }
    field.given()
}

/// Bytes have no protocol: a tcp cohort of an HTTP/2 scenario is not its fault.
fn protocol(file: &File, url: &Url, mistakes: &mut Mistakes) -> Protocol {
    let Some(target) = file.target.value() else { return Protocol::default() };
    let is_bytes = |url: &&Url| !url.scheme.speaks_http();
    if let (Some(place), Some(url)) = (target.protocol.key(), target.request.url.value().filter(is_bytes)) {
        let scheme = url.scheme_name();
        mistakes.add(place, format!("`protocol` with a {scheme} target")).help(format!(
            "over {scheme}, `body` is sent and `expect_body` judges what comes back; leave it out, or use an http URL",
        ));
    }
    if is_bytes(&url) { Protocol::default() } else { target.protocol.or_default() }
}

/// Where answers name their instance. A cohort that cannot have it so is not asked, unless the target is the same.
fn instance(file: &File, method: &str, url: &Url, mistakes: &mut Mistakes) -> Option<InstanceSource> {
    let target = file.target.value()?;
    let given = target.instance.given()?;
    let scheme = url.scheme_name();
    let (why, help) = match &given.value {
        _ if url.scheme == Scheme::Fifo => {
            ("`instance` with a fifo target".to_owned(), "nothing comes back from a FIFO: leave it out".to_owned())
        }
        InstanceSource::Header(_) if !url.scheme.speaks_http() => (
            format!("`instance` by a header with a {scheme} target"),
            format!("over {scheme} there are no headers: use \"body:REGEX\""),
        ),
        InstanceSource::Body(_) if method == "HEAD" => (
            "`instance` by the body with the method HEAD, whose answers have no body".to_owned(),
            "use GET, or \"header:NAME\"".to_owned(),
        ),
        source => return Some(source.clone()),
    };
    let is_own = target.request.url.value().is_some_and(|own| own.text == url.text);
    let is_of_target = match &given.value {
        InstanceSource::Body(_) if url.scheme.speaks_http() => target.request.method.or_default() == "HEAD",
        InstanceSource::Header(_) | InstanceSource::Body(_) => is_own,
    };
    if is_of_target {
        mistakes.add(given.place, why).help(help);
    }
    None
}

/// Whether a request goes elsewhere than to the host of its URL.
fn says_where(request: &Request) -> bool {
    !request.unix.is_absent() || !request.connect_to.is_absent()
}

fn destination(url: &Given<Url>, place: &Request, mistakes: &mut Mistakes) -> Option<Destination> {
    if let (Some(unix), Some(connect_to)) = (place.unix.key(), place.connect_to.key()) {
        mistakes
            .add(connect_to, "`connect_to` together with `unix`")
            .help("keep one of the two")
            .and(unix, "the socket to connect to already");
    }
    if let Some(socket) = &url.value.socket {
        for (key, given) in [("unix", place.unix.key()), ("connect_to", place.connect_to.key())] {
            let Some(given) = given else { continue };
            mistakes
                .add(given, format!("`{key}` with a {} target", url.value.scheme_name()))
                .help("its URL names the socket to connect to: leave it out");
        }
        return Some(of_socket(&url.value, socket.clone()));
    }
    let is_udp = url.value.scheme == Scheme::Message;
    if let (true, Some(given)) = (is_udp, place.unix.key()) {
        mistakes
            .add(given, "`unix` with a udp target")
            .help("write the URL of the socket instead: \"unix-dgram:/run/app/app.sock\"");
    }
    if let Some(path) = place.unix.value() {
        return Some(Destination::Unix(path.clone()));
    }
    if let Some(destination) = place.connect_to.value() {
        return Some(if is_udp { over_udp(destination.clone()) } else { destination.clone() });
    }
    if place.unix.is_wrong() || place.connect_to.is_wrong() {
        return None;
    }
    let port = url.value.effective_port();
    if port.is_none() {
        mistakes.add(url.place, format!("a {} URL has no port of its own", url.value.scheme_name())).help(if is_udp {
            format!("write \"{}:PORT\"", url.value.text)
        } else {
            format!("write \"{}:PORT\", or `unix` for a socket in the file system", url.value.text)
        });
    }
    let destination = Destination::Host { host: url.value.host.clone(), port: port? };
    Some(if is_udp { over_udp(destination) } else { destination })
}

fn over_udp(destination: Destination) -> Destination {
    match destination {
        Destination::Host { host, port } => Destination::Udp { host, port },
        other => other,
    }
}

/// Where a URL leads that names a socket of this machine.
fn of_socket(url: &Url, socket: PathBuf) -> Destination {
    match url.scheme_name() {
        "unix-dgram" => Destination::UnixDgram(socket),
        "unix-seqpacket" => Destination::UnixSeqpacket(socket),
        "fifo" => Destination::Fifo(socket),
        _ => Destination::Unix(socket),
    }
}

/// Headers as given, with the URL's credentials unless they have an Authorization; a Host among them is taken out,
/// since it is the authority.
pub(super) fn headers(url: Option<&Url>, given: &Field<Vec<Header>>) -> (Vec<(String, String)>, Option<String>) {
    let given = given.value().map_or(&[][..], Vec::as_slice);
    let is = |name: &'static str| move |header: &&Header| header.name.eq_ignore_ascii_case(name);
    let host = given.iter().find(is("host")).map(|header| header.value.value.clone());
    let others = given.iter().filter(|header| !is("host")(header));
    let mut headers: Vec<_> = others.map(|header| (header.name.clone(), header.value.value.clone())).collect();
    let credentials = url.and_then(|url| url.authorization.as_ref());
    if let (Some(credentials), None) = (credentials, given.iter().find(is("authorization"))) {
        headers.push(("Authorization".to_owned(), credentials.clone()));
    }
    (headers, host)
}

fn statuses(own: &Request, base: &Request) -> Vec<StatusPattern> {
    own.expect_status.over(&base.expect_status).or_default().into_iter().map(|pattern| pattern.value).collect()
}

/// What only HTTP has cannot be said of a target that speaks bytes. What a cohort of its own URL inherits is not its fault.
fn check_bytes(scheme: &str, own: &Request, base: &Request, load: Option<&Load>, mistakes: &mut Mistakes) {
    let keys = |request: &Request| {
        [
            ("method", request.method.key()),
            ("headers", request.headers.key()),
            ("expect_status", request.expect_status.key()),
            ("expect_grpc_status", request.expect_grpc_status.key()),
        ]
    };
    let inherited = own.url.is_absent().then(|| keys(base)).into_iter().flatten();
    let path = ("path", load.and_then(|load| load.path.key()));
    for (key, place) in keys(own).into_iter().chain(inherited).chain([path]) {
        let Some(place) = place else { continue };
        mistakes
            .add(place, format!("`{key}` with a {scheme} target"))
            .help(format!("over {scheme}, `body` is sent and `expect_body` judges what comes back; leave it out"));
    }
}

fn check_head(method: &str, expect_body: &Field<String>, mistakes: &mut Mistakes) {
    if let ("HEAD", Some(place)) = (method, expect_body.key()) {
        mistakes
            .add(place, "`expect_body` with the method HEAD, whose answers have no body")
            .help("use GET, or leave `expect_body` out");
    }
}

fn timeouts(file: &File, mistakes: &mut Mistakes) -> (Duration, Duration) {
    let target = file.target.or_default();
    let timeout = target.timeout.or_default();
    let connect_timeout = target.connect_timeout.or(timeout);
    if let (false, Some(given)) = (connect_timeout <= timeout, target.connect_timeout.given()) {
        mistakes
            .add(given.place, "`connect_timeout` is longer than `timeout`")
            .help("both count from the due time: the connection is a part of the whole");
    }
    (timeout, connect_timeout)
}

/// The first body that is given: a cohort's own, else the target's. A file that cannot be read stands for an empty one.
pub(super) fn body<'a>(
    given: impl IntoIterator<Item = (&'a Field<String>, &'a Field<PathBuf>)>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Vec<u8> {
    for (body, body_file) in given {
        if let (Some(body), Some(file)) = (body.key(), body_file.key()) {
            mistakes
                .add(file, "`body_file` together with `body`")
                .help("keep one of the two")
                .and(body, "the body already");
        }
        if let Some(text) = body.value() {
            return text.clone().into_bytes();
        }
        if let Some(given) = body_file.given() {
            return read(given, directory, LARGEST_BODY_BYTES, mistakes).unwrap_or_default();
        }
    }
    Vec::new()
}

fn ca_file(file: &File, directory: &Path, mistakes: &mut Mistakes) -> Option<PathBuf> {
    const LARGEST_BYTES: u64 = 16 << 20;
    let file::Target { ca_file, .. } = file.target.value()?;
    let given = ca_file.given()?;
    let bytes = read(given, directory, LARGEST_BYTES, mistakes)?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if !bytes.windows(begin.len()).any(|window| window == begin) {
        mistakes
            .add(given.place, "there is no certificate in this file")
            .help("`ca_file` is a PEM file with CA certificates");
    }
    Some(directory.join(&given.value))
}

/// Reads the file that a key names, noting why it cannot be.
fn read(given: &Given<PathBuf>, directory: &Path, limit_bytes: u64, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let path = directory.join(&given.value);
    read_file(&path, limit_bytes).map_err(|error| cannot_read(given.place, &given.value, &error, mistakes)).ok()
}

/// Reads a regular file of at most `limit_bytes`.
pub(super) fn read_file(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > limit_bytes {
        return Err(io::Error::other(format!("it is larger than {limit_bytes} bytes")));
    }
    fs::read(path)
}

/// Notes that a file of the scenario cannot be read.
pub(super) fn cannot_read(place: Place, path: &Path, error: &io::Error, mistakes: &mut Mistakes) {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    mistakes
        .add(place, format!("cannot read {}: {why}", path.display()))
        .help("a relative path counts from the folder of the scenario");
}
