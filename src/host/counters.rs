//! Counters of the kernel's TCP and UDP, for the whole network namespace.

use std::fs;
use std::io;

/// Those that tell of lost or saved connections and of datagrams without room, by their names in `/proc/net/netstat` and `/proc/net/snmp`.
const WANTED: &[&str] = &[
    "ListenOverflows",
    "ListenDrops",
    "TCPMigrateReqSuccess",
    "TCPMigrateReqFailure",
    "EstabResets",
    "OutRsts",
    "RcvbufErrors",
];

/// Name and value since boot, ascending by name. A counter that this kernel does not have is left out.
///
/// # Errors
/// When `/proc/net` cannot be read.
pub fn read() -> io::Result<Vec<(String, u64)>> {
    let mut values = parse(&fs::read_to_string("/proc/net/netstat")?);
    values.extend(parse(&fs::read_to_string("/proc/net/snmp")?));
    values.sort();
    Ok(values)
}

/// The files hold pairs of lines: `TcpExt: names...` and `TcpExt: values...`.
fn parse(text: &str) -> Vec<(String, u64)> {
    let lines: Vec<&str> = text.lines().collect();
    // UDP-Lite has counters of the same names.
    let pairs = lines.chunks_exact(2).filter(|pair| !pair[0].starts_with("UdpLite:")).flat_map(|pair| {
        let (names, values) = (pair[0].split_whitespace().skip(1), pair[1].split_whitespace().skip(1));
        names.zip(values)
    });
    pairs
        .filter(|(name, _)| WANTED.contains(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_the_wanted_counters_are_kept() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 2 3\n";
        assert_eq!(parse(text), [("ListenOverflows".to_owned(), 2), ("ListenDrops".to_owned(), 3)]);
    }

    #[test]
    fn the_datagrams_without_room_are_those_of_udp() {
        let text = "Udp: InDatagrams RcvbufErrors\nUdp: 9 4\nUdpLite: InDatagrams RcvbufErrors\nUdpLite: 8 7\n";
        assert_eq!(parse(text), [("RcvbufErrors".to_owned(), 4)]);
    }

    #[test]
    fn a_reset_that_the_kernel_sends_is_counted() {
        let resets = || read().unwrap().into_iter().find(|(name, _)| name == "OutRsts").unwrap().1;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let before = resets();
        assert!(TcpStream::connect(address).is_err());
        assert!(resets() > before);
    }
}
