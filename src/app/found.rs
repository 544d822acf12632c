//! What a unit that is there serves: where, what it answers, and how much it bears. `init` and `try` plan from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use super::adopt::{Adopted, Asking, Candidate};
use super::hear::Said;
use super::request::{self, Bears, CONNECTIONS};
use super::targets;
use crate::check::Facts;
use crate::check::facts::{Machine, SocketFacts};
use crate::cli::RequestArgs;
use crate::host::machine;
use crate::model::address::Listener;
use crate::model::{Endpoint, UnitName};
use crate::scenario;
use crate::scenario::draft::{DraftLoad, TargetKeys};
use crate::scenario::duration;
use crate::scenario::plan::Protocol;

/// A service, or a socket, and how to load it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The service; none where a socket starts one for each connection.
    pub(super) service: Option<UnitName>,
    /// The socket in front of it.
    pub(super) socket: Option<UnitName>,
    /// The keys of `[target]`.
    pub(super) target: TargetKeys,
    /// Why this target.
    pub(super) reason: String,
    /// How it is loaded.
    pub(super) loads: Vec<DraftLoad>,
    /// How many connections or datagrams wait at most, if there is a socket and this is known.
    pub(super) backlog: Option<u32>,
    /// What limits a run, one sentence each.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// Looks at the facts, and asks the service as it will be loaded: at `url`, or for a path that it answers.
    ///
    /// # Errors
    /// When nothing is found that answers as a healthy service does: what was asked, and what came back.
    pub(super) fn of(facts: &Facts, url: Option<&str>, asking: Asking<'_>) -> Result<Self, String> {
        let socket = facts.socket.as_ref();
        let mut found = Self {
            service: facts.service.as_ref().map(|service| service.source.name.clone()),
            socket: socket.map(|socket| socket.source.name.clone()),
            target: TargetKeys::new(),
            reason: String::new(),
            loads: Vec::new(),
            backlog: socket.and_then(|socket| queue_length(socket, facts.machine)),
            notes: notes(facts),
        };
        let unit = found.service.as_ref().or(found.socket.as_ref()).map(ToString::to_string).unwrap_or_default();
        let candidates: Vec<Candidate> = match (url, &asking.request.unix) {
            (Some(url), _) => vec![asking.ask_url(url)],
            (None, Some(path)) => vec![asking.ask(&Endpoint::Unix(PathBuf::from(path)))],
            (None, None) => {
                let endpoints = endpoints(facts, asking.there);
                if let (true, Some(ip)) = (endpoints.is_empty(), asking.there) {
                    return Err(nowhere_from_here(&unit, facts, ip));
                }
                if endpoints.is_empty() {
                    return Err(nowhere(&unit, facts));
                }
                found.notes.extend(perhaps_clients(&unit, facts, &endpoints));
                asking.ask_each(&endpoints)
            }
        };
        found.choose(&unit, &candidates, asking)?;
        Ok(found)
    }

    /// The same, with the requests of `--requests` in the place of the one that was asked.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn with_requests(mut self, request: &RequestArgs) -> Result<Self, String> {
        let Some(file) = &request.requests else { return Ok(self) };
        let url = self.target_text("url").unwrap_or_default().to_owned();
        let requests = targets::read(file, &url)?;
        self.target.retain(|(key, _)| *key != "method");
        if let Some((_, value)) = self.target.iter_mut().find(|(key, _)| *key == "url") {
            *value = Value::from(targets::origin(&url));
        }
        self.target.push(("requests", requests));
        Ok(self)
    }

    /// The value of a key of the target.
    pub(super) fn target_text(&self, key: &str) -> Option<&str> {
        self.target.iter().find(|(known, _)| *known == key).and_then(|(_, value)| value.as_str())
    }

    /// The URL and the status that were chosen, and why.
    pub(super) fn chosen(&self) -> String {
        let is_status = |key: &str| matches!(key, "expect_status" | "expect_grpc_status");
        let statuses = self.target.iter().find(|(key, _)| is_status(key)).and_then(|(_, value)| value.as_array());
        let statuses: Vec<&str> = statuses.into_iter().flatten().filter_map(Value::as_str).collect();
        let status = if statuses.is_empty() { String::new() } else { format!(", expecting {}", statuses.join(", ")) };
        let unix = self.target_text("unix").map(|path| format!(" through {path}")).unwrap_or_default();
        format!("loading {}{unix}{status}: {}", self.target_text("url").unwrap_or_default(), self.reason)
    }

    /// What the service bears of the usual load: what comes within a second fits into the queue twice.
    fn bears(&self) -> Bears {
        let Some(backlog) = self.backlog else { return Bears::USUAL };
        Bears { new_per_second: (f64::from(backlog) / 2.0).max(1.0), connections: backlog.clamp(1, CONNECTIONS) }
    }

    fn choose(&mut self, unit: &str, candidates: &[Candidate], asking: Asking<'_>) -> Result<(), String> {
        let is_path = |candidate: &&Candidate| matches!(candidate.adopted, Adopted::Path(_));
        let is_bytes = |candidate: &&Candidate| matches!(candidate.adopted, Adopted::Bytes { .. });
        let none_is_broken = candidates.iter().all(|candidate| !matches!(candidate.adopted, Adopted::Nothing));
        let bytes = || candidates.iter().find(is_bytes).filter(|_| none_is_broken || asking.is_bytes());
        let Some(taken) = candidates.iter().find(is_path).or_else(bytes) else {
            return Err(nothing_to_adopt(unit, candidates, asking.request));
        };
        self.take(taken, asking.request);
        let others = candidates.iter().filter(|candidate| candidate.place != taken.place);
        let others: Vec<String> = others.map(|other| format!("{}: {}", other.place, other.told)).collect();
        if !others.is_empty() {
            let others = others.join("; ");
            self.notes.push(format!("{unit} listens elsewhere as well ({others}): pass --url to load that."));
        }
        Ok(())
    }

    fn take(&mut self, candidate: &Candidate, args: &RequestArgs) {
        self.reason = format!("{}: {}.", candidate.place, candidate.told);
        let speaks_http = matches!(candidate.adopted, Adopted::Path(_));
        let mut keys = TargetKeys::new();
        let mut more = TargetKeys::new();
        match &candidate.adopted {
            Adopted::Path(asked) => {
                keys.extend(asked.keys.iter().cloned());
                if let Some(why) = &asked.certificate {
                    self.reason = format!(
                        "{} Its certificate is not trusted ({why}) and not checked: pass --ca-file.",
                        self.reason
                    );
                    if !args.insecure {
                        more.push(("insecure", Value::from(true)));
                    }
                }
                if let (Said::Status(status), true) = (asked.said, args.expect_status.is_empty()) {
                    let class = if (200..300).contains(&status) { "2xx".to_owned() } else { status.to_string() };
                    more.push(("expect_status", Value::from(vec![class])));
                }
                if let (Said::Call(status), true) = (asked.said, args.expect_grpc_status.is_empty()) {
                    more.push(("expect_grpc_status", Value::from(vec![status.to_string()])));
                }
            }
            Adopted::Bytes { keys: place, greeting } => {
                keys.extend(place.iter().cloned());
                // A close alone does not show that a greeting was whole.
                if greeting.is_some() {
                    more.push(("expect_body", Value::from(".")));
                    self.reason = format!(
                        "{} does not answer in HTTP, but greets: its first byte is the answer.",
                        candidate.place
                    );
                }
            }
            Adopted::Nothing | Adopted::Unasked => {}
        }
        let is_https = keys.iter().any(|(_, value)| value.as_str().is_some_and(|url| url.starts_with("https:")));
        keys.extend(request::target_keys(args, speaks_http));
        keys.retain(|(key, _)| is_https || !matches!(*key, "ca_file" | "insecure"));
        keys.extend(more);
        if args.timeout.is_none() {
            keys.push(("timeout", Value::from("10s")));
        }
        self.loads = request::loads(&args.load, speaks_http, self.bears());
        self.target = keys;
    }
}

