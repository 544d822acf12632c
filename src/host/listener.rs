//! Who listens: the kernel's listening sockets and their accept queues, by netlink, sock_diag(7).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use netlink_packet_core::{
    Emitable as _, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{self, ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName, Vfs};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags as UnixStateFlags, UnixRequest, UnixResponse};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::{holder, receiver};
use crate::model::Endpoint;
use crate::model::address::{Listener, of_abstract, takes};

/// Types of sockets, socket(2).
const SOCK_DGRAM: u8 = 2;
const SOCK_SEQPACKET: u8 = 5;

/// The kernel sends a dump in parts of at most this size.
const PART_BYTES: usize = 64 * 1024;

/// The listening sockets that a connection to `endpoint` could reach: those bound to it, and for TCP those bound to
/// its port on all addresses. Several with SO_REUSEPORT; none when no process is listening. Takes some tens of microseconds.
///
/// A Unix socket is found through links to its path as well, and where its path was unlinked, by the path that it was
/// bound to.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn at(endpoint: &Endpoint) -> io::Result<Vec<Listener>> {
    find(endpoint, unix_at)
}

/// The listeners at an address that the systemd with this PID holds itself: a socket unit's own, also where its path
/// leads to another one by now. Every listener that [`at`] finds where what it holds is not known.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn of_systemd(endpoint: &Endpoint, systemd: Option<u32>) -> io::Result<Vec<Listener>> {
    let Some(held) = systemd.and_then(|pid| holder::held_by_systemd(pid, endpoint)) else { return at(endpoint) };
    let mut listeners = find(endpoint, unix_bound_to)?;
    listeners.retain(|listener| held.contains(&listener.inode));
    Ok(listeners)
}

/// Whether clients no longer reach a Unix socket by the path it was bound to: the path was removed, or another file, such
/// as the socket of a process that has ended, took its place.
///
/// Where stat(2) gives a file another device than the kernel's sockets do, as on overlayfs and btrfs, the two cannot be
/// compared, and the path is not called lost.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn is_lost_to_path(endpoint: &Endpoint) -> io::Result<bool> {
    let Some(path) = endpoint.path() else { return Ok(false) };
    let Some(file) = File::at(path) else { return Ok(!path.try_exists()?) };
    let bound = unix_like(&diagnostic_socket()?, endpoint)?;
    let leads_to = |bound: &Bound| bound.file == Some(file);
    let was_bound_to = |bound: &Bound| {
        bound.is_named(endpoint) && bound.file.is_some_and(|bound_file| bound_file.device == file.device)
    };
    Ok(!bound.iter().any(leads_to) && bound.iter().any(was_bound_to))
}

fn find(
    endpoint: &Endpoint,
    unix: impl Fn(&OwnedFd, &Endpoint) -> io::Result<Vec<Listener>>,
) -> io::Result<Vec<Listener>> {
    let socket = diagnostic_socket()?;
    let mut listeners = match endpoint {
        Endpoint::Tcp(address) if address.is_ipv4() => {
            let found = tcp(&socket, &[AF_INET], Some(*address))?;
            // A listener on [::] takes IPv4 connections as well, where no IPv4 listener does: those come first
            // (inet_lookup_listener, net/ipv4/inet_hashtables.c). No IPv4 listener takes IPv6 ones.
            if found.is_empty() { tcp(&socket, &[AF_INET6], Some(*address))? } else { found }
        }
        Endpoint::Tcp(address) => tcp(&socket, &[AF_INET6], Some(*address))?,
        Endpoint::Udp(address) => receiver::udp_at(&socket, *address)?,
        Endpoint::Unix(_) | Endpoint::UnixDgram(_) | Endpoint::UnixSeqpacket(_) => unix(&socket, endpoint)?,
        Endpoint::Fifo(path) => receiver::fifo_at(path),
    };
    listeners.sort_by_key(|listener| listener.inode);
    Ok(listeners)
}

