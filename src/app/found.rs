//! What a unit that is there serves: where, what it answers, and how much it bears. `init` and `try` plan from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::adopt::{Adopted, Candidate};
use crate::check::Facts;
use crate::cli::SaidArgs;
use crate::host::answer::Way;
use crate::model::{Endpoint, UnitName};
use crate::scenario::duration;

/// The usual load: requests per second on kept connections and on new ones.
const RATES: (f64, f64) = (200.0, 50.0);

/// A service, or a socket, and how to load it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The service; none where a socket starts one for each connection.
    pub(super) service: Option<UnitName>,
    /// The socket in front of it.
    pub(super) socket: Option<UnitName>,
    /// What to load.
    pub(super) url: String,
    /// The Unix socket behind the URL.
    pub(super) unix: Option<PathBuf>,
    /// Why this URL.
    pub(super) reason: String,
    /// Statuses to expect; none where it does not speak HTTP.
    pub(super) expect_status: Vec<String>,
    /// It speaks TLS, with a certificate that nobody has vouched for.
    pub(super) insecure: bool,
    /// What is sent, and what must come back.
    pub(super) said: SaidArgs,
    /// The length of the accept queue, if there is a socket.
    pub(super) backlog: Option<u32>,
    /// What limits a run, one sentence each.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// Looks at the facts, and asks the service for a path that it answers unless `url` is given.
    ///
    /// # Errors
    /// When nothing is found that answers as a healthy service does: what was asked, and what came back.
    pub(super) fn of(facts: &Facts, url: Option<&str>, said: &SaidArgs) -> Result<Self, String> {
        let socket = facts.socket.as_ref();
        let mut found = Self {
            service: facts.service.as_ref().map(|service| service.source.name.clone()),
            socket: socket.map(|socket| socket.source.name.clone()),
            url: url.unwrap_or_default().to_owned(),
            unix: None,
            reason: "As it was given.".to_owned(),
            expect_status: expected(url, said),
            insecure: false,
            said: said.clone(),
            backlog: socket.map(|socket| socket.effective_backlog(facts.machine)),
            notes: notes(facts),
        };
        if url.is_none() {
            found.find_url(facts)?;
        }
        Ok(found)
    }

    /// Requests per second on kept connections and on new ones: what comes within a second fits into the queue twice.
    pub(super) fn rates(&self) -> (f64, f64) {
        let bearable = self.backlog.map_or(f64::INFINITY, |backlog| (f64::from(backlog) / 2.0).max(1.0));
        (RATES.0, RATES.1.min(bearable))
    }

    /// The URL and the status that were chosen, and why.
    pub(super) fn chosen(&self) -> String {
        let status = match self.expect_status.as_slice() {
            [] => String::new(),
            statuses => format!(", expecting {}", statuses.join(", ")),
        };
        let unix = self.unix.as_ref().map(|path| format!(" through {}", path.display())).unwrap_or_default();
        format!("loading {}{unix}{status}: {}", self.url, self.reason)
    }

    /// How many connections are kept.
    pub(super) fn connections(&self) -> u32 {
        self.backlog.unwrap_or(u32::MAX).clamp(1, 16)
    }

    fn find_url(&mut self, facts: &Facts) -> Result<(), String> {
        let endpoints = endpoints(facts);
        let unit = self.service.as_ref().or(self.socket.as_ref()).map(ToString::to_string).unwrap_or_default();
        if endpoints.is_empty() {
            return Err(format!("nobody listens for {unit}: start it, or pass --url"));
        }
        let candidates: Vec<Candidate> =
            endpoints.into_iter().map(|endpoint| Candidate::ask(endpoint, &self.said)).collect();
        let is_path = |candidate: &&Candidate| matches!(candidate.adopted, Adopted::Path { .. });
        let is_bytes = |candidate: &&Candidate| matches!(candidate.adopted, Adopted::Bytes(_));
        let none_is_broken = candidates.iter().all(|candidate| !matches!(candidate.adopted, Adopted::Nothing));
        let bytes = || candidates.iter().find(is_bytes).filter(|_| none_is_broken || self.said.body.is_some());
        let Some(taken) = candidates.iter().find(is_path).or_else(bytes) else {
            return Err(nothing_to_adopt(&unit, &candidates));
        };
        let others = candidates.iter().filter(|candidate| candidate.endpoint != taken.endpoint);
        let others: Vec<String> = others.map(|other| format!("{}: {}", other.endpoint, other.told)).collect();
        self.take(taken);
        if !others.is_empty() {
            self.notes
                .push(format!("{unit} listens elsewhere as well ({}): pass --url to load that.", others.join("; ")));
        }
        Ok(())
    }

    fn take(&mut self, candidate: &Candidate) {
        let endpoint = &candidate.endpoint;
        let authority = match endpoint {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => {
                self.unix = Some(path.clone());
                "localhost".to_owned()
            }
        };
        self.reason = format!("{endpoint}: {}.", candidate.told);
        match &candidate.adopted {
            Adopted::Path { way, path, status } => {
                self.url = format!("{}://{authority}{path}", way.scheme());
                self.insecure = *way == Way::Https;
                let class = if (200..300).contains(status) { "2xx".to_owned() } else { status.to_string() };
                let is_said = !self.said.expect_status.is_empty();
                self.expect_status = if is_said { self.said.expect_status.clone() } else { vec![class] };
            }
            Adopted::Bytes(greeting) => {
                let port = if self.unix.is_some() { ":1" } else { "" };
                self.url = format!("tcp://{authority}{port}");
                self.expect_status = Vec::new();
                // A close alone does not show that a greeting was whole.
                if greeting.is_some() {
                    self.said.expect_body = Some(".".to_owned());
                    self.reason =
                        format!("{endpoint} does not answer in HTTP, but greets: its first byte is the answer.");
                }
            }
            Adopted::Nothing => {}
        }
    }
}

