//! Where processes of a network without routes tried to go: the kernel's lookups of a route that found none, and connections
//! that were refused. For a twin, whose processes reach nobody but themselves.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::trace;

/// A destination that was tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The name of the thread, which is its program's unless it chose another.
    pub by: String,
    /// Where to.
    pub to: SocketAddr,
    /// `TCP`, `UDP`, or the number of another protocol.
    pub protocol: String,
    /// There was a way, and no process was listening at its end.
    pub was_refused: bool,
}

/// The lookups that find no route: `err` is EAGAIN where no rule has an answer, net/ipv4/fib_trie.c.
const NO_ROUTE: (&str, &str) = ("fib/fib_table_lookup", "err == -11");

/// From TCP_SYN_SENT to TCP_CLOSE, include/net/tcp_states.h: the connection never came about.
const REFUSED: (&str, &str) = ("sock/inet_sock_set_state", "oldstate == 2 && newstate == 7");

/// Traces them until it is dropped. The kernel's trace is one for all networks: a machine that has a route for everything
/// looks none up in vain.
#[derive(Debug)]
pub struct Reach {
    instance: PathBuf,
    _lock: File,
}

impl Reach {
    /// Begins; none where the kernel's trace is unavailable.
    #[must_use]
    pub fn start() -> Option<Self> {
        let (instance, lock) = trace::new_instance(&trace::instances().ok()?).ok()?;
        let reach = Self { instance, _lock: lock };
        for (event, filter) in [NO_ROUTE, REFUSED] {
            fs::write(reach.instance.join(format!("events/{event}/filter")), filter).ok()?;
            fs::write(reach.instance.join(format!("events/{event}/enable")), "1").ok()?;
        }
        Some(reach)
    }

    /// What was tried until now, each once. Of what was tried very often, the kernel keeps the last.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        let trace = fs::read_to_string(self.instance.join("trace")).unwrap_or_default();
        let mut attempts: Vec<Attempt> = trace.lines().filter_map(attempt).collect();
        attempts.sort();
        attempts.dedup();
        attempts
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        // If it is busy, the next run removes it.
        let _ = fs::remove_dir(&self.instance);
    }
}

/// Removes the instances of runs that were killed. They are the machine's, not a twin's.
pub fn sweep() {
    if let Ok(instances) = trace::instances() {
        trace::remove_abandoned(&instances);
    }
}

/// Where the kernel's tracing is to be found.
#[must_use]
pub fn tracing() -> &'static Path {
    Path::new("/sys/kernel/tracing")
}

/// An attempt by the line that the kernel writes of it. A thread may call itself whatever it likes: the last name of an event
/// is the event's.
fn attempt(line: &str) -> Option<Attempt> {
    let no_route = line.rsplit_once(": fib_table_lookup: ");
    let (head, fields) = no_route.or_else(|| line.rsplit_once(": inet_sock_set_state: "))?;
    let by = head.rsplit_once(" [")?.0.trim().rsplit_once('-')?.0.to_owned();
    if no_route.is_some() {
        let (before, after) = fields.split_once(" -> ")?;
        let (ip, port) = after.split(' ').next()?.split_once('/')?;
        let to = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
        let protocol = before.split_once("proto ")?.1.split(' ').next()?;
        let protocol = match protocol {
            "6" => "TCP".to_owned(),
            "17" => "UDP".to_owned(),
            other => format!("protocol {other}"),
        };
        return (to.port() != 0).then_some(Attempt { by, to, protocol, was_refused: false });
    }
    let value = |key: &str| fields.split(' ').find_map(|field| field.strip_prefix(key));
    let ip = value("daddr=").filter(|_| fields.contains("family=AF_INET ")).or_else(|| value("daddrv6="))?;
    let to = SocketAddr::new(ip.parse().ok()?, value("dport=")?.parse().ok()?);
    Some(Attempt { by, to, protocol: "TCP".to_owned(), was_refused: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_from_the_kernels_line() {
        let line = "            bash-19389   [001] .....  3374.481511: fib_table_lookup: table 254 oif 0 iif 1 proto 6 \
                    0.0.0.0/0 -> 10.1.2.3/5432 tos 0 scope 0 flags 8 ==> dev - gw 0.0.0.0/:: err -11";
        let found = attempt(line).expect("an attempt");
        assert_eq!((found.by.as_str(), found.to.to_string().as_str()), ("bash", "10.1.2.3:5432"));
        assert_eq!((found.protocol.as_str(), found.was_refused), ("TCP", false));
        let line = "  my-app: x-7 [000] b.s1. 12.5: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP sport=35956 \
                    dport=6379 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 daddrv6=::ffff:127.0.0.1 \
                    oldstate=TCP_SYN_SENT newstate=TCP_CLOSE";
        let found = attempt(line).expect("an attempt");
        assert_eq!((found.by.as_str(), found.to.to_string().as_str()), ("my-app: x", "127.0.0.1:6379"));
        assert!(found.was_refused);
    }

    #[test]
    fn a_lookup_without_a_port_is_nobodys_attempt() {
        let line =
            "ip-1 [001] ..... 3.4: fib_table_lookup: table 254 oif 0 iif 1 proto 0 0.0.0.0/0 -> 10.1.2.3/0 tos 0";
        assert_eq!(attempt(line), None);
        assert_eq!(attempt("# tracer: nop"), None);
    }
}
