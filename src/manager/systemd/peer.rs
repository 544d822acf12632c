//! systemd's own socket, for a D-Bus client that is strict.
//!
//! There systemd signs its messages as `org.freedesktop.systemd1`. A sender is a unique name by the D-Bus specification,
//! and zbus takes nothing else: so the sender, which tells nothing where there are two peers, is left out on the way.

use std::io;
use std::os::unix::net::UnixStream as Socket;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The sender of a message, D-Bus specification, header fields.
const SENDER: u8 = 7;

/// What precedes the header fields.
const FIXED_BYTES: usize = 16;

/// Connects to the socket at `path`: the end to speak D-Bus on. Needs a tokio runtime.
pub(super) async fn connect(path: &Path) -> io::Result<Socket> {
    let (from_systemd, mut to_systemd) = UnixStream::connect(path).await?.into_split();
    let (ours, theirs) = Socket::pair()?;
    theirs.set_nonblocking(true)?;
    let (mut from_us, to_us) = UnixStream::from_std(theirs)?.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_us, &mut to_systemd).await });
    tokio::spawn(hand_on(from_systemd, to_us));
    Ok(ours)
}

/// Ends with either connection; the other end then sees it end, too.
async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let (mut received, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&chunk[..count]);
        while let Some((taken, sent)) = next(&received) {
            received.drain(..taken);
            to.write_all(&sent).await?;
        }
    }
}

/// The first line of the handshake, or the first message without its sender, with how many bytes it took; none while it
/// is not all there.
fn next(received: &[u8]) -> Option<(usize, Vec<u8>)> {
    let number = match received.first()? {
        b'l' => u32::from_le_bytes,
        b'B' => u32::from_be_bytes,
        _ => {
            let end = received.windows(2).position(|two| two == b"\r\n")? + 2;
            return Some((end, received[..end].to_vec()));
        }
    };
    let u32_at = |at: usize| Some(number(received.get(at..at + 4)?.try_into().ok()?) as usize);
    let fields_end = FIXED_BYTES + u32_at(12)?;
    let body = fields_end.next_multiple_of(8);
    let end = body + u32_at(4)?;
    let message = received.get(..end)?;
    let mut sent = message[..FIXED_BYTES].to_vec();
    let mut at = FIXED_BYTES;
    while at < fields_end {
        let field_end = field_end(message, at, u32_at)?.min(fields_end);
        if message[at] != SENDER {
            sent.resize(sent.len().next_multiple_of(8), 0);
            sent.extend_from_slice(&message[at..field_end]);
        }
        at = field_end.next_multiple_of(8);
    }
    let length = u32::try_from(sent.len() - FIXED_BYTES).ok()?;
    sent[12..16].copy_from_slice(&if received[0] == b'l' { length.to_le_bytes() } else { length.to_be_bytes() });
    sent.resize(sent.len().next_multiple_of(8), 0);
    sent.extend_from_slice(&message[body..]);
    Some((end, sent))
}

/// Where the header field at `at` ends: a code, the signature of one basic type, and its value.
fn field_end(message: &[u8], at: usize, u32_at: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let signature = at + 2;
    let value = signature + usize::from(*message.get(at + 1)?) + 1;
    Some(match message.get(signature)? {
        b'g' => value + usize::from(*message.get(value)?) + 2,
        b'u' => value.next_multiple_of(4) + 4,
        _ => {
            let value = value.next_multiple_of(4);
            value + 4 + u32_at(value)? + 1
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of systemd 252 to Subscribe(): REPLY_SERIAL, SENDER, no body.
    const ANSWER: &[u8] = b"l\x02\x01\x01\0\0\0\0\x01\0\0\0)\0\0\0\x05\x01u\0\x01\0\0\0\
        \x07\x01s\0\x18\0\0\0org.freedesktop.systemd1\0\0\0\0\0\0\0\0";

    #[test]
    fn the_sender_is_left_out_and_nothing_else() {
        let (taken, sent) = next(ANSWER).expect("a whole message");
        assert_eq!(taken, ANSWER.len());
        assert_eq!(sent, b"l\x02\x01\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01u\0\x01\0\0\0");
    }

    #[test]
    fn what_follows_the_sender_and_the_body_stay() {
        // SENDER, then SIGNATURE; the body is a string.
        let fields = b"\x07\x01s\0\x02\0\0\0:1\0\0\0\0\0\0\x08\x01g\0\x01s\0";
        let mut message = b"l\x04\x01\x01\x07\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        message[12] = u8::try_from(fields.len()).expect("short");
        message.extend_from_slice(fields);
        message.push(0);
        message.extend_from_slice(b"\x02\0\0\0hi\0");
        let (taken, sent) = next(&message).expect("a whole message");
        assert_eq!(taken, message.len());
        assert_eq!(sent, b"l\x04\x01\x01\x07\0\0\0\x01\0\0\0\x07\0\0\0\x08\x01g\0\x01s\0\0\x02\0\0\0hi\0");
    }

    #[test]
    fn nothing_is_handed_on_before_it_is_all_there() {
        assert_eq!(next(b"OK 0123\r\nAGREE_UNIX"), Some((9, b"OK 0123\r\n".to_vec())));
        assert_eq!(next(b"AGREE_UNIX_FD\r"), None);
        for length in 0..ANSWER.len() {
            assert_eq!(next(&ANSWER[..length]), None, "{length} bytes");
        }
    }
}