/// Why there is nowhere to ask.
fn nowhere(unit: &str, facts: &Facts) -> String {
    if let Some((setting, line)) = facts.socket.iter().flat_map(|socket| &socket.unit.unspoken).next() {
        return format!(
            "{unit} listens with {setting} (line {line}), which gapless has no target for: pass --url of an address where \
             clients reach the service, or use `gapless watch URL -- systemctl restart UNIT`"
        );
    }
    let runs = facts.service.as_ref().and_then(|service| service.live.as_ref()).is_some();
    if runs && !machine::is_root() {
        return format!(
            "cannot see who listens for {unit}: its processes belong to another user; run as root, or pass --url"
        );
    }
    format!("no process listens for {unit}: start it, or pass --url")
}

/// What was asked, what came back, and what helps.
fn nothing_to_adopt(unit: &str, candidates: &[Candidate], request: &RequestArgs) -> String {
    let told: Vec<String> =
        candidates.iter().map(|candidate| format!("  {}: {}", candidate.place, candidate.told)).collect();
    let told = told.join("\n");
    if candidates.iter().all(|candidate| matches!(candidate.adopted, Adopted::Unasked)) {
        return format!("{unit} takes messages and was sent none, since any message may be an order\n{told}");
    }
    if candidates.iter().all(|candidate| scenario::sends_messages(&candidate.place)) {
        return format!(
            "{unit} gave no answer to --body that shows it is healthy\n{told}\nIf it is healthy, pass a --body that it \
             understands, and --expect-body REGEX for its answer; of a receiver that never answers, its own count alone tells \
             what it took"
        );
    }
    let (healthy, help) = match request.protocol {
        Some(Protocol::Grpc) => (
            "OK",
            "pass --url http://HOST:PORT/package.Service/Method of a method that answers so, --body-file with its message, \
             --header for what it asks of its clients, or --expect-grpc-status STATUS",
        ),
        Some(Protocol::Http1 | Protocol::Http2) => (
            "2xx or 3xx",
            "pass --url URL of a path that answers so, --header for what it asks of its clients, or --expect-status STATUS; \
             or --protocol for what it speaks",
        ),
        None => (
            "2xx or 3xx",
            "pass --url URL of a path that answers so, --header for what it asks of its clients, or --expect-status STATUS; \
             for a service of HTTP/2 alone, --protocol http2 or grpc; for a service that does not speak HTTP: --body TEXT \
             --expect-body REGEX, such as --body $'PING\\r\\n' --expect-body PONG",
        ),
    };
    format!("{unit} answers nothing that shows it is healthy ({healthy})\n{told}\nIf it is healthy, {help}")
}

