//! Parts of a plan in words.

use super::plan::{Cohort, Connections, Destination, Pace, Step};

/// `127.0.0.1:8010`, or a path.
pub(crate) fn destination(destination: &Destination) -> String {
    match destination {
        Destination::Unix(path) => path.display().to_string(),
        Destination::Host { host, port } => host_and_port(host, *port),
        Destination::Udp { host, port } => format!("udp://{}", host_and_port(host, *port)),
        Destination::UnixDgram(path) => format!("unix-dgram:{}", path.display()),
        Destination::UnixSeqpacket(path) => format!("unix-seqpacket:{}", path.display()),
        Destination::Fifo(path) => format!("fifo:{}", path.display()),
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `200/s, 16 connections`.
pub(crate) fn load(cohort: &Cohort) -> String {
    let pace = match cohort.pace {
        Pace::Rate(rate) => format!("{rate}/s"),
        Pace::Clients(1) => "1 client".to_owned(),
        Pace::Clients(clients) => format!("{clients} clients"),
        Pace::OnDemand => "one after the other".to_owned(),
        Pace::Health { interval, rise, fall } => format!("a check every {interval:?} (rise {rise}, fall {fall})"),
    };
    let connections = match cohort.connections {
        _ if cohort.target.scheme.sends_messages() => "one message each".to_owned(),
        Connections::Reused(1) => "1 connection".to_owned(),
        Connections::Reused(count) => format!("{count} connections"),
        Connections::New => "new connections".to_owned(),
    };
    format!("{pace}, {connections}")
}

/// The method unless it is GET, and the URL with the path that is asked for; with the socket where that is not the URL's
/// own.
pub(crate) fn target(cohort: &Cohort) -> String {
    let target = &cohort.target;
    let method =
        if matches!(target.method.as_str(), "" | "GET") { String::new() } else { format!("{} ", target.method) };
    let authority = target.url.find("://").map_or(0, |scheme| scheme + 3);
    let origin = target.url[authority..].find('/').map_or(target.url.as_str(), |path| &target.url[..authority + path]);
    if !target.requests.is_empty() {
        return format!("{} requests to {origin}", target.requests.len());
    }
    // A tcp URL has no path.
    let path = if target.method.is_empty() { "" } else { &target.path };
    let url = if path == "/" && !target.url.ends_with('/') { origin.to_owned() } else { format!("{origin}{path}") };
    match &target.connect {
        Destination::Unix(_) if target.url.starts_with("unix:") => target.url.clone(),
        Destination::Unix(path) => format!("{method}{url} over {}", path.display()),
        Destination::Host { .. } => format!("{method}{url}"),
        _ => target.url.clone(),
    }
}

/// A number of things: `1 restart`, `5 restarts`.
pub(crate) fn times(count: u32, step: &Step) -> String {
    let name = step.action.kind().name().replace('_', " ");
    match count {
        1 => format!("1 {name}"),
        _ if name.ends_with('s') => format!("{count} runs of {name}"),
        _ => format!("{count} {name}s"),
    }
}
