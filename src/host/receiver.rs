//! Who takes datagrams, and who reads from a FIFO: there is no queue of connections, but what waits to be read.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetResponse, StateFlags};
use netlink_packet_sock_diag::unix::StateFlags as UnixStateFlags;
use rustix::fs::{Mode, OFlags};

use super::listener::{bound_to, cookie_of, dump_inet, is_taken};
use crate::model::Endpoint;
use crate::model::address::Listener;

/// A Unix socket for datagrams is in TCP_CLOSE until somebody connects to it, and in TCP_ESTABLISHED from then on
/// (include/net/tcp_states.h; `unix_dgram_connect`, net/unix/af_unix.c).
pub(super) const DATAGRAM_STATES: UnixStateFlags = UnixStateFlags::from_bits_retain(1 << 7 | 1 << 1);

/// The datagrams that a Unix socket queues where the kernel's setting cannot be read, and one more (net/unix/af_unix.c).
const DEFAULT_DATAGRAMS: u32 = 10;

/// The UDP sockets that a datagram to `address` could reach: as for TCP, an IPv4 one goes to a socket on `[::]` where no IPv4
/// socket takes it.
pub(super) fn udp_at(socket: &OwnedFd, address: SocketAddr) -> io::Result<Vec<Listener>> {
    let families: &[u8] = if address.is_ipv4() { &[AF_INET, AF_INET6] } else { &[AF_INET6] };
    for &family in families {
        let mut found = Vec::new();
        dump_inet(socket, (family, IPPROTO_UDP), &StateFlags::CLOSE, ExtensionFlags::SKMEMINFO, &mut |response| {
            if is_taken(response, address) {
                found.push(of_udp(response));
            }
        })?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn of_udp(response: &InetResponse) -> Listener {
    let memory = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::MemInfo(memory) => Some(memory),
        _ => None,
    });
    Listener {
        endpoint: Endpoint::Udp(bound_to(response)),
        inode: u64::from(response.header.inode),
        queued: memory.map_or(response.header.recv_queue, |memory| memory.receive_queue),
        backlog: memory.map_or(0, |memory| memory.receive_queue_max),
        cookie: Some(cookie_of(response)),
        drops: memory.map(|memory| memory.drops),
    }
}

/// What is told of the queue of a Unix socket for datagrams. The kernel gives the length of the first datagram that waits,
/// and neither their number nor the most that may wait, which is what the setting was when the socket was made.
pub(super) fn unix_queue(first_bytes: u32) -> (u32, u32) {
    let setting = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").ok();
    let most = setting.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_DATAGRAMS);
    (u32::from(first_bytes > 0), most)
}

/// The FIFO at `path`, if a process has it open to read. A look at it is what a client does, less the message.
pub(super) fn fifo_at(path: &Path) -> Vec<Listener> {
    let Some(file) = fs::metadata(path).ok().filter(|file| file.file_type().is_fifo()) else { return Vec::new() };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let Ok(open) = rustix::fs::open(path, flags, Mode::empty()) else { return Vec::new() };
    let queued = rustix::io::ioctl_fionread(&open).unwrap_or(0);
    vec![Listener {
        endpoint: Endpoint::Fifo(path.to_owned()),
        inode: file.ino(),
        queued: u32::try_from(queued).unwrap_or(u32::MAX),
        backlog: 0,
        cookie: None,
        drops: None,
    }]
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    use rustix::net::sockopt::set_socket_recv_buffer_size;

    use super::super::listener::at;
    use super::*;

    fn inode_of(socket: impl std::os::fd::AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn a_udp_socket_is_found_with_what_waits_and_with_what_was_dropped() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_socket_recv_buffer_size(&server, 4096).unwrap();
        let address = server.local_addr().unwrap();
        let found = || at(&Endpoint::Udp(address)).unwrap().remove(0);
        assert_eq!((found().inode, found().queued, found().drops), (inode_of(&server), 0, Some(0)));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            client.send_to(&[7; 500], address).unwrap();
        }
        let full = found();
        server.set_nonblocking(true).unwrap();
        let taken = std::iter::from_fn(|| server.recv(&mut [0; 1000]).ok()).count();
        assert!(full.queued > 0 && full.backlog > 0, "{full:?}");
        assert_eq!(u32::try_from(taken).unwrap() + full.drops.unwrap(), 100, "what was not taken was dropped");
        assert_eq!(found().queued, 0);
    }

    #[test]
    fn a_udp_socket_on_all_addresses_is_found_at_each_and_no_other_port_is() {
        let server = UdpSocket::bind("[::]:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let inodes = |address: SocketAddr| -> Vec<u64> {
            at(&Endpoint::Udp(address)).unwrap().iter().map(|found| found.inode).collect()
        };
        assert_eq!(inodes(([127, 0, 0, 1], port).into()), [inode_of(&server)]);
        assert_eq!(inodes((std::net::Ipv6Addr::LOCALHOST, port).into()), [inode_of(&server)]);
        assert_eq!(at(&Endpoint::Tcp(([127, 0, 0, 1], port).into())).unwrap(), [], "nobody listens over TCP");
        drop(server);
        assert!(inodes(([127, 0, 0, 1], port).into()).is_empty());
    }

    #[test]
    fn a_unix_socket_for_datagrams_is_not_one_that_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let server = UnixDatagram::bind(&path).unwrap();
        let found = || at(&Endpoint::UnixDgram(path.clone())).unwrap().remove(0);
        assert_eq!((found().inode, found().queued), (inode_of(&server), 0));
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&path).unwrap();
        assert_eq!((found().inode, found().queued), (inode_of(&server), 0), "it is found once a client has connected");
        client.send(b"x").unwrap();
        assert_eq!(found().queued, 1);
        assert_eq!(at(&Endpoint::Unix(path.clone())).unwrap(), []);
        assert_eq!(at(&Endpoint::UnixSeqpacket(path)).unwrap(), []);
    }

    #[test]
    fn a_fifo_is_found_while_it_is_read_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        let found = || at(&Endpoint::Fifo(path.clone())).unwrap();
        assert_eq!(found(), [], "nobody reads");
        let reader = rustix::fs::open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
        rustix::io::write(&reader, b"waits").unwrap();
        assert_eq!(found().iter().map(|fifo| (fifo.inode, fifo.queued)).collect::<Vec<_>>(), [(inode_of(&reader), 5)]);
        assert_eq!(at(&Endpoint::Fifo(folder.path().to_owned())).unwrap(), [], "a folder is not a FIFO");
    }
}
