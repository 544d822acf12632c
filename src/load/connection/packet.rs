//! Sockets that carry messages, and FIFOs: each message is taken whole or not at all, and at once.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, ipproto};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::socket::Attempt;
use super::stream::Socket;
use crate::load::classify::Trouble;
use crate::model::address::unix_address;

/// What a message is sent on.
#[derive(Debug)]
pub(in crate::load) struct MessageSocket {
    descriptor: AsyncFd<OwnedFd>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Udp,
    UnixDgram,
    /// Messages on a connection.
    UnixSeqpacket,
    /// Only written to.
    Fifo,
}

impl MessageSocket {
    #[expect(deprecated, reason = "what replaces it is unsafe, and an OwnedFd keeps its descriptor as it demands")]
    fn of(descriptor: OwnedFd, kind: Kind) -> Result<Socket, Errno> {
        let interest = if kind == Kind::Fifo { Interest::WRITABLE } else { Interest::READABLE | Interest::WRITABLE };
        let descriptor = AsyncFd::with_interest(descriptor, interest);
        let descriptor = descriptor.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Socket::Message(Self { descriptor, kind }))
    }

    pub(in crate::load) fn is_unix(&self) -> bool {
        self.kind != Kind::Udp
    }

    /// Messages of it stand for themselves: no connection tells which belong together.
    pub(in crate::load) fn is_datagram(&self) -> bool {
        matches!(self.kind, Kind::Udp | Kind::UnixDgram)
    }

    /// Sends one message. What the kernel does not take now, it does not take.
    pub(in crate::load) fn send(&self, message: &[u8]) -> io::Result<usize> {
        let descriptor = self.descriptor.get_ref();
        let taken = match self.kind {
            Kind::Fifo => rustix::io::write(descriptor, message),
            _ => rustix::net::send(descriptor, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT),
        }?;
        if taken < message.len() { Err(Errno::AGAIN.into()) } else { Ok(taken) }
    }

    /// What an error of it means: on a connection, as on any other unless the kernel took nothing.
    pub(in crate::load) fn trouble(&self, error: &io::Error) -> Trouble {
        match error.raw_os_error() {
            Some(errno) if self.kind != Kind::UnixSeqpacket || is_full(errno) => Trouble::Message(errno),
            _ => Trouble::of(error),
        }
    }
}

fn is_full(errno: i32) -> bool {
    matches!(Errno::from_raw_os_error(errno), Errno::AGAIN | Errno::NOBUFS)
}

impl AsFd for MessageSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsyncRead for MessageSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut has_looked_again = false;
        loop {
            match rustix::net::recv(&self.descriptor, into.initialize_unfilled(), RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => {}
                Err(errno) => return Poll::Ready(Err(errno.into())),
                Ok((_, length)) => {
                    into.advance(length);
                    return Poll::Ready(Ok(()));
                }
            }
            let mut waits = true;
            if let Poll::Ready(guard) = self.descriptor.poll_read_ready(cx) {
                guard?.clear_ready();
                waits = false;
            }
            // That a datagram was refused is an error of the socket, which the reactor takes for an end of its way out:
            // one that came since, and that it goes on telling of.
            if let Poll::Ready(guard) = self.descriptor.poll_write_ready(cx) {
                let mut guard = guard?;
                waits &= guard.ready().is_write_closed() && std::mem::replace(&mut has_looked_again, true);
                guard.clear_ready();
            }
            if waits {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for MessageSocket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.send(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A socket of its own that hears of `address` alone, and of what the network says of it.
pub(super) fn connect_udp(address: SocketAddr) -> Attempt {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let opened = new_socket(family, SocketType::DGRAM).and_then(|socket| {
        rustix::net::connect(&socket, &address)?;
        Ok(socket)
    });
    let socket = match opened {
        Ok(socket) => socket,
        Err(errno) => return Attempt { local: None, socket: Err(errno) },
    };
    let local = rustix::net::getsockname(&socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
    Attempt { local, socket: MessageSocket::of(socket, Kind::Udp) }
}

/// A socket with an address that the kernel chooses: without one it could not be answered.
pub(super) fn connect_unix_dgram(path: &Path) -> Result<Socket, Errno> {
    let socket = new_socket(AddressFamily::UNIX, SocketType::DGRAM)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
    rustix::net::connect(&socket, &unix_address(path)?)?;
    MessageSocket::of(socket, Kind::UnixDgram)
}

pub(super) fn connect_unix_seqpacket(path: &Path) -> Result<Socket, Errno> {
    let socket = new_socket(AddressFamily::UNIX, SocketType::SEQPACKET)?;
    rustix::net::connect(&socket, &unix_address(path)?)?;
    MessageSocket::of(socket, Kind::UnixSeqpacket)
}

/// Opens a FIFO to write to: ENXIO where no process has it open to read. Nothing but a FIFO is opened.
pub(super) fn open_fifo(path: &Path) -> Result<Socket, Errno> {
    let file = fs::metadata(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if !file.file_type().is_fifo() {
        return Err(Errno::INVAL);
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    MessageSocket::of(rustix::fs::open(path, flags, Mode::empty())?, Kind::Fifo)
}

fn new_socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    let protocol = (family != AddressFamily::UNIX).then_some(ipproto::UDP);
    rustix::net::socket_with(family, kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, protocol)
}
