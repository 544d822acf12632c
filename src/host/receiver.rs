//! Who takes datagrams, and who reads from a FIFO: there is no queue of connections, but what waits to be read.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetResponse, StateFlags};
use netlink_packet_sock_diag::unix::StateFlags as UnixStateFlags;
use rustix::fs::{Mode, OFlags};

use super::listener::{bound_to, cookie_of, diagnostic_socket, dump_inet, is_taken, unix_receivers};
use crate::model::Endpoint;
use crate::model::address::{Listener, abstract_name};

/// A Unix socket for datagrams is in TCP_CLOSE until somebody connects to it, and in TCP_ESTABLISHED from then on
/// (include/net/tcp_states.h; `unix_dgram_connect`, net/unix/af_unix.c).
pub(super) const DATAGRAM_STATES: UnixStateFlags = UnixStateFlags::from_bits_retain(1 << 7 | 1 << 1);

/// The datagrams that a Unix socket queues where the kernel's setting cannot be read, and one more (net/unix/af_unix.c).
const DEFAULT_DATAGRAMS: u32 = 10;

/// The ports that the kernel gives to sockets that ask for none, where its setting cannot be read (ip(7)).
const DEFAULT_LOCAL_PORTS: RangeInclusive<u16> = 32_768..=60_999;

/// Every socket of this network namespace that takes datagrams from anybody: of UDP those that are not connected, and Unix
/// ones with a name that was chosen for them.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn all() -> io::Result<Vec<Listener>> {
    let socket = diagnostic_socket()?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        dump_inet(&socket, (family, IPPROTO_UDP), &StateFlags::CLOSE, ExtensionFlags::SKMEMINFO, &mut |response| {
            found.push(of_udp(response));
        })?;
    }
    found.extend(unix_receivers(&socket)?);
    found.retain(|receiver| !receiver.endpoint.name().is_some_and(is_given_by_kernel));
    found.sort_by_key(|receiver| receiver.inode);
    Ok(found)
}

/// Whether a name is of the kind that the kernel gives to Unix sockets that ask for none, as those of clients do: five
/// hexadecimal characters in the abstract name space (unix(7), autobind).
fn is_given_by_kernel(name: &Path) -> bool {
    abstract_name(name).is_some_and(|name| name.len() == 5 && name.iter().all(u8::is_ascii_hexdigit))
}

/// The ports that the kernel gives to sockets that ask for none: such a port may be that of a client.
#[must_use]
pub fn local_ports() -> RangeInclusive<u16> {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    ports(&setting).unwrap_or(DEFAULT_LOCAL_PORTS)
}

/// `net.ipv4.ip_local_port_range` as the kernel writes it: the first port and the last one.
#[must_use]
pub fn ports(setting: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = setting.split_whitespace().map(str::parse);
    let (Some(Ok(first)), Some(Ok(last)), None) = (ends.next(), ends.next(), ends.next()) else { return None };
    Some(first..=last)
}

/// The FIFOs that a process has open to read, by the paths that lead to them.
#[must_use]
pub fn fifos_of(pid: u32) -> Vec<Endpoint> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let fifo = |entry: fs::DirEntry| {
        let path = fs::read_link(entry.path()).ok()?;
        let information = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?)).ok()?;
        let (open, named) = (fs::metadata(entry.path()).ok()?, fs::metadata(&path).ok()?);
        let is_it = (open.dev(), open.ino()) == (named.dev(), named.ino());
        (open.file_type().is_fifo() && is_it && is_read(&information)).then_some(Endpoint::Fifo(path))
    };
    entries.filter_map(fifo).collect()
}

/// Whether a descriptor is open to read, by the octal flags in `/proc/PID/fdinfo` (proc_pid_fdinfo(5)).
fn is_read(information: &str) -> bool {
    const ACCESS_MODE: u32 = 0b11;
    let flags = information.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & ACCESS_MODE != OFlags::WRONLY.bits())
}

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
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

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
        assert_eq!(at(&Endpoint::Tcp(([127, 0, 0, 1], port).into())).unwrap(), [], "no process is listening over TCP");
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

    #[test]
    fn who_takes_datagrams_from_anybody_is_listed_and_what_is_a_clients_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [server, client] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        client.connect(server.local_addr().unwrap()).unwrap();
        let unix_server = UnixDatagram::bind(folder.path().join("s")).unwrap();
        let unix_client =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&unix_client, &SocketAddrUnix::new_unnamed()).unwrap();
        let inodes: Vec<u64> = all().unwrap().into_iter().map(|receiver| receiver.inode).collect();
        assert!(inodes.contains(&inode_of(&server)) && inodes.contains(&inode_of(&unix_server)));
        assert!(!inodes.contains(&inode_of(&client)), "it is connected");
        assert!(!inodes.contains(&inode_of(&unix_client)), "the kernel gave it its name");
    }

    #[test]
    fn a_fifo_is_a_processs_that_has_it_open_to_read_under_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let [read, written, gone] = ["read", "written", "gone"].map(|name| folder.path().join(name));
        let mode = Mode::from_raw_mode(0o600);
        for path in [&read, &written, &gone] {
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        }
        let open = |path: &Path, flags| rustix::fs::open(path, flags | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let _open = (open(&read, OFlags::RDONLY), open(&written, OFlags::RDWR), open(&gone, OFlags::RDWR));
        let own = || -> Vec<Endpoint> {
            let here = |fifo: &Endpoint| fifo.path().is_some_and(|path| path.starts_with(folder.path()));
            let mut own: Vec<Endpoint> = fifos_of(std::process::id()).into_iter().filter(here).collect();
            own.sort();
            own
        };
        assert_eq!(own().len(), 3);
        fs::remove_file(&gone).unwrap();
        let _writer = open(&read, OFlags::WRONLY);
        assert_eq!(own(), [Endpoint::Fifo(read.clone()), Endpoint::Fifo(written.clone())]);
        assert!(is_read("pos:\t0\nflags:\t0100000\n") && is_read("flags:\t02\n"));
        assert!(!is_read("pos:\t0\nflags:\t0100001\n") && !is_read(""));
    }

    #[test]
    fn the_range_of_local_ports_is_read_as_the_kernel_writes_it() {
        assert_eq!(ports("32768\t60999\n"), Some(DEFAULT_LOCAL_PORTS));
        assert_eq!([ports(""), ports("1"), ports("1 2 3"), ports("a b")], [const { None }; 4]);
    }
}
