//! Reads the status off the first bytes of an answer, so that it is known even when the rest never comes.

/// `HTTP/1.1 200`
const STATUS_END: usize = 12;

/// The status of the answer that starts with `bytes`, once the line is whole and is a status line.
pub(in crate::load) fn status(bytes: &[u8]) -> Option<u16> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let start = bytes[..end].get(..STATUS_END)?;
    if !start.starts_with(b"HTTP/1.") || start[8] != b' ' {
        return None;
    }
    let digits = std::str::from_utf8(&start[9..]).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_line_has_a_status() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n";
        let line = answer.iter().position(|&byte| byte == b'\n').unwrap();
        for cut in 0..answer.len() {
            assert_eq!(status(&answer[..cut]), (cut > line).then_some(503), "{cut}");
        }
        assert_eq!(status(b"HTTP/1.0 200\n"), Some(200));
    }

    #[test]
    fn another_protocol_has_none() {
        for line in ["SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 2\r\n", "HTTP/1.1 2x0 OK\r\n", "\n"] {
            assert_eq!(status(line.as_bytes()), None, "{line:?}");
        }
    }
}