/// Where clients reach it: the socket's addresses, else what its processes listen at.
fn endpoints(facts: &Facts, there: Option<IpAddr>) -> Vec<Endpoint> {
    if let Some(ip) = there {
        return listened(facts).into_iter().filter_map(|endpoint| reachable_at(&endpoint, ip)).collect();
    }
    let socket = facts.socket.as_ref().and_then(|socket| socket.live.as_ref());
    let of_socket = socket.into_iter().flat_map(|live| &live.addresses).filter(|address| !address.listeners.is_empty());
    let of_socket: Vec<_> = of_socket.map(|address| address.endpoint.clone()).collect();
    let listened = if of_socket.is_empty() { of_processes(facts) } else { of_socket };
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for endpoint in listened.into_iter().flat_map(reachable) {
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    endpoints
}

/// Where a service of another machine listens, by its socket, else by its processes.
fn listened(facts: &Facts) -> Vec<Endpoint> {
    let socket = facts.socket.as_ref().and_then(|socket| socket.live.as_ref());
    let of_socket: Vec<Endpoint> = socket.map(|live| live.unseen_addresses.clone()).unwrap_or_default();
    if of_socket.is_empty() { of_processes(facts) } else { of_socket }
}

/// Where the processes of the service listen and take messages. A UDP port that the kernel may have chosen counts where
/// there is nothing else.
fn of_processes(facts: &Facts) -> Vec<Endpoint> {
    let Some(live) = facts.service.as_ref().and_then(|service| service.live.as_ref()) else { return Vec::new() };
    let own: Vec<Endpoint> = live.listens_at.iter().chain(&live.receives_at).cloned().collect();
    if own.is_empty() { live.may_receive_at.clone() } else { own }
}

/// What is said of the UDP ports that are not taken for those of the service.
fn perhaps_clients(unit: &str, facts: &Facts, endpoints: &[Endpoint]) -> Option<String> {
    let live = facts.service.as_ref()?.live.as_ref()?;
    let others = live.may_receive_at.iter().filter(|other| !endpoints.iter().any(|endpoint| other.takes(endpoint)));
    let others: Vec<String> = others.map(ToString::to_string).collect();
    (!others.is_empty()).then(|| {
        format!(
            "{unit} has {} as well, whose port the kernel may have chosen, as for a client (net.ipv4.ip_local_port_range): \
             pass --url to load that.",
            others.join(", ")
        )
    })
}

/// Where a listener of another machine, reached at `ip`, is reached from here; none where it is not.
fn reachable_at(endpoint: &Endpoint, ip: IpAddr) -> Option<Endpoint> {
    let of_kind = if matches!(endpoint, Endpoint::Udp(_)) { Endpoint::Udp } else { Endpoint::Tcp };
    let address = endpoint.ip()?;
    match address.ip() {
        // One of IPv6 takes IPv4 as well, unless it says otherwise.
        all if all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4()) => {
            Some(of_kind(SocketAddr::new(ip, address.port())))
        }
        own if own.is_loopback() || own.is_unspecified() => None,
        _ => Some(endpoint.clone()),
    }
}

