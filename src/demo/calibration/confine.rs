//! What a process of a case's own does to itself, so that nothing of it reaches the rest of the machine.

use std::fs;
use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::UnshareFlags;

/// File descriptors for a load of one client and its server; they are all taken, so there should be few.
const DESCRIPTORS: u64 = 256;
/// Local ports, for the same reason.
const PORTS: &str = "40000 40063";
/// What a process draws its local ports from: that of the namespace which it is in (ip(7)).
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Lowers the limit of file descriptors.
pub(super) fn limit_descriptors() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let few = maximum.map_or(DESCRIPTORS, |hard| hard.min(DESCRIPTORS));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(few), maximum })?)
}

/// Goes to a new network that has nothing but its loopback interface, as root or in a new user namespace. Of a process
/// with a single thread only.
///
/// # Errors
/// In words: what this machine does not allow.
pub(super) fn enter_own_network() -> Result<(), String> {
    let unshared = match unshare(UnshareFlags::NEWNET) {
        Err(Errno::PERM) => unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET),
        other => other,
    };
    unshared.map_err(|error| format!("this machine allows no network of one's own: {error}"))?;
    bring_loopback_up().map_err(|error| format!("cannot bring up the loopback interface of a new network: {error}"))
}

/// Goes to a new user namespace that maps nobody: what belongs to users outside, root among them, is then as it is to
/// anybody without rights (user_namespaces(7)). Of a process with a single thread only.
///
/// # Errors
/// In words: what this machine does not allow.
pub(super) fn give_up_root() -> Result<(), String> {
    unshare(UnshareFlags::NEWUSER)
        .map_err(|error| format!("root may connect to any socket, and cannot give that up here: {error}"))
}

#[expect(deprecated, reason = "only with UnshareFlags::FILES can it break what safe code relies on")]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    rustix::thread::unshare(flags)
}

/// Leaves few local ports to the network, which must be our own.
///
/// # Errors
/// In words: what this machine does not allow.
pub(super) fn narrow_ports() -> Result<(), String> {
    fs::write(PORT_RANGE, PORTS)
        .map_err(|error| format!("cannot write {PORT_RANGE} of a network of one's own: {error}"))
}

/// RTM_NEWLINK with IFF_UP for the interface of index 1, which is the loopback of every network; rtnetlink(7).
fn bring_loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const IFF_UP: u32 = 1;
    const LOOPBACK: u32 = 1;
    const MESSAGE_BYTES: u32 = 32;
    /// Of an answer: the header, and then the errno, negative; 0 for success.
    const ERROR_AT: usize = 16;

    let mut message = Vec::with_capacity(MESSAGE_BYTES as usize);
    message.extend(MESSAGE_BYTES.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Sequence number and port; then family, type, index, flags, and which of them to change.
    message.extend([0; 8 + 4]);
    for field in [LOOPBACK, IFF_UP, IFF_UP] {
        message.extend(field.to_ne_bytes());
    }
    // Its protocol, NETLINK_ROUTE, is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    let code = answer[..length].get(ERROR_AT..ERROR_AT + 4).and_then(|bytes| bytes.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
