//! Handshakes that end in a reset, so that the client's connect itself fails with ECONNRESET.
//!
//! A listener can only refuse a client (a reset in answer to its SYN is ECONNREFUSED) or let it in: once it has
//! answered with a SYN of its own, the client is connected, and whether a reset comes before the client looks is a
//! race. What is left is the simultaneous open of RFC 9293 section 3.5: to a SYN without an acknowledgement the client
//! answers with SYN and ACK and is *not* connected yet; the kernel's own listener has no use for that and resets it.
//! Only the one packet has to be forged.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// More than headers take, and all that a SYN has.
const PACKET_BYTES: usize = 256;
/// Length of a TCP header without options.
const HEADER_BYTES: u8 = 20;
/// The protocol number of TCP in an IPv4 header.
const PROTOCOL_TCP: u8 = 6;

/// Flags of a TCP header (RFC 9293 section 3.1).
mod flag {
    pub(super) const FIN: u8 = 1;
    pub(super) const SYN: u8 = 1 << 1;
    pub(super) const RST: u8 = 1 << 2;
    pub(super) const ACK: u8 = 1 << 4;
}

/// Answers every SYN to `address` with a SYN, for as long as the runtime lives. The kernel must not answer any itself:
/// who listens there must have a full queue. Within a runtime only.
///
/// # Errors
/// When there can be no raw socket, which takes CAP_NET_RAW.
#[expect(deprecated, reason = "what replaces it is unsafe, and an OwnedFd keeps its descriptor as it demands")]
pub(super) fn spoil_all(address: SocketAddrV4) -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(ipproto::TCP),
    )
    .map_err(|error| io::Error::new(error.kind(), format!("a raw socket takes CAP_NET_RAW: {error}")))?;
    // Which packets it gets, and where those that it sends come from.
    rustix::net::bind(&socket, &SocketAddrV4::new(*address.ip(), 0))?;
    let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
    tokio::spawn(async move {
        let mut packet = [0; PACKET_BYTES];
        // An error of the socket ends the fault: connects then time out, which no client takes for a reset.
        while let Ok(length) = receive(&socket, &mut packet).await {
            if let Some(client) = Handshake::begun_by(&packet[..length]).filter(|client| client.to == address) {
                let destination = SocketAddrV4::new(*client.from.ip(), 0);
                // A packet that the kernel does not take is lost like any other: the client sends its SYN again.
                let _ = rustix::net::sendto(&socket, &client.answer(), SendFlags::empty(), &destination);
            }
        }
    });
    Ok(())
}

async fn receive(socket: &AsyncFd<OwnedFd>, packet: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| {
            let (length, _) = rustix::net::recv(socket, &mut *packet, RecvFlags::empty())?;
            Ok(length)
        });
        if let Ok(received) = received {
            return received;
        }
    }
}

/// A client's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Handshake {
    from: SocketAddrV4,
    to: SocketAddrV4,
}

impl Handshake {
    /// Of an IPv4 packet; none if it is anything but a SYN.
    fn begun_by(packet: &[u8]) -> Option<Self> {
        let header_bytes = usize::from(packet.first()? & 0xf) * 4;
        let address = |at: usize| packet.get(at..at + 4)?.try_into().ok().map(|bytes: [u8; 4]| Ipv4Addr::from(bytes));
        let tcp = packet.get(header_bytes..)?;
        let port = |at: usize| tcp.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
        let flags = tcp.get(13)? & (flag::FIN | flag::SYN | flag::RST | flag::ACK);
        let begun =
            Self { from: SocketAddrV4::new(address(12)?, port(0)?), to: SocketAddrV4::new(address(16)?, port(2)?) };
        (flags == flag::SYN).then_some(begun)
    }

    /// A SYN the other way, with nothing acknowledged.
    fn answer(self) -> [u8; HEADER_BYTES as usize] {
        let mut header = [0; HEADER_BYTES as usize];
        header[0..2].copy_from_slice(&self.to.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.from.port().to_be_bytes());
        // Where our numbers begin does not matter: nothing is ever sent. The length counts in words, in the high bits.
        header[12] = (HEADER_BYTES / 4) << 4;
        header[13] = flag::SYN;
        header[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        let sum = checksum(*self.to.ip(), *self.from.ip(), &header);
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        header
    }
}

/// The checksum of a TCP header of an even length, with what it takes of the IPv4 header (RFC 9293 section 3.1).
fn checksum(from: Ipv4Addr, to: Ipv4Addr, header: &[u8; HEADER_BYTES as usize]) -> u16 {
    let pseudo = [[0, PROTOCOL_TCP], [0, HEADER_BYTES]];
    let words = [from.octets(), to.octets()].concat().into_iter().chain(pseudo.concat()).chain(*header);
    let words = words.collect::<Vec<_>>();
    let sum = words.chunks_exact(2).fold(0_u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
        sum + u16::from(carry)
    });
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_000);
    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 8010);
    const HANDSHAKE: Handshake = Handshake { from: CLIENT, to: SERVER };

    /// An IPv4 packet from the server to the client with this TCP header.
    fn packet(tcp: &[u8]) -> Vec<u8> {
        let mut ip = vec![0; 20];
        ip[0] = 0x45;
        ip[12..16].copy_from_slice(&SERVER.ip().octets());
        ip[16..20].copy_from_slice(&CLIENT.ip().octets());
        [&ip, tcp].concat()
    }

    #[test]
    fn the_answer_to_a_syn_is_a_syn_the_other_way() {
        let answer = packet(&HANDSHAKE.answer());
        assert_eq!(Handshake::begun_by(&answer), Some(Handshake { from: SERVER, to: CLIENT }));
    }

    #[test]
    fn nothing_but_a_whole_syn_begins_a_handshake() {
        let mut tcp = HANDSHAKE.answer();
        for flags in [flag::ACK, flag::RST, flag::SYN | flag::ACK, flag::RST | flag::ACK, flag::FIN | flag::ACK] {
            tcp[13] = flags;
            assert_eq!(Handshake::begun_by(&packet(&tcp)), None, "{flags:#x}");
        }
        let whole = packet(&HANDSHAKE.answer());
        for length in 0..=33 {
            assert_eq!(Handshake::begun_by(&whole[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_header_with_its_checksum_sums_up_to_nothing() {
        assert_eq!(checksum(*SERVER.ip(), *CLIENT.ip(), &HANDSHAKE.answer()), 0);
    }
}