/// Every socket of this network namespace that waits for connections: TCP, and Unix sockets with a path or an abstract
/// name.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn all() -> io::Result<Vec<Listener>> {
    let socket = diagnostic_socket()?;
    let mut listeners = tcp(&socket, &[AF_INET, AF_INET6], None)?;
    listeners.extend(unix(&socket, UnixStateFlags::LISTEN)?.into_iter().map(|bound| bound.listener));
    listeners.sort_by_key(|listener| listener.inode);
    Ok(listeners)
}

/// The inodes of the open connections that a listener at `endpoint` took: the server's ends, accepted or waiting to be.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn connections(endpoint: &Endpoint) -> io::Result<Vec<u64>> {
    let socket = diagnostic_socket()?;
    let mut inodes = Vec::new();
    match endpoint {
        Endpoint::Tcp(address) => {
            let families: &[u8] = if address.is_ipv4() { &[AF_INET, AF_INET6] } else { &[AF_INET6] };
            let states = StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT;
            dump_tcp(&socket, families, &states, &mut |response| {
                let local = bound_to(response);
                if local.port() == address.port() && local.ip().to_canonical() == address.ip().to_canonical() {
                    inodes.push(u64::from(response.header.inode));
                }
            })?;
        }
        // Nobody connects to these.
        Endpoint::Udp(_) | Endpoint::UnixDgram(_) | Endpoint::Fifo(_) => {}
        Endpoint::Unix(path) | Endpoint::UnixSeqpacket(path) => {
            dump_unix(&socket, UnixStateFlags::ESTABLISHED, ShowFlags::NAME, &mut |response| {
                if name_of(response).is_some_and(|bound| bound == *path) {
                    inodes.push(u64::from(response.header.inode));
                }
            })?;
        }
    }
    Ok(inodes)
}

pub(super) fn diagnostic_socket() -> io::Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    Ok(socket)
}

/// The listeners of these families that reach `wanted`, or all of them.
fn tcp(socket: &OwnedFd, families: &[u8], wanted: Option<SocketAddr>) -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    dump_tcp(socket, families, &StateFlags::LISTEN, &mut |response| {
        if wanted.is_none_or(|wanted| is_taken(response, wanted)) {
            listeners.push(of_tcp(response));
        }
    })?;
    Ok(listeners)
}

fn dump_tcp(
    socket: &OwnedFd,
    families: &[u8],
    states: &StateFlags,
    take: &mut dyn FnMut(&InetResponse),
) -> io::Result<()> {
    for &family in families {
        dump_inet(socket, (family, IPPROTO_TCP), states, ExtensionFlags::empty(), take)?;
    }
    Ok(())
}

pub(super) fn dump_inet(
    socket: &OwnedFd,
    (family, protocol): (u8, u8),
    states: &StateFlags,
    extensions: ExtensionFlags,
    take: &mut dyn FnMut(&InetResponse),
) -> io::Result<()> {
    let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let request = InetRequest { family, protocol, extensions, states: states.clone(), socket_id };
    dump(socket, SockDiagMessage::InetRequest(request), &mut |message| {
        if let SockDiagMessage::InetResponse(response) = message {
            take(&response);
        }
    })
}

pub(super) fn bound_to(response: &InetResponse) -> SocketAddr {
    SocketAddr::new(response.header.socket_id.source_address, response.header.socket_id.source_port)
}

pub(super) fn is_taken(response: &InetResponse, wanted: SocketAddr) -> bool {
    let bound = bound_to(response);
    let is_both = !response.nlas.contains(&inet::nlas::Nla::SkV6Only(true));
    takes(bound, wanted) && (is_both || bound.is_ipv4() == wanted.ip().to_canonical().is_ipv4())
}

fn of_tcp(response: &InetResponse) -> Listener {
    Listener {
        endpoint: Endpoint::Tcp(bound_to(response)),
        inode: u64::from(response.header.inode),
        queued: response.header.recv_queue,
        backlog: response.header.send_queue,
        cookie: Some(cookie_of(response)),
        drops: None,
    }
}

/// Two words, the lower first (sock_diag_save_cookie, net/core/sock_diag.c).
pub(super) fn cookie_of(response: &InetResponse) -> u64 {
    let (words, _) = response.header.socket_id.cookie.as_chunks();
    words.iter().rev().fold(0, |cookie, &word| cookie << 32 | u64::from(u32::from_ne_bytes(word)))
}

