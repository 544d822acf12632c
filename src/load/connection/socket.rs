//! Connects, and keeps the local address even of a connection that was refused.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use tokio::net::{TcpStream, UnixStream};

use super::packet;
use super::stream::Socket;
use crate::model::Endpoint;
use crate::model::address::unix_address;

/// A connect call and what came of it.
#[derive(Debug)]
pub(in crate::load) struct Attempt {
    /// Our address; none for Unix sockets, and where the kernel gave none.
    pub(in crate::load) local: Option<SocketAddr>,
    /// The socket, not necessarily connected yet, or the errno.
    pub(in crate::load) socket: Result<Socket, Errno>,
}

/// Makes the connect call; [`poll_established`] tells whether it succeeded.
pub(in crate::load) fn connect(endpoint: &Endpoint) -> Attempt {
    match endpoint {
        Endpoint::Tcp(address) => connect_tcp(*address),
        Endpoint::Unix(path) => Attempt { local: None, socket: connect_unix(path) },
        Endpoint::Udp(address) => packet::connect_udp(*address),
        Endpoint::UnixDgram(path) => Attempt { local: None, socket: packet::connect_unix_dgram(path) },
        Endpoint::UnixSeqpacket(path) => Attempt { local: None, socket: packet::connect_unix_seqpacket(path) },
        Endpoint::Fifo(path) => Attempt { local: None, socket: packet::open_fifo(path) },
    }
}

fn connect_tcp(address: SocketAddr) -> Attempt {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = match new_socket(family) {
        Ok(socket) => socket,
        Err(errno) => return Attempt { local: None, socket: Err(errno) },
    };
    let connected = match rustix::net::connect(&socket, &address) {
        // EINPROGRESS: the handshake goes on.
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(errno) => Err(errno),
    };
    let local = rustix::net::getsockname(&socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
    let local = local.filter(|address| address.port() != 0);
    let socket = connected.and_then(|()| {
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        TcpStream::from_std(std::net::TcpStream::from(socket)).map(Socket::Tcp).map_err(|error| errno(&error))
    });
    Attempt { local, socket }
}

fn connect_unix(path: &Path) -> Result<Socket, Errno> {
    let socket = new_socket(AddressFamily::UNIX)?;
    rustix::net::connect(&socket, &unix_address(path)?)?;
    let socket = std::os::unix::net::UnixStream::from(socket);
    UnixStream::from_std(socket).map(Socket::Unix).map_err(|error| errno(&error))
}

fn new_socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let protocol = (family != AddressFamily::UNIX).then_some(ipproto::TCP);
    rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, protocol)
}

/// Resolves when the handshake of TCP is over.
///
/// # Errors
/// The errno of the failed connect.
pub(in crate::load) fn poll_established(socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), Errno>> {
    // Every other socket is connected when connect(2) returns.
    let Socket::Tcp(tcp) = socket else { return Poll::Ready(Ok(())) };
    ready!(tcp.poll_write_ready(cx)).map_err(|error| errno(&error))?;
    Poll::Ready(rustix::net::sockopt::socket_error(tcp)?)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::TcpListener;

    use super::*;

    async fn outcome(attempt: Attempt) -> Result<(), Errno> {
        let socket = attempt.socket?;
        poll_fn(|cx| poll_established(&socket, cx)).await
    }

    #[tokio::test]
    async fn a_refused_connection_has_its_local_port() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let attempt = connect(&Endpoint::Tcp(gone));
        let local = attempt.local.expect("getsockname knows it");
        assert!(local.ip().is_loopback() && local.port() != 0);
        assert_eq!(outcome(attempt).await, Err(Errno::CONNREFUSED));
    }

    #[tokio::test]
    async fn a_unix_socket_says_what_is_wrong_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let endpoint = Endpoint::Unix(path.clone());
        assert_eq!(outcome(connect(&endpoint)).await, Err(Errno::NOENT));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(outcome(connect(&endpoint)).await, Err(Errno::CONNREFUSED));
    }
}
