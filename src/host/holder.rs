//! Who holds descriptors of a socket, from `/proc/PID/fd`, proc(5).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::{listener, process};
use crate::model::{Endpoint, holder};

/// A process that holds a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its PID.
    pub pid: u32,
    /// Its name, at most 15 bytes of it.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}

/// Every open socket by its inode, with its holders by PID. Of processes whose descriptors we may not read nothing
/// is known: without root, those of other users.
#[must_use]
pub fn of_sockets() -> BTreeMap<u64, Vec<Holder>> {
    let mut holders: BTreeMap<u64, Vec<Holder>> = BTreeMap::new();
    for pid in pids() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
        for inode in sockets_of(pid) {
            let known = holders.entry(inode).or_default();
            if known.last().is_none_or(|last| last.pid != pid) {
                known.push(Holder { pid, name: name.clone() });
            }
        }
    }
    holders
}

/// Who holds the listener with that inode at `at`, by PID; with what else those processes do with sockets.
#[must_use]
pub fn of_listener(at: &Endpoint, inode: u64) -> Vec<holder::Holder> {
    let connections = listener::connections(at).unwrap_or_default();
    let listeners = listener::all().unwrap_or_default();
    let holder = |pid: u32| {
        let mut own = held(pid, at);
        own.sort_unstable();
        own.dedup();
        own.binary_search(&inode).ok()?;
        let accepted = own.iter().filter(|own| connections.contains(own)).count();
        let others = listeners.iter().filter(|other| other.inode != inode && own.contains(&other.inode));
        Some(holder::Holder {
            process: process::describe(pid)?,
            accepted: u32::try_from(accepted).unwrap_or(u32::MAX),
            also_listens: others.map(|other| other.endpoint.clone()).collect(),
        })
    };
    pids().into_iter().filter_map(holder).collect()
}

/// Where a process listens.
#[must_use]
pub fn listens(pid: u32) -> Vec<Endpoint> {
    let own = sockets_of(pid);
    let listeners = listener::all().unwrap_or_default();
    listeners.into_iter().filter(|listener| own.contains(&listener.inode)).map(|listener| listener.endpoint).collect()
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The inodes of what a systemd holds of the kind of `endpoint`; none where that process is something else, as one whose
/// PID is of another namespace, or may not be read.
#[must_use]
pub fn held_by_systemd(pid: u32, endpoint: &Endpoint) -> Option<Vec<u64>> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.trim_end() == "systemd" && may_read(pid)).then(|| held(pid, endpoint))
}

/// The inodes of the sockets that a process holds; of a FIFO, its own if the process has it open.
fn held(pid: u32, endpoint: &Endpoint) -> Vec<u64> {
    let Endpoint::Fifo(path) = endpoint else { return sockets_of(pid) };
    let Ok(fifo) = fs::metadata(path) else { return Vec::new() };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut files = descriptors.filter_map(|descriptor| fs::metadata(descriptor.path()).ok());
    let is_open = files.any(|file| (file.dev(), file.ino()) == (fifo.dev(), fifo.ino()));
    if is_open { vec![fifo.ino()] } else { Vec::new() }
}

/// Whether the descriptors of a process may be read.
#[must_use]
pub fn may_read(pid: u32) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

/// The inodes of the sockets a process holds.
#[must_use]
pub fn sockets_of(pid: u32) -> Vec<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_socket_is_held_by_this_process_once_however_many_descriptors_it_has() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _twin = listener.try_clone().unwrap();
        let inode = rustix::fs::fstat(listener.as_fd()).unwrap().st_ino;
        let pid = std::process::id();
        let held = of_sockets().remove(&inode).unwrap();
        assert_eq!(held.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [pid]);
        assert!(may_read(pid) && sockets_of(pid).contains(&inode));
    }

    #[test]
    fn who_holds_a_listener_is_told_with_what_it_accepted_and_where_else_it_listens() {
        let [listener, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let [_first, _waiting] = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
        let _accepted = listener.accept().unwrap();
        let inode = rustix::fs::fstat(listener.as_fd()).unwrap().st_ino;
        let holders = of_listener(&Endpoint::Tcp(address), inode);
        let [own] = holders.as_slice() else { panic!("{holders:?}") };
        assert_eq!((own.process.id.pid, own.accepted), (std::process::id(), 1));
        assert!(own.also_listens.contains(&Endpoint::Tcp(other.local_addr().unwrap())));
        assert!(!own.also_listens.contains(&Endpoint::Tcp(address)));
    }

    #[test]
    fn nobody_holds_a_socket_that_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = rustix::fs::fstat(listener.as_fd()).unwrap().st_ino;
        drop(listener);
        assert!(!of_sockets().contains_key(&inode));
    }
}
