//! A socket that the server takes datagrams at: each is a request, and its answer one datagram to whoever sent it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, socket_with};
use tokio::net::{UdpSocket, UnixDatagram};

use super::fault::{FaultKind, Scope};
use super::listener::remove_stale;
use super::pause::pause;
use super::selection::choose;
use super::service::Service;
use crate::model::Endpoint;
use crate::model::address::{of_abstract, unix_address};

/// The longest datagram that is taken.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;

/// Takes datagrams at one address.
#[derive(Debug)]
pub(super) struct Datagrams {
    /// FileDescriptorName= of the manager; `own` for a socket of our own.
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    /// Binds a socket. Within a runtime only.
    pub(super) fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        let (family, address) = bound_at(endpoint)?;
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &address)?;
        Self::inherit("own".to_owned(), socket, family)
    }

    /// Takes over a socket that others hold as well. Within a runtime only.
    pub(super) fn inherit(name: String, socket: OwnedFd, family: AddressFamily) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if family != AddressFamily::UNIX {
            let socket = UdpSocket::from_std(socket.into())?;
            return Ok(Self { name, endpoint: Endpoint::Udp(socket.local_addr()?), socket: Socket::Udp(socket) });
        }
        let socket = UnixDatagram::from_std(socket.into())?;
        let address = socket.local_addr()?;
        let name_of = || address.as_abstract_name().map(of_abstract);
        let path = address.as_pathname().map(Path::to_owned).or_else(name_of);
        let path = path.ok_or_else(|| io::Error::other("it has neither a path nor an abstract name"))?;
        Ok(Self { name, endpoint: Endpoint::UnixDgram(path), socket: Socket::Unix(socket) })
    }

    /// Answers each datagram with `ok PID`, one after the other, until the server stops.
    pub(super) async fn serve(self, service: Arc<Service>) {
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        let mut stopping = service.stopping.subscribe();
        loop {
            let peer = tokio::select! {
                peer = self.socket.receive(&mut datagram) => peer,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            // What the network tells of an earlier answer is not a request.
            let Ok(peer) = peer else { continue };
            let fault = choose(&service.options.faults, Scope::Request, service.counters.request());
            fault.into_iter().for_each(|kind| service.counters.injection(kind));
            pause(service.options.service_time).await;
            service.thaw().await;
            let answer = match fault {
                Some(FaultKind::Stall) => continue,
                Some(FaultKind::WrongBody) => "wrong\n".to_owned(),
                _ => format!("ok {}\n", std::process::id()),
            };
            if self.socket.send(answer.as_bytes(), &peer).await.is_ok() {
                service.count_answer();
            }
        }
    }
}

/// Who is to be answered.
enum Peer {
    Udp(std::net::SocketAddr),
    Unix(tokio::net::unix::SocketAddr),
}

impl Socket {
    async fn receive(&self, into: &mut [u8]) -> io::Result<Peer> {
        match self {
            Self::Udp(socket) => Ok(Peer::Udp(socket.recv_from(into).await?.1)),
            Self::Unix(socket) => Ok(Peer::Unix(socket.recv_from(into).await?.1)),
        }
    }

    async fn send(&self, answer: &[u8], peer: &Peer) -> io::Result<()> {
        match (self, peer) {
            (Self::Udp(socket), Peer::Udp(peer)) => socket.send_to(answer, peer).await.map(drop),
            (Self::Unix(socket), Peer::Unix(peer)) => {
                let peer: std::os::unix::net::SocketAddr = peer.clone().into();
                let name = peer.as_pathname().map(Path::to_owned).or_else(|| peer.as_abstract_name().map(of_abstract));
                let address = unix_address(&name.ok_or_else(|| io::Error::other("it has no address"))?)?;
                // A client that does not read is not waited for.
                rustix::net::sendto(socket, answer, rustix::net::SendFlags::DONTWAIT, &address)?;
                Ok(())
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// The family and the address of a socket that takes datagrams at `endpoint`.
pub(super) fn bound_at(endpoint: &Endpoint) -> io::Result<(AddressFamily, SocketAddrAny)> {
    match endpoint {
        Endpoint::Udp(address) if address.is_ipv4() => Ok((AddressFamily::INET, (*address).into())),
        Endpoint::Udp(address) => Ok((AddressFamily::INET6, (*address).into())),
        Endpoint::UnixDgram(path) => {
            remove_stale(path)?;
            Ok((AddressFamily::UNIX, unix_address(path)?.into()))
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "no datagrams are sent to such an address")),
    }
}