/// Why nothing of another machine can be asked.
fn nowhere_from_here(unit: &str, facts: &Facts, ip: IpAddr) -> String {
    let listened: Vec<String> = listened(facts).iter().map(ToString::to_string).collect();
    if listened.is_empty() {
        return format!("no process is seen to listen for {unit}: start it, log in as root, or pass --url");
    }
    format!(
        "{unit} listens at {}, which is not reached from here by {ip}: pass --url of an address where clients reach it, such \
         as that of a proxy in front, with --front",
        listened.join(", ")
    )
}

/// A listener on all addresses is reached by loopback.
fn reachable(endpoint: Endpoint) -> Vec<Endpoint> {
    let of_kind = if matches!(endpoint, Endpoint::Udp(_)) { Endpoint::Udp } else { Endpoint::Tcp };
    let at = |ip: IpAddr, port| of_kind(SocketAddr::new(ip, port));
    match endpoint.ip().filter(|address| address.ip().is_unspecified()) {
        Some(address) => {
            let v4 = at(Ipv4Addr::LOCALHOST.into(), address.port());
            let v6 = at(Ipv6Addr::LOCALHOST.into(), address.port());
            if address.is_ipv4() { vec![v4] } else { vec![v4, v6] }
        }
        None => vec![endpoint],
    }
}

/// What the kernel has where the socket takes messages.
fn receiver(socket: &SocketFacts) -> Option<&Listener> {
    let held = socket.live.iter().flat_map(|live| &live.addresses).flat_map(|address| &address.listeners);
    held.map(|held| &held.listener).find(|listener| !listener.endpoint.takes_connections())
}

fn queue_length(socket: &SocketFacts, machine: Machine) -> Option<u32> {
    if socket.takes_connections() {
        return Some(socket.effective_backlog(machine));
    }
    receiver(socket).filter(|listener| matches!(listener.endpoint, Endpoint::UnixDgram(_))).map(|it| it.backlog)
}

/// What becomes of requests while the service is down.
fn waiting(socket: &SocketFacts, machine: Machine) -> Option<String> {
    if socket.takes_connections() {
        let fits = u64::from(socket.effective_backlog(machine)) + 1;
        return Some(format!("While the service is down, {fits} connections wait in the queue."));
    }
    let Listener { endpoint, backlog, .. } = receiver(socket)?;
    Some(match endpoint {
        Endpoint::Udp(_) => format!(
            "While the service is down, datagrams wait in a receive buffer of {backlog} bytes (ReceiveBuffer=), and the \
             kernel drops those that do not fit."
        ),
        Endpoint::UnixDgram(_) => format!(
            "While the service is down, {} datagrams wait (net.unix.max_dgram_qlen); senders of more get EAGAIN, or wait.",
            u64::from(*backlog) + 1
        ),
        _ => "While the service is down, messages wait in the FIFO until it is full (PipeSize=).".to_owned(),
    })
}

fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((burst, interval)) = facts.service.as_ref().and_then(|service| service.unit.unit.start_limit) {
        let interval = duration::format(interval);
        notes.push(format!(
            "systemd allows {burst} starts in {interval}: the run spaces its own so as not to reach that."
        ));
    }
    if let Some(socket) = &facts.socket {
        notes.extend(waiting(socket, facts.machine));
    }
    if let Some(service) = &facts.service
        && let crate::unit_file::TimeSpan::Finite(limit) = service.unit.timeout_stop
        && limit > Duration::ZERO
    {
        notes.push(format!("A stop that takes longer than {} ends in SIGKILL.", duration::format(limit)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let shown = |text: &str| {
            let reached = reachable(Endpoint::Tcp(text.parse().unwrap()));
            reached.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown("0.0.0.0:80"), ["127.0.0.1:80"]);
        assert_eq!(shown("[::]:80"), ["127.0.0.1:80", "[::1]:80"]);
        assert_eq!(shown("192.0.2.1:80"), ["192.0.2.1:80"]);
    }
}
