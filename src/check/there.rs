//! What runs for a unit of another machine, as far as a shell there can tell: processes, where they listen, and whether
//! they were passed sockets. The kernel's queues, and who holds a listener, it cannot tell.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::live::by_port;
use crate::host::receiver;
use crate::model::Endpoint;
use crate::ssh::Ssh;

/// What was seen there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) processes: Vec<u32>,
    /// Where its processes listen, at sockets that systemd does not hold.
    pub(super) listens_at: Vec<Endpoint>,
    /// Where they take datagrams over UDP.
    pub(super) receives_at: Vec<Endpoint>,
    /// The same at ports that the kernel may have chosen.
    pub(super) may_receive_at: Vec<Endpoint>,
    /// None where the environment of the main process may not be read.
    pub(super) was_passed_sockets: Option<bool>,
}

/// Looks at the processes of a control group and the main one among them.
pub(super) async fn look(ssh: &Ssh, control_group: &str, main: Option<u32>) -> io::Result<Looked> {
    let main = main.map(|pid| pid.to_string()).unwrap_or_default();
    let told = ssh.run(include_str!("there.sh"), &[control_group, &main]).await?;
    Ok(read(&String::from_utf8_lossy(&told)))
}

fn read(told: &str) -> Looked {
    let mut looked = Looked::default();
    let (mut own, mut systemds) = (BTreeSet::new(), BTreeSet::new());
    let (mut listeners, mut receivers) = (Vec::new(), Vec::new());
    let mut given = receiver::local_ports();
    for line in told.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["pid", pid] => looked.processes.extend(pid.parse::<u32>()),
            ["inode", inode] => {
                own.insert((*inode).to_owned());
            }
            ["systemd", inode] => {
                systemds.insert((*inode).to_owned());
            }
            ["tcp", address, inode] => listeners.extend(address_of(address).map(|it| (it, (*inode).to_owned()))),
            ["udp", address, inode] => receivers.extend(address_of(address).map(|it| (it, (*inode).to_owned()))),
            ["ports", first, last] => given = receiver::ports(&format!("{first} {last}")).unwrap_or(given),
            ["environment"] => looked.was_passed_sockets = Some(false),
            ["passed"] => looked.was_passed_sockets = Some(true),
            _ => {}
        }
    }
    let of_unit = |sockets: Vec<(SocketAddr, String)>, kind: fn(SocketAddr) -> Endpoint| {
        let own = sockets.into_iter().filter(|(_, inode)| own.contains(inode) && !systemds.contains(inode));
        let endpoints: BTreeSet<Endpoint> = own.map(|(address, _)| kind(address)).collect();
        endpoints.into_iter().collect::<Vec<_>>()
    };
    looked.listens_at = of_unit(listeners, Endpoint::Tcp);
    (looked.may_receive_at, looked.receives_at) = by_port(of_unit(receivers, Endpoint::Udp), &given);
    looked
}

/// Of /proc/net/tcp and tcp6 (proc(5)): each 32 bits of the address as a number in the byte order of a little-endian
/// machine, the port as a number.
fn address_of(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = (0..address.len() / 8).map(|nth| u32::from_str_radix(address.get(nth * 8..nth * 8 + 8)?, 16).ok());
    let words: Vec<[u8; 4]> = words.map(|word| word.map(u32::to_le_bytes)).collect::<Option<_>>()?;
    let ip: IpAddr = match words.as_slice() {
        [word] => Ipv4Addr::from(*word).into(),
        [..] => Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_proc_is_read() {
        let read = |text| address_of(text).map(|address| address.to_string());
        assert_eq!(read("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(read("00000000:0050").as_deref(), Some("0.0.0.0:80"));
        assert_eq!(read("00000000000000000000000001000000:0050").as_deref(), Some("[::1]:80"));
        assert_eq!((read(""), read("0100007F"), read("xx00007F:0050"), read("01:0050")), (None, None, None, None));
    }

    #[test]
    fn what_the_unit_listens_at_is_neither_systemds_nor_anothers() {
        let told = "pid 7\ninode 1\ninode 2\npid 8\ninode 1\nsystemd 2\nenvironment\npassed\n\
                    tcp 00000000:0050 1\ntcp 00000000:0051 2\ntcp 00000000:0052 3\n";
        let told = format!(
            "{told}udp 00000000:0035 1\nudp 00000000:9C40 1\nudp 00000000:0036 2\nudp 00000000:0037 3\nports 40000 50000\n"
        );
        let looked = read(&told);
        assert_eq!((looked.processes, looked.was_passed_sockets), (vec![7, 8], Some(true)));
        assert_eq!(looked.listens_at, [Endpoint::Tcp(([0, 0, 0, 0], 80).into())]);
        let udp = |port| [Endpoint::Udp(([0, 0, 0, 0], port).into())];
        assert_eq!((looked.receives_at, looked.may_receive_at), (udp(53).to_vec(), udp(40_000).to_vec()));
        assert_eq!(read("").was_passed_sockets, None);
    }
}