/// What was asked, what came back, and what helps.
fn nothing_to_adopt(unit: &str, candidates: &[Candidate]) -> String {
    let told: Vec<String> =
        candidates.iter().map(|candidate| format!("  {}: {}", candidate.endpoint, candidate.told)).collect();
    format!(
        "{unit} answers nothing that shows it is healthy (2xx or 3xx)\n{}\nIf it is healthy, pass --url URL of a path that \
         answers so, or --expect-status STATUS; for a service that does not speak HTTP: --body TEXT --expect-body REGEX, \
         such as --body $'PING\\r\\n' --expect-body PONG",
        told.join("\n")
    )
}

/// What is expected of a URL that was given.
fn expected(url: Option<&str>, said: &SaidArgs) -> Vec<String> {
    if url.is_some_and(|url| url.starts_with("tcp:")) {
        return Vec::new();
    }
    if said.expect_status.is_empty() { vec!["2xx".to_owned()] } else { said.expect_status.clone() }
}

/// Where clients reach it: the socket's addresses, else what its processes listen at.
fn endpoints(facts: &Facts) -> Vec<Endpoint> {
    let socket = facts.socket.as_ref().and_then(|socket| socket.live.as_ref());
    let of_socket = socket.into_iter().flat_map(|live| &live.addresses).filter(|address| !address.listeners.is_empty());
    let mut endpoints: Vec<_> = of_socket.map(|address| address.endpoint.clone()).collect();
    if endpoints.is_empty() {
        let service = facts.service.as_ref().and_then(|service| service.live.as_ref());
        endpoints.extend(service.into_iter().flat_map(|live| live.listens_at.clone()));
    }
    endpoints.into_iter().flat_map(reachable).collect()
}

/// A listener on all addresses is reached by loopback.
fn reachable(endpoint: Endpoint) -> Vec<Endpoint> {
    let at = |ip: IpAddr, port| Endpoint::Tcp(SocketAddr::new(ip, port));
    match endpoint {
        Endpoint::Tcp(address) if address.ip().is_unspecified() => {
            let v4 = at(Ipv4Addr::LOCALHOST.into(), address.port());
            let v6 = at(Ipv6Addr::LOCALHOST.into(), address.port());
            if address.is_ipv4() { vec![v4] } else { vec![v4, v6] }
        }
        other => vec![other],
    }
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
        let backlog = socket.effective_backlog(facts.machine);
        notes.push(format!("While the service is down, {} connections wait in the queue.", u64::from(backlog) + 1));
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

    #[test]
    fn what_comes_while_nobody_accepts_fits_into_the_queue() {
        let mut found = Found::of(&Facts::default(), Some("http://127.0.0.1/"), &SaidArgs::default()).unwrap();
        assert_eq!((found.rates(), found.connections()), (RATES, 16));
        found.backlog = Some(10);
        assert_eq!((found.rates(), found.connections()), ((200.0, 5.0), 10));
    }
}
