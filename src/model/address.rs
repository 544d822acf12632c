//! Where a client connects to.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::net::SocketAddrUnix;

use serde::{Deserialize, Serialize};

/// Where a server is reached: what it listens on, or takes messages at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket: an absolute path in the file system, or `@NAME` in the abstract name space.
    Unix(PathBuf),
    /// A UDP address.
    Udp(SocketAddr),
    /// A Unix socket for datagrams, written as any other Unix socket.
    UnixDgram(PathBuf),
    /// A Unix socket for messages on a connection.
    UnixSeqpacket(PathBuf),
    /// A FIFO, by its absolute path.
    Fifo(PathBuf),
}

impl Endpoint {
    /// Whether a socket that is bound here takes connections to `address`, as far as addresses tell: see [`takes`].
    #[must_use]
    pub fn takes(&self, address: &Self) -> bool {
        match (self, address) {
            (Self::Tcp(bound), Self::Tcp(address)) | (Self::Udp(bound), Self::Udp(address)) => takes(*bound, *address),
            _ => self == address,
        }
    }

    /// Its IP address and port.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(*address),
            _ => None,
        }
    }

    /// The path or the abstract name.
    #[must_use]
    pub fn name(&self) -> Option<&Path> {
        match self {
            Self::Unix(name) | Self::UnixDgram(name) | Self::UnixSeqpacket(name) | Self::Fifo(name) => Some(name),
            Self::Tcp(_) | Self::Udp(_) => None,
        }
    }

    /// Whether it takes datagrams: no connection is made to it, and none waits to be accepted.
    #[must_use]
    pub fn takes_datagrams(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::UnixDgram(_))
    }

    /// Whether connections are made to it.
    #[must_use]
    pub fn takes_connections(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_) | Self::UnixSeqpacket(_))
    }

    /// Its place in the file system.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.name().filter(|path| abstract_name(path).is_none())
    }
}

/// The name of a Unix socket in the abstract name space, written as systemd.socket(5) and `/proc/net/unix` write it: with
/// a leading `@`. Other sockets have an absolute path.
#[must_use]
pub fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_bytes().strip_prefix(b"@")
}

/// How an abstract name is written.
#[must_use]
pub fn of_abstract(name: &[u8]) -> PathBuf {
    OsStr::from_bytes(&[b"@", name].concat()).into()
}

/// The address of a Unix socket as system calls take it.
///
/// # Errors
/// When it is too long.
pub fn unix_address(path: &Path) -> rustix::io::Result<SocketAddrUnix> {
    abstract_name(path).map_or_else(|| SocketAddrUnix::new(path), SocketAddrUnix::new_abstract_name)
}

/// Whether a socket that is bound to `bound` takes connections to `address`: to its own address; by `0.0.0.0`, to every
/// one of IPv4; by `[::]`, to every one of either family, unless it has `IPV6_V6ONLY`, which no address tells (ipv6(7)).
#[must_use]
pub fn takes(bound: SocketAddr, address: SocketAddr) -> bool {
    let (ip, wanted) = (bound.ip().to_canonical(), address.ip().to_canonical());
    let is_wildcard = ip.is_unspecified() && (ip.is_ipv6() || wanted.is_ipv4());
    bound.port() == address.port() && (ip == wanted || is_wildcard)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::UnixDgram(path) => write!(f, "unix-dgram:{}", path.display()),
            Self::UnixSeqpacket(path) => write!(f, "unix-seqpacket:{}", path.display()),
            Self::Fifo(path) => write!(f, "fifo:{}", path.display()),
        }
    }
}

/// A socket that listens or takes datagrams, or a FIFO that is read from, as the kernel names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The address it is bound to.
    pub endpoint: Endpoint,
    /// Its inode: the same number means the same socket, whoever holds descriptors of it.
    pub inode: u64,
    /// Connections that wait to be accepted. Of UDP and of a FIFO: bytes that wait to be read, as the kernel accounts for
    /// them. Of a Unix socket for datagrams: 1 if any waits, since the kernel tells no more.
    pub queued: u32,
    /// The effective backlog: the kernel queues one more than this. Of UDP: the bytes of its receive buffer. Of a FIFO: 0,
    /// since it is not known. Of a Unix socket for datagrams: the datagrams that may wait, and one more.
    pub backlog: u32,
    /// Datagrams that the kernel dropped since the socket was made, for want of room in its receive buffer; UDP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drops: Option<u32>,
    /// The kernel's cookie of it, which its trace names it by; Unix sockets have none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(bound: &str, address: &str) -> bool {
        let of = |text: &str| text.parse().map_or_else(|_| Endpoint::Unix(text.into()), Endpoint::Tcp);
        of(bound).takes(&of(address))
    }

    #[test]
    fn a_socket_takes_what_is_meant_for_its_address() {
        assert!(takes("127.0.0.1:80", "127.0.0.1:80"));
        assert!(takes("127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
        assert!(takes("/run/a.sock", "/run/a.sock"));
        for other in ["127.0.0.2:80", "127.0.0.1:81", "[::1]:80", "/run/a.sock"] {
            assert!(!takes("127.0.0.1:80", other), "{other}");
        }
        assert!(!takes("/run/a.sock", "/run/b.sock") && !takes("/run/a.sock", "127.0.0.1:80"));
    }

    #[test]
    fn an_abstract_name_is_no_path() {
        let [name, path] = ["@app", "/run/app.sock"].map(|text| Endpoint::Unix(text.into()));
        assert_eq!((name.path(), path.path()), (None, Some(Path::new("/run/app.sock"))));
        assert_eq!(of_abstract(b"app"), Path::new("@app"));
        assert_eq!(unix_address(Path::new("@app")).unwrap().abstract_name(), Some(&b"app"[..]));
        assert!(unix_address(Path::new("/run/app.sock")).unwrap().path().is_some());
    }

    #[test]
    fn a_wildcard_takes_its_family_and_that_of_ipv6_both() {
        assert!(takes("0.0.0.0:80", "127.0.0.1:80") && takes("[::]:80", "[::1]:80"));
        assert!(takes("[::]:80", "127.0.0.1:80"));
        assert!(!takes("0.0.0.0:80", "[::1]:80"));
        assert!(!takes("0.0.0.0:80", "127.0.0.1:81") && !takes("[::]:80", "[::1]:81"));
    }
}