/// The sockets that are reached at `wanted`: those whose file its path leads to, through links and renames; or where it
/// leads to none, those that were bound to it once and can be reached no more.
fn unix_at(socket: &OwnedFd, wanted: &Endpoint) -> io::Result<Vec<Listener>> {
    let file = wanted.path().and_then(File::at);
    let mut found = unix_like(socket, wanted)?;
    let is_reached = |bound: &Bound| file.is_some() && bound.file == file;
    if found.iter().any(is_reached) {
        found.retain(is_reached);
    } else {
        found.retain(|bound| bound.is_named(wanted));
    }
    Ok(asked_for(found, wanted))
}

/// Every socket that has to do with the path `wanted`, whether it is reached by it or was bound to it.
fn unix_bound_to(socket: &OwnedFd, wanted: &Endpoint) -> io::Result<Vec<Listener>> {
    let file = wanted.path().and_then(File::at);
    let mut found = unix_like(socket, wanted)?;
    found.retain(|bound| bound.is_named(wanted) || file.is_some() && bound.file == file);
    Ok(asked_for(found, wanted))
}

/// The Unix sockets of the same type as the one that is wanted.
fn unix_like(socket: &OwnedFd, wanted: &Endpoint) -> io::Result<Vec<Bound>> {
    let states = if wanted.takes_datagrams() { receiver::DATAGRAM_STATES } else { UnixStateFlags::LISTEN };
    let mut found = unix(socket, states)?;
    found.retain(|bound| std::mem::discriminant(&bound.listener.endpoint) == std::mem::discriminant(wanted));
    Ok(found)
}

/// The listeners by the path that was asked for.
fn asked_for(found: Vec<Bound>, wanted: &Endpoint) -> Vec<Listener> {
    let named = |bound: Bound| Listener { endpoint: wanted.clone(), ..bound.listener };
    found.into_iter().map(named).collect()
}

/// A listener bound to a path and the file that the bind made, or one with an abstract name and no file.
struct Bound {
    listener: Listener,
    file: Option<File>,
}

impl Bound {
    fn is_named(&self, wanted: &Endpoint) -> bool {
        self.listener.endpoint == *wanted
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct File {
    /// As stat(2) has it.
    device: u64,
    /// Its lower half: sock_diag gives no more.
    inode: u64,
}

impl File {
    /// Where `path` leads to now.
    fn at(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self { device: file.dev(), inode: file.ino() & 0xffff_ffff })
    }
}

/// Every socket in one of these states that is bound to a path or has an abstract name.
fn unix(socket: &OwnedFd, states: UnixStateFlags) -> io::Result<Vec<Bound>> {
    let shown = ShowFlags::NAME | ShowFlags::VFS | ShowFlags::RQLEN;
    let mut listeners = Vec::new();
    dump_unix(socket, states, shown, &mut |response| listeners.extend(of_unix(response)))?;
    Ok(listeners)
}

/// The Unix sockets for datagrams that have a name.
pub(super) fn unix_receivers(socket: &OwnedFd) -> io::Result<Vec<Listener>> {
    let found = unix(socket, receiver::DATAGRAM_STATES)?.into_iter().map(|bound| bound.listener);
    Ok(found.filter(|listener| matches!(listener.endpoint, Endpoint::UnixDgram(_))).collect())
}

fn dump_unix(
    socket: &OwnedFd,
    states: UnixStateFlags,
    shown: ShowFlags,
    take: &mut dyn FnMut(&UnixResponse),
) -> io::Result<()> {
    let request = UnixRequest { state_flags: states, inode: 0, show_flags: shown, cookie: [0xff; 8] };
    dump(socket, SockDiagMessage::UnixRequest(request), &mut |message| {
        if let SockDiagMessage::UnixResponse(response) = message {
            take(&response);
        }
    })
}

/// The path or the abstract name that a socket is bound to. An accepted one has its listener's.
fn name_of(response: &UnixResponse) -> Option<PathBuf> {
    response.nlas.iter().find_map(|attribute| match attribute {
        Nla::Name(UnixDiagName::Pathname(name)) => Some(PathBuf::from(name)),
        Nla::Name(UnixDiagName::Abstract(name)) => Some(of_abstract(name)),
        _ => None,
    })
}

fn of_unix(response: &UnixResponse) -> Option<Bound> {
    let name = name_of(response)?;
    let endpoint = match response.header.kind {
        SOCK_DGRAM => Endpoint::UnixDgram(name),
        SOCK_SEQPACKET => Endpoint::UnixSeqpacket(name),
        _ => Endpoint::Unix(name),
    };
    let (queued, backlog) = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::ReceiveQueueLength(queued, _) if endpoint.takes_datagrams() => Some(receiver::unix_queue(*queued)),
        Nla::ReceiveQueueLength(queued, backlog) => Some((*queued, *backlog)),
        _ => None,
    })?;
    let file = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::Vfs(vfs) => Some(file_of(vfs)),
        _ => None,
    });
    let inode = u64::from(response.header.inode);
    Some(Bound { listener: Listener { endpoint, inode, queued, backlog, cookie: None, drops: None }, file })
}

