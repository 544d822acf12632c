//! A socket the server accepts on.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use super::stream::Stream;
use crate::model::Endpoint;
use crate::model::address::{abstract_name, of_abstract, unix_address};

/// Accepts connections on one address.
#[derive(Debug)]
pub(super) struct Listener {
    /// FileDescriptorName= of the manager; `own` for a socket of our own.
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Of messages: to the system calls that it makes, a socket as any other.
    Packets(UnixListener),
}

impl Listener {
    /// Binds and listens. Within a runtime only.
    pub(super) fn bind(endpoint: &Endpoint, backlog: u32) -> io::Result<Self> {
        let name = "own".to_owned();
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Self::tcp(name, socket.listen(backlog)?)
            }
            Endpoint::Unix(path) => Self::inherit(
                name,
                bind_path(path, SocketType::STREAM, backlog)?,
                AddressFamily::UNIX,
                SocketType::STREAM,
            ),
            Endpoint::UnixSeqpacket(path) => {
                let socket = bind_path(path, SocketType::SEQPACKET, backlog)?;
                Self::inherit(name, socket, AddressFamily::UNIX, SocketType::SEQPACKET)
            }
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "no connection is made to such an address")),
        }
    }

    /// Takes over a listening socket that others hold as well. Within a runtime only.
    ///
    /// O_NONBLOCK is a property of the socket, not of the descriptor: it is set here at every start, since whoever
    /// had the socket before may have left it blocking, and never cleared, since whoever has it beside us may rely
    /// on it.
    pub(super) fn inherit(name: String, socket: OwnedFd, family: AddressFamily, kind: SocketType) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if family == AddressFamily::UNIX {
            Self::unix(name, UnixListener::from_std(socket.into())?, kind)
        } else {
            Self::tcp(name, TcpListener::from_std(socket.into())?)
        }
    }

    fn tcp(name: String, socket: TcpListener) -> io::Result<Self> {
        Ok(Self { name, endpoint: Endpoint::Tcp(socket.local_addr()?), socket: Socket::Tcp(socket) })
    }

    fn unix(name: String, socket: UnixListener, kind: SocketType) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let name_of = || address.as_abstract_name().map(of_abstract);
        let path = address.as_pathname().map(Path::to_owned).or_else(name_of);
        let path = path.ok_or_else(|| io::Error::other("it has neither a path nor an abstract name"))?;
        Ok(if kind == SocketType::SEQPACKET {
            Self { name, endpoint: Endpoint::UnixSeqpacket(path), socket: Socket::Packets(socket) }
        } else {
            Self { name, endpoint: Endpoint::Unix(path), socket: Socket::Unix(socket) }
        })
    }

    /// Whether messages come in on its connections.
    pub(super) fn takes_packets(&self) -> bool {
        matches!(self.socket, Socket::Packets(_))
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => Stream::tcp(socket.accept().await?.0),
            Socket::Unix(socket) | Socket::Packets(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

/// A Unix socket of this type that listens at `path`.
pub(super) fn bind_path(path: &Path, kind: SocketType, backlog: u32) -> io::Result<OwnedFd> {
    remove_stale(path)?;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &unix_address(path)?)?;
    rustix::net::listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Removes what an earlier server left at `path`, provided it is a socket.
pub(super) fn remove_stale(path: &Path) -> io::Result<()> {
    if abstract_name(path).is_some() {
        return Ok(());
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}
