//! The machine we run on.

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
    }
}

/// The file that a twin of a machine has, and no machine: it holds the machine's name.
pub const TWIN_MARK: &str = "/run/gapless-twin/twin-of";

/// Whether systemd is this machine's init, sd_booted(3).
#[must_use]
pub fn booted_with_systemd() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
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
