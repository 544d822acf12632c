//! What comes back for one message, found out before any load is planned.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with,
};

use crate::model::Endpoint;
use crate::model::address::unix_address;

/// How long an answer may take: the message may start the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// No message is longer.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What a service answers to one message; a FIFO answers nothing.
///
/// # Errors
/// When the message is not taken, or nothing comes back within 10 s.
pub(super) fn reply_of(endpoint: &Endpoint, message: &[u8]) -> io::Result<Vec<u8>> {
    if let Endpoint::Fifo(path) = endpoint {
        return write_to(path, message).map(|()| Vec::new());
    }
    let socket = connected(endpoint)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    send(&socket, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        .map_err(|errno| told(errno, "its queue is full"))?;
    let mut reply = vec![0; MESSAGE_BYTES_MAX];
    let silence = format!("nothing came back within {} s", PATIENCE.as_secs());
    let (length, _) = recv(&socket, reply.as_mut_slice(), RecvFlags::empty()).map_err(|errno| told(errno, &silence))?;
    reply.truncate(length);
    Ok(reply)
}

/// What EAGAIN means here, in words.
fn told(errno: Errno, again: &str) -> io::Error {
    if errno == Errno::AGAIN { io::Error::new(ErrorKind::TimedOut, again) } else { errno.into() }
}

fn connected(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let open = |family, kind| socket_with(family, kind, SocketFlags::CLOEXEC, None);
    let socket = match endpoint {
        Endpoint::Tcp(address) | Endpoint::Udp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = open(family, SocketType::DGRAM)?;
            connect(&socket, address)?;
            socket
        }
        Endpoint::UnixSeqpacket(path) => {
            let socket = open(AddressFamily::UNIX, SocketType::SEQPACKET)?;
            connect(&socket, &unix_address(path)?)?;
            socket
        }
        Endpoint::Unix(path) | Endpoint::UnixDgram(path) | Endpoint::Fifo(path) => {
            let socket = open(AddressFamily::UNIX, SocketType::DGRAM)?;
            bind(&socket, &SocketAddrUnix::new_unnamed())?;
            connect(&socket, &unix_address(path)?)?;
            socket
        }
    };
    Ok(socket)
}

fn write_to(path: &Path, message: &[u8]) -> io::Result<()> {
    if !path.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is not a FIFO"));
    }
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let told = |error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::NXIO) => io::Error::new(ErrorKind::ConnectionRefused, "no process reads from it"),
        Some(Errno::AGAIN) => io::Error::new(ErrorKind::TimedOut, "it is full"),
        _ => error,
    };
    let mut fifo = OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(told)?;
    fifo.write_all(message).map_err(told)
}
