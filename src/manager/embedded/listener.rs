//! The sockets that a socket unit holds.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::geteuid;

use crate::model::Endpoint;
use crate::unit_file::account::{Account, group_number};
use crate::unit_file::{ListenAddress, ListenType, SocketUnit};

/// What is read at once of what is thrown away.
const FLUSHED_BYTES: usize = 64 * 1024;

/// One socket that listens or takes datagrams, or one FIFO.
#[derive(Debug)]
pub(super) struct HeldListener {
    descriptor: OwnedFd,
    address: ListenAddress,
    inode: u64,
    /// 0 where no connections are made.
    backlog: u32,
    takes_connections: bool,
}

impl HeldListener {
    /// Binds and listens as `unit` says.
    pub(super) fn open(address: &ListenAddress, unit: &SocketUnit) -> io::Result<Self> {
        let (kind, place) = match address {
            ListenAddress::OfType(ListenType::Fifo, place) => return Self::open_fifo(address, place, unit),
            ListenAddress::OfType(ListenType::Datagram, place) => (SocketType::DGRAM, &**place),
            ListenAddress::OfType(ListenType::SequentialPacket, place) => (SocketType::SEQPACKET, &**place),
            place => (SocketType::STREAM, place),
        };
        let descriptor = match place {
            ListenAddress::Ip(ip) => bind_ip(*ip, kind, unit.ipv6_only, unit)?,
            ListenAddress::Port(port) => bind_port(*port, kind, unit)?,
            ListenAddress::Path(path) => bind_path(path, kind, unit)?,
            ListenAddress::Abstract(name) => {
                let descriptor = new_socket(AddressFamily::UNIX, kind)?;
                rustix::net::bind(&descriptor, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
                descriptor
            }
            ListenAddress::Other(_) | ListenAddress::OfType(..) => {
                let text = address.to_string();
                return Err(io::Error::other(format!("the embedded manager cannot listen at {text}")));
            }
        };
        if let Some(bytes) = unit.receive_buffer {
            set_receive_buffer(&descriptor, bytes)?;
        }
        let takes_connections = kind != SocketType::DGRAM;
        if takes_connections {
            rustix::net::listen(&descriptor, i32::try_from(unit.backlog).unwrap_or(i32::MAX))?;
        }
        let inode = rustix::fs::fstat(&descriptor)?.st_ino;
        let backlog = if takes_connections { granted_backlog(unit.backlog) } else { 0 };
        Ok(Self { descriptor, address: address.clone(), inode, backlog, takes_connections })
    }

    /// Makes a FIFO, or takes over one of the same mode, and holds it open for both ends: who writes finds a reader, and who
    /// reads no end.
    fn open_fifo(address: &ListenAddress, place: &ListenAddress, unit: &SocketUnit) -> io::Result<Self> {
        let path = place.path().ok_or_else(|| io::Error::other("a FIFO has a path"))?;
        make_parent(path, unit)?;
        match rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(unit.socket_mode)) {
            Err(Errno::EXIST) if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_fifo()) => {}
            made => made?,
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        set_mode_and_owner(path, unit)?;
        let inode = rustix::fs::fstat(&descriptor)?.st_ino;
        Ok(Self { descriptor, address: address.clone(), inode, backlog: 0, takes_connections: false })
    }

    /// Its inode: the number that names it to the kernel.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// The backlog that listen(2) was granted.
    pub(super) fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Where clients reach it.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.address.endpoint()
    }

    /// A duplicate: the same socket.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.descriptor.try_clone()
    }

    /// Whether a connection waits to be accepted, or a message to be read.
    pub(super) fn has_waiting(&self) -> bool {
        let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let answered = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        answered.is_ok() && polled[0].revents().contains(PollFlags::IN)
    }

    /// The next connection that waits; none when none does. Does not wait: the socket blocks, since its
    /// O_NONBLOCK is shared with the service.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        if !self.has_waiting() {
            return Ok(None);
        }
        match rustix::net::accept_with(&self.descriptor, SocketFlags::CLOEXEC) {
            Ok(connection) => Ok(Some(connection)),
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn new_socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// ReceiveBuffer=: beyond net.core.rmem_max for root alone. The kernel doubles it, socket(7).
fn set_receive_buffer(descriptor: &OwnedFd, bytes: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    sockopt::set_socket_recv_buffer_size_force(descriptor, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(descriptor, bytes))?;
    Ok(())
}

fn bind_ip(address: SocketAddr, kind: SocketType, ipv6_only: Option<bool>, unit: &SocketUnit) -> io::Result<OwnedFd> {
    let descriptor = new_socket(if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }, kind)?;
    sockopt::set_socket_reuseaddr(&descriptor, true)?;
    if let (SocketAddr::V6(_), Some(only)) = (address, ipv6_only) {
        sockopt::set_ipv6_v6only(&descriptor, only)?;
    }
    if unit.reuse_port {
        sockopt::set_socket_reuseport(&descriptor, true)?;
    }
    if unit.free_bind {
        sockopt::set_ip_freebind(&descriptor, true)?;
    }
    if unit.keep_alive && kind == SocketType::STREAM {
        sockopt::set_socket_keepalive(&descriptor, true)?;
    }
    if unit.no_delay && kind == SocketType::STREAM {
        sockopt::set_tcp_nodelay(&descriptor, true)?;
    }
    rustix::net::bind(&descriptor, &address)?;
    Ok(descriptor)
}

