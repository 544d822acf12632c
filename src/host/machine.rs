//! The machine we run on.

use serde::{Deserialize, Serialize};

use crate::record::begin::Host;

/// What a record says of this machine. `manager_version` is the service manager's name and version.
#[must_use]
pub fn describe(manager_version: Option<String>) -> Host {
    let uname = rustix::system::uname();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Host {
        name: uname.nodename().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        arch: uname.machine().to_string_lossy().into_owned(),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        manager_version,
        twin: std::path::Path::new(TWIN_MARK).exists(),
        units_on: None,
    }
}

/// The file that a twin of a machine has, and no machine: it holds the machine's name.
pub const TWIN_MARK: &str = "/run/gapless-twin/twin-of";

/// Whether systemd is this machine's init, sd_booted(3).
#[must_use]
pub fn booted_with_systemd() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Where sockets are: two processes of one kernel and its network and mount namespaces reach the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Of this boot of the kernel, random(4).
    pub boot_id: String,
    /// The inode of the network namespace, namespaces(7); none where it cannot be read.
    pub network: Option<u64>,
    /// The inode of the mount namespace; none where it cannot be read.
    pub mounts: Option<u64>,
}

impl Place {
    /// Ours.
    #[must_use]
    pub fn own() -> Self {
        let inode = |namespace: &str| {
            let link = std::fs::read_link(format!("/proc/self/ns/{namespace}")).ok()?;
            link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
        };
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { boot_id: boot_id.trim_end().to_owned(), network: inode("net"), mounts: inode("mnt") }
    }

    /// Whether both have the same loopback and abstract sockets. Unknown is not the same.
    #[must_use]
    pub fn shares_network(&self, other: &Self) -> bool {
        self.is_same_kernel(other) && self.network.is_some() && self.network == other.network
    }

    /// Whether both have the same files.
    #[must_use]
    pub fn shares_files(&self, other: &Self) -> bool {
        self.is_same_kernel(other) && self.mounts.is_some() && self.mounts == other.mounts
    }

    fn is_same_kernel(&self, other: &Self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == other.boot_id
    }
}

/// Whether we are root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether `ip` is an address of this machine: only then can a socket be bound to it.
#[must_use]
pub fn is_local(ip: std::net::IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_a_documentation_address_is_not() {
        assert!(is_local("127.0.0.1".parse().unwrap()));
        assert!(!is_local("192.0.2.1".parse().unwrap()));
    }
}
