//! Which addresses were tried in a twin and are not there: why a unit fails in a rehearsal that is well on the machine.

use std::collections::BTreeMap;

use crate::host::reach::{Attempt, Reach};
use crate::host::{holder, listener};
use crate::model::Endpoint;

/// The most that reports say.
const MOST: usize = 10;

/// Watches what is tried.
#[derive(Debug)]
pub(crate) struct Tried {
    reach: Option<Reach>,
    /// The TCP ports on which the machine listens, with the processes that do.
    served: BTreeMap<u16, String>,
}

impl Tried {
    /// Begins to watch; `served` is what the machine itself serves.
    pub(super) fn new(served: BTreeMap<u16, String>) -> Self {
        Self { reach: Reach::start(), served }
    }

    /// A sentence for each address.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let attempts = self.reach.as_ref().map(Reach::attempts).unwrap_or_default();
        let mut sentences: Vec<String> =
            attempts.iter().filter_map(|attempt| sentence(attempt, &self.served)).collect();
        sentences.dedup();
        if sentences.len() > MOST {
            let left = sentences.len() - MOST;
            sentences.truncate(MOST);
            sentences.push(format!("In the twin, {left} more addresses were tried and could not be reached."));
        }
        sentences
    }
}

/// A refused connection counts where the machine serves the port: others may have been refused outside of the twin, these
/// cannot.
fn sentence(Attempt { by, to, protocol, was_refused }: &Attempt, served: &BTreeMap<u16, String>) -> Option<String> {
    let by = if by.is_empty() { "a process" } else { by };
    let port = to.port();
    if *was_refused {
        let serves = served.get(&port).filter(|_| to.ip().is_loopback() && !is_ours(by))?;
        return Some(format!(
            "In the twin, {by} tried {to} ({protocol}), where no process is listening; on this machine {serves} is: add its unit \
             with --also."
        ));
    }
    let what = if port == 53 { ", which is a name server: names cannot be resolved" } else { "" };
    Some(format!(
        "In the twin, {by} tried to reach {to} ({protocol}){what}, which is outside: a twin has loopback only."
    ))
}

/// Whether that is a thread of this program: it tries the service itself, also while no process is listening.
fn is_ours(thread: &str) -> bool {
    matches!(thread, "gapless" | "load")
}

/// What this machine serves on TCP, by port.
pub(super) fn served_here() -> BTreeMap<u16, String> {
    let mut holders = holder::of_sockets();
    let mut served = BTreeMap::new();
    for listener in listener::all().unwrap_or_default() {
        if let Endpoint::Tcp(address) = listener.endpoint {
            let names = holders.remove(&listener.inode).unwrap_or_default();
            let name = names.into_iter().map(|holder| holder.name).find(|name| name != "systemd");
            served.entry(address.port()).or_insert(name.unwrap_or_else(|| "a socket unit".to_owned()));
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(to: &str, was_refused: bool) -> Option<String> {
        let served = BTreeMap::from([(5432, "postgres".to_owned())]);
        let attempt = Attempt {
            by: "app".to_owned(),
            to: to.parse().expect("an address"),
            protocol: "TCP".to_owned(),
            was_refused,
        };
        sentence(&attempt, &served)
    }

    #[test]
    fn an_address_outside_is_named_with_who_tried_it() {
        let said = told("10.1.2.3:5432", false).expect("a sentence");
        assert!(said.starts_with("In the twin, app tried to reach 10.1.2.3:5432 (TCP), which is outside"), "{said}");
        assert!(told("10.1.2.3:53", false).expect("a sentence").contains("names cannot be resolved"));
    }

    #[test]
    fn a_refused_connection_counts_only_where_the_machine_itself_serves_the_port() {
        let said = told("127.0.0.1:5432", true).expect("a sentence");
        assert!(said.contains("on this machine postgres is: add its unit with --also"), "{said}");
        assert_eq!(told("127.0.0.1:5433", true), None);
        assert_eq!(told("192.0.2.1:5432", true), None);
        let load = Attempt {
            by: "load".to_owned(),
            to: "127.0.0.1:5432".parse().unwrap(),
            protocol: "TCP".to_owned(),
            was_refused: true,
        };
        assert_eq!(sentence(&load, &BTreeMap::from([(5432, "postgres".to_owned())])), None);
    }
}