/// A port alone is `[::]` with IPv4 mapped into it; on a machine without IPv6, `0.0.0.0`.
fn bind_port(port: u16, kind: SocketType, unit: &SocketUnit) -> io::Result<OwnedFd> {
    let everywhere = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0).into();
    match bind_ip(everywhere, kind, unit.ipv6_only, unit) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {
            bind_ip((Ipv4Addr::UNSPECIFIED, port).into(), kind, None, unit)
        }
        bound => bound,
    }
}

fn make_parent(path: &Path, unit: &SocketUnit) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(unit.directory_mode).create(parent)
}

fn bind_path(path: &Path, kind: SocketType, unit: &SocketUnit) -> io::Result<OwnedFd> {
    make_parent(path, unit)?;
    let descriptor = new_socket(AddressFamily::UNIX, kind)?;
    let address = SocketAddrUnix::new(path)?;
    match rustix::net::bind(&descriptor, &address) {
        // A file that an earlier socket left behind: systemd replaces it, whoever listens there. Any other file
        // is somebody's work.
        Err(Errno::ADDRINUSE) if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) => {
            fs::remove_file(path)?;
            rustix::net::bind(&descriptor, &address)?;
        }
        bound => bound?,
    }
    set_mode_and_owner(path, unit)?;
    Ok(descriptor)
}

fn set_mode_and_owner(path: &Path, unit: &SocketUnit) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(unit.socket_mode))?;
    if let Some((uid, gid)) = owner(unit)? {
        std::os::unix::fs::chown(path, uid, gid)?;
    }
    Ok(())
}

/// SocketUser= and SocketGroup=, which only root can act on.
fn owner(unit: &SocketUnit) -> io::Result<Option<(Option<u32>, Option<u32>)>> {
    let (user, group) = &unit.owner;
    if (user.is_none() && group.is_none()) || !geteuid().is_root() {
        return Ok(None);
    }
    let unknown = |kind: &str, name: &str| io::Error::new(io::ErrorKind::NotFound, format!("no {kind} {name:?}"));
    let account = match user {
        Some(name) => Some(Account::find(name).ok_or_else(|| unknown("user", name))?),
        None => None,
    };
    let gid = match group {
        Some(name) => Some(group_number(name).ok_or_else(|| unknown("group", name))?),
        None => account.as_ref().map(|account| account.gid),
    };
    Ok(Some((account.map(|account| account.uid), gid)))
}

/// What the kernel makes of a backlog: never more than net.core.somaxconn, listen(2).
fn granted_backlog(asked: u32) -> u32 {
    let somaxconn = fs::read_to_string(PathBuf::from("/proc/sys/net/core/somaxconn")).ok();
    let most = somaxconn.and_then(|text| text.trim().parse().ok()).unwrap_or(4096);
    asked.min(most)
}

/// Drops every connection, datagram and byte that waits.
pub(super) fn flush(listeners: &[HeldListener]) {
    let mut part = vec![0; FLUSHED_BYTES];
    for listener in listeners {
        if !listener.takes_connections {
            while listener.has_waiting() && rustix::io::read(&listener.descriptor, part.as_mut_slice()).is_ok() {}
            continue;
        }
        while let Ok(Some(connection)) = listener.accept() {
            drop(connection);
        }
    }
}

/// Who is at the other end of a connection, for the name of its service's instance and for REMOTE_ADDR and
/// REMOTE_PORT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// `LOCAL-REMOTE` for TCP, `PID-UID` for Unix sockets.
    pub instance: String,
    /// The remote address; none for Unix sockets.
    pub remote: Option<SocketAddr>,
}

impl Peer {
    /// Asks the kernel.
    pub(super) fn of(connection: impl AsFd) -> io::Result<Self> {
        let local = SocketAddr::try_from(rustix::net::getsockname(&connection)?);
        let remote = rustix::net::getpeername(&connection)?.map(SocketAddr::try_from);
        if let (Ok(local), Some(Ok(remote))) = (local, remote) {
            let text = |address: SocketAddr| format!("{}:{}", address.ip().to_canonical(), address.port());
            return Ok(Self { instance: format!("{}-{}", text(local), text(remote)), remote: Some(remote) });
        }
        let credentials = sockopt::socket_peercred(&connection)?;
        let instance = format!("{}-{}", credentials.pid.as_raw_nonzero(), credentials.uid.as_raw());
        Ok(Self { instance, remote: None })
    }
}
