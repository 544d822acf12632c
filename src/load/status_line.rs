//! Reads the status off the first bytes of an answer, so that it is known even when the rest never comes.

/// `HTTP/1.1 200` and the byte behind it.
const STATUS_END: usize = 12;

/// Watches the bytes of one answer until its status line is whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StatusLine {
    start: [u8; STATUS_END],
    seen: usize,
    whole: bool,
}

impl StatusLine {
    /// Takes the next bytes of the answer.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.whole {
            return;
        }
        let line = match bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                self.whole = true;
                &bytes[..end]
            }
            None => bytes,
        };
        let wanted = line.len().min(STATUS_END - self.seen);
        self.start[self.seen..self.seen + wanted].copy_from_slice(&line[..wanted]);
        self.seen += wanted;
    }

    /// The status, once the line is whole and is a status line.
    pub(super) fn status(&self) -> Option<u16> {
        if !self.whole || self.seen < STATUS_END || !self.start.starts_with(b"HTTP/1.") || self.start[8] != b' ' {
            return None;
        }
        let digits = std::str::from_utf8(&self.start[9..]).ok()?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(parts: &[&str]) -> Option<u16> {
        let mut line = StatusLine::default();
        for part in parts {
            line.feed(part.as_bytes());
        }
        line.status()
    }

    #[test]
    fn a_whole_line_has_a_status_however_it_is_cut() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n";
        for cut in 0..answer.len() {
            assert_eq!(status(&[&answer[..cut], &answer[cut..]]), Some(503), "{cut}");
        }
        assert_eq!(status(&["HTTP/1.0 200\n"]), Some(200));
    }

    #[test]
    fn half_a_line_or_another_protocol_has_none() {
        assert_eq!(status(&["HTTP/1.1 200 OK"]), None);
        assert_eq!(status(&["SSH-2.0-OpenSSH_9.2p1\r\n"]), None);
        assert_eq!(status(&["HTTP/1.1 2\r\n"]), None);
        assert_eq!(status(&["\n"]), None);
    }
}
