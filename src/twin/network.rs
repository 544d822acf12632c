//! The twin's network: loopback alone, with the settings of the machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Where the settings of a network namespace are. Those of single interfaces are the interfaces' own.
const FOLDERS: [&str; 4] = ["/proc/sys/net/core", "/proc/sys/net/ipv4", "/proc/sys/net/ipv6", "/proc/sys/net/unix"];

/// Settings for interfaces that a twin has as well.
const OF_INTERFACES: [&str; 3] = [
    "/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "/proc/sys/net/ipv6/conf/default/disable_ipv6",
    "/proc/sys/net/ipv6/conf/lo/disable_ipv6",
];

/// What restarts depend on: that one of these could not be copied must be known.
const IMPORTANT: [&str; 6] = [
    "somaxconn",
    "tcp_syn_linear_timeouts",
    "tcp_syn_retries",
    "tcp_migrate_req",
    "tcp_abort_on_overflow",
    "ip_local_port_range",
];

/// The network settings of this network namespace, by file.
pub(super) fn settings() -> Vec<(PathBuf, String)> {
    let entries = FOLDERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path());
    let files = files.chain(OF_INTERFACES.iter().map(PathBuf::from));
    files.filter_map(|path| fs::read_to_string(&path).ok().map(|value| (path, value))).collect()
}

/// Sets what differs here. Gives the important ones that could not be set.
pub(super) fn apply(settings: &[(PathBuf, String)]) -> Vec<String> {
    let mut left = Vec::new();
    for (path, value) in settings {
        let is_same = |path: &Path| fs::read_to_string(path).is_ok_and(|now| now == *value);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !is_same(path) && fs::write(path, value).is_err() && IMPORTANT.contains(&name.as_str()) {
            left.push(name);
        }
    }
    left
}

/// Sets the loopback interface up, rtnetlink(7).
pub(super) fn loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 0x5;
    const LOOPBACK: i32 = 1; // the first interface of every network namespace
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes()); // struct nlmsghdr
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]); // struct ifinfomsg: family and type
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // flags, and which of them change
    message.extend(IFF_UP.to_ne_bytes());
    // Protocol 0 of this family is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 64];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
