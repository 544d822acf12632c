//! Sockets that are bound and never served: the faults that let nobody in.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SendFlags, SocketAddrAny, SocketFlags, SocketType};

use super::datagrams::bound_at;
use super::fault::FaultKind;
use super::fifo;
use super::handshake;
use super::listener::remove_stale;
use crate::model::Endpoint;
use crate::model::address::unix_address;

/// An address that is taken, and what takes it.
#[derive(Debug)]
pub(super) struct Unserved {
    /// With the port that the kernel chose.
    pub(super) endpoint: Endpoint,
    /// Open for as long as the fault lasts.
    #[expect(dead_code, reason = "held for what the kernel makes of it, never used")]
    pub(super) held: Vec<OwnedFd>,
}

/// Whether `kind` needs a socket that is never served, and so one of the server's own.
pub(super) fn is_unserved(kind: FaultKind) -> bool {
    use FaultKind::{Overflow, QueueFull, Refuse, ResetHandshake, Unread, WrongSocketType};
    matches!(kind, Refuse | QueueFull | ResetHandshake | WrongSocketType | Unread | Overflow)
}

/// Takes `endpoint` in the way of `kind`. Within a runtime only.
///
/// # Errors
/// When the kernel refuses, or the kind does not exist on this transport.
pub(super) fn occupy(kind: FaultKind, endpoint: &Endpoint) -> io::Result<Unserved> {
    if endpoint.takes_datagrams() {
        return occupy_datagrams(kind, endpoint);
    }
    if let Endpoint::Fifo(path) = endpoint {
        return occupy_fifo(kind, path);
    }
    let (family, address) = match endpoint {
        Endpoint::Tcp(address @ SocketAddr::V4(_)) => (AddressFamily::INET, SocketAddrAny::from(*address)),
        Endpoint::Tcp(address @ SocketAddr::V6(_)) => (AddressFamily::INET6, SocketAddrAny::from(*address)),
        Endpoint::Unix(path) | Endpoint::UnixSeqpacket(path) => {
            remove_stale(path)?;
            (AddressFamily::UNIX, unix_address(path)?.into())
        }
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("there is no {kind} on such an address"))),
    };
    let kind_of_socket = match (kind, endpoint) {
        (FaultKind::WrongSocketType, Endpoint::Unix(_) | Endpoint::UnixSeqpacket(_)) => SocketType::DGRAM,
        (FaultKind::Refuse | FaultKind::QueueFull, Endpoint::UnixSeqpacket(_)) => SocketType::SEQPACKET,
        (FaultKind::Refuse | FaultKind::QueueFull, _) => SocketType::STREAM,
        // The raw socket has to know which address a packet is for, and which one it comes from.
        (FaultKind::ResetHandshake, Endpoint::Tcp(SocketAddr::V4(address))) if !address.ip().is_unspecified() => {
            SocketType::STREAM
        }
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("there is no {kind} on such an address"))),
    };
    let open = || rustix::net::socket_with(family, kind_of_socket, SocketFlags::CLOEXEC, None);

    let socket = open()?;
    set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    let bound = rustix::net::getsockname(&socket)?;
    let mut held = vec![socket];
    if matches!(kind, FaultKind::QueueFull | FaultKind::ResetHandshake) {
        // listen(n) holds n + 1 connections, so a single one fills it.
        rustix::net::listen(&held[0], 0)?;
        let client = open()?;
        rustix::net::connect(&client, &bound)?;
        held.push(client);
    }
    let endpoint = SocketAddr::try_from(bound).map_or_else(|_| endpoint.clone(), Endpoint::Tcp);
    if let (FaultKind::ResetHandshake, Endpoint::Tcp(SocketAddr::V4(address))) = (kind, &endpoint) {
        handshake::spoil_all(*address)?;
    }
    Ok(Unserved { endpoint, held })
}

/// Takes the path of a FIFO in the way of `kind`.
fn occupy_fifo(kind: FaultKind, path: &Path) -> io::Result<Unserved> {
    let endpoint = Endpoint::Fifo(path.to_owned());
    match kind {
        // Nobody has it open to read.
        FaultKind::Refuse => fifo::make(path).map(|()| Unserved { endpoint, held: Vec::new() }),
        FaultKind::WrongSocketType => {
            remove_stale(path)?;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            rustix::net::bind(&socket, &unix_address(path)?)?;
            Ok(Unserved { endpoint, held: vec![socket] })
        }
        FaultKind::QueueFull => {
            fifo::make(path)?;
            let fifo = rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
            // A write of PIPE_BUF bytes is all or nothing; single bytes fill what is left of the last page.
            for bytes in [&[b'\n'; 4096][..], b"\n"] {
                while rustix::io::write(&fifo, bytes).is_ok() {}
            }
            Ok(Unserved { endpoint, held: vec![fifo] })
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, format!("there is no {kind} on such an address"))),
    }
}

/// Takes an address for datagrams in the way of `kind`.
fn occupy_datagrams(kind: FaultKind, endpoint: &Endpoint) -> io::Result<Unserved> {
    let (family, address) = bound_at(endpoint)?;
    let open = || rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let socket = open()?;
    rustix::net::bind(&socket, &address)?;
    let bound = rustix::net::getsockname(&socket)?;
    let endpoint = SocketAddr::try_from(bound.clone()).map_or_else(|_| endpoint.clone(), Endpoint::Udp);
    match (kind, &endpoint) {
        // A socket that is connected to itself hears nobody else: the kernel answers them that the port is closed.
        (FaultKind::Refuse, Endpoint::Udp(_)) => {
            rustix::net::connect(&socket, &bound)?;
            Ok(Unserved { endpoint, held: vec![socket] })
        }
        // Its file stays.
        (FaultKind::Refuse, _) => Ok(Unserved { endpoint, held: Vec::new() }),
        (FaultKind::QueueFull, Endpoint::UnixDgram(_)) => {
            let mut held = vec![socket];
            // The send buffer of one client may be full before the queue is.
            loop {
                let client = open()?;
                rustix::net::connect(&client, &bound)?;
                let sends = || rustix::net::send(&client, b"x", SendFlags::DONTWAIT).is_ok();
                if !sends() {
                    break;
                }
                while sends() {}
                held.push(client);
            }
            Ok(Unserved { endpoint, held })
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, format!("there is no {kind} on such an address"))),
    }
}