/// The crate keeps the two numbers of `struct unix_diag_vfs` to itself, but writes them as the kernel does.
fn file_of(vfs: &Vfs) -> File {
    let mut bytes = [0; 8];
    vfs.emit(&mut bytes);
    let [inode, device] = [0, 4].map(|at| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    File { device: device_number(device), inode: u64::from(inode) }
}

/// The kernel's own number of a device as stat(2) gives it: 12 bits of major above 20 of minor
/// (include/linux/kdev_t.h).
fn device_number(own: u32) -> u64 {
    rustix::fs::makedev(own >> 20, own & 0xf_ffff)
}

/// Sends one request and takes every answer to it.
fn dump(socket: &OwnedFd, request: SockDiagMessage, take: &mut dyn FnMut(SockDiagMessage)) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    send(socket, &bytes, SendFlags::empty())?;
    let mut part = vec![0; PART_BYTES];
    loop {
        let (length, _) = recv(socket, part.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = &part[..length];
        while !rest.is_empty() {
            let message_bytes = NetlinkBuffer::new_checked(rest).map_err(garbled)?.length() as usize;
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(garbled)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => take(inner),
                _ => {}
            }
            // Messages are padded to four bytes, netlink(7).
            rest = &rest[message_bytes.next_multiple_of(4).min(rest.len())..];
        }
    }
}

fn garbled(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("sock_diag answered something else: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd as _};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};

    use rustix::net::sockopt::set_ipv6_v6only;
    use rustix::net::{bind, listen};

    use super::*;

    fn inode_of(socket: impl AsFd) -> u64 {
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd())).unwrap();
        let text = link.to_str().unwrap();
        text.strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap()
    }

    #[test]
    fn a_tcp_listener_is_found_with_its_inode_its_backlog_and_what_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listen(&listener, 7).unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let found = at(&Endpoint::Tcp(address)).unwrap();
        let cookie = Some(rustix::net::sockopt::socket_cookie(&listener).unwrap());
        let (endpoint, inode) = (Endpoint::Tcp(address), inode_of(&listener));
        assert_eq!(found, [Listener { endpoint, inode, queued: 3, backlog: 7, cookie, drops: None }]);
    }

    #[test]
    fn a_listener_on_all_addresses_is_found_at_each() {
        for wildcard in ["0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(wildcard).unwrap();
            let loopback = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
            let found = at(&Endpoint::Tcp(loopback)).unwrap();
            assert_eq!(found.iter().map(|listener| listener.inode).collect::<Vec<_>>(), [inode_of(&listener)]);
        }
    }

    #[test]
    fn a_listener_on_all_ipv6_addresses_alone_takes_no_ipv4_connection() {
        let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        set_ipv6_v6only(&socket, true).unwrap();
        bind(&socket, &"[::]:0".parse::<SocketAddr>().unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        assert_eq!(at(&Endpoint::Tcp(([127, 0, 0, 1], port).into())).unwrap(), []);
        let found = at(&Endpoint::Tcp((Ipv6Addr::LOCALHOST, port).into())).unwrap();
        assert_eq!(found.iter().map(|listener| listener.inode).collect::<Vec<_>>(), [inode_of(&listener)]);
    }

    #[test]
    fn a_unix_listener_is_found_by_its_path_even_when_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        listen(&listener, 5).unwrap();
        let _waiting: Vec<_> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
        fs::remove_file(&path).unwrap();
        let found = at(&Endpoint::Unix(path.clone())).unwrap();
        let (endpoint, inode) = (Endpoint::Unix(path), inode_of(&listener));
        assert_eq!(found, [Listener { endpoint, inode, queued: 2, backlog: 5, cookie: None, drops: None }]);
    }

    #[test]
    fn a_unix_listener_is_found_through_links_and_renames_of_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link, new] = ["real", "link", "new"].map(|name| folder.path().join(name));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let blue = UnixListener::bind(real.join("s")).unwrap();
        let found = |path: &Path| -> Vec<(Endpoint, u64)> {
            at(&Endpoint::Unix(path.to_owned())).unwrap().into_iter().map(|it| (it.endpoint, it.inode)).collect()
        };
        let asked = link.join("s");
        assert_eq!(found(&asked), [(Endpoint::Unix(asked.clone()), inode_of(&blue))]);
        let green = UnixListener::bind(&new).unwrap();
        fs::rename(&new, real.join("s")).unwrap();
        assert_eq!(found(&asked), [(Endpoint::Unix(asked.clone()), inode_of(&green))], "blue is reached no more");
        assert_eq!(found(&real.join("s")), [(Endpoint::Unix(real.join("s")), inode_of(&green))]);
        let mut all = find(&Endpoint::Unix(real.join("s")), unix_bound_to).unwrap();
        all.sort_by_key(|listener| listener.inode != inode_of(&blue));
        let all: Vec<u64> = all.iter().map(|listener| listener.inode).collect();
        assert_eq!(all, [inode_of(&blue), inode_of(&green)], "blue was bound to it once");
    }

    #[test]
    fn a_path_is_lost_once_it_is_gone_or_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let is_lost = || is_lost_to_path(&Endpoint::Unix(path.clone())).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(!is_lost());
        fs::remove_file(&path).unwrap();
        assert!(is_lost(), "removed");
        let other = UnixListener::bind(&path).unwrap();
        assert!(!is_lost(), "clients reach whoever listens there now");
        drop(other);
        assert!(is_lost(), "the socket of one that has ended");
        drop(listener);
        assert!(!is_lost(), "nobody was bound to it");
    }

    #[test]
    fn a_listener_with_an_abstract_name_is_found_by_it_and_is_gone_with_its_socket() {
        let name = format!("gapless-listener-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        listen(&listener, 5).unwrap();
        let _waiting: Vec<_> = (0..2).map(|_| UnixStream::connect_addr(&address).unwrap()).collect();
        let endpoint = Endpoint::Unix(format!("@{name}").into());
        let expected = Listener {
            endpoint: endpoint.clone(),
            inode: inode_of(&listener),
            queued: 2,
            backlog: 5,
            cookie: None,
            drops: None,
        };
        assert_eq!(at(&endpoint).unwrap(), [expected]);
        assert_eq!(at(&Endpoint::Unix(format!("@{name}x").into())).unwrap(), []);
        assert!(all().unwrap().iter().any(|listener| listener.endpoint == endpoint));
        let _accepted = listener.accept().unwrap();
        assert_eq!(connections(&endpoint).unwrap().len(), 1, "the one that was accepted");
        drop(listener);
        assert_eq!(at(&endpoint).unwrap(), []);
    }

    #[test]
    fn all_listeners_are_listed_whatever_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(folder.path().join("s")).unwrap();
        let inodes: Vec<_> = all().unwrap().into_iter().map(|listener| listener.inode).collect();
        assert!(inodes.contains(&inode_of(&tcp)) && inodes.contains(&inode_of(&unix)));
    }

    #[test]
    fn where_nobody_listens_nothing_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(at(&Endpoint::Tcp(address)).unwrap(), []);
        assert_eq!(at(&Endpoint::Unix("/nowhere/at/all".into())).unwrap(), []);
    }
}
