//! Frames in a sequence of bytes, however it is cut (RFC 9113, section 4.1).

/// The length of a frame's head.
const HEAD_BYTES: usize = 9;

/// Bytes of a payload that are kept: what GOAWAY says of streams.
const KEPT_BYTES: usize = 8;

/// The head of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for frames of the connection.
    pub(super) stream: u32,
}

/// Kinds of frames that are looked at.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 1;

impl FrameHead {
    fn parse(bytes: [u8; HEAD_BYTES]) -> (Self, usize) {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        // The first bit is reserved.
        (Self { kind, flags, stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]) }, length)
    }

    /// It carries a part of a request or an answer.
    pub(super) fn is_of_message(self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS | kind::CONTINUATION)
    }

    /// Nothing of the message comes after it but CONTINUATION.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A frame, or a part of it, among some bytes.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) head: FrameHead,
    /// How many bytes of the frame these are, with those of its head.
    pub(super) bytes: u64,
    /// The frame ends with them.
    pub(super) is_last: bool,
    /// The first bytes of its payload, as far as they have come.
    pub(super) payload: &'a [u8],
}

/// Follows a sequence of frames.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Bytes that are no frames, before the first.
    skip: usize,
    partial: [u8; HEAD_BYTES],
    held: usize,
    head: FrameHead,
    /// Bytes of the payload that have still to come.
    left: usize,
    payload: [u8; KEPT_BYTES],
    kept: usize,
}

impl Scanner {
    /// Reads a sequence that has this number of bytes before its first frame.
    pub(super) fn after(skip: usize) -> Self {
        let (head, partial, payload) = (FrameHead::default(), [0; HEAD_BYTES], [0; KEPT_BYTES]);
        Self { skip, partial, held: 0, head, left: 0, payload, kept: 0 }
    }

    /// Takes the next bytes, and shows the parts of frames among them.
    pub(super) fn scan(&mut self, bytes: &[u8], mut see: impl FnMut(Part<'_>)) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let mut rest = &bytes[skipped..];
        while !rest.is_empty() {
            let mut seen = 0;
            if self.held < HEAD_BYTES {
                let taken = rest.len().min(HEAD_BYTES - self.held);
                self.partial[self.held..self.held + taken].copy_from_slice(&rest[..taken]);
                self.held += taken;
                rest = &rest[taken..];
                if self.held < HEAD_BYTES {
                    return;
                }
                (self.head, self.left) = FrameHead::parse(self.partial);
                self.kept = 0;
                seen = HEAD_BYTES;
            }
            let (part, behind) = rest.split_at(rest.len().min(self.left));
            let kept = part.len().min(KEPT_BYTES - self.kept);
            self.payload[self.kept..self.kept + kept].copy_from_slice(&part[..kept]);
            self.kept += kept;
            self.left -= part.len();
            rest = behind;
            let is_last = self.left == 0;
            if is_last {
                self.held = 0;
            }
            let bytes = (seen + part.len()) as u64;
            see(Part { head: self.head, bytes, is_last, payload: &self.payload[..self.kept] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Each whole frame with its length and the start of its payload, of bytes that come in parts of this size.
    fn frames(bytes: &[u8], part: usize) -> Vec<(FrameHead, u64, Vec<u8>)> {
        let (mut scanner, mut frames, mut length) = (Scanner::after(3), Vec::new(), 0);
        for part in bytes.chunks(part) {
            scanner.scan(part, |part| {
                length += part.bytes;
                if part.is_last {
                    frames.push((part.head, std::mem::take(&mut length), part.payload.to_vec()));
                }
            });
        }
        frames
    }

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let goaway = [0, 0, 0, 9, 0, 0, 0, 2, b'b', b'y', b'e'];
        let sent = [
            b"abc".to_vec(),
            frame(kind::SETTINGS, 0, 0, &[]),
            frame(kind::DATA, 1, 0x8000_0003, b"hello"),
            frame(kind::GOAWAY, 0, 0, &goaway),
        ]
        .concat();
        let head = |kind, flags, stream| FrameHead { kind, flags, stream };
        let expected = vec![
            (head(kind::SETTINGS, 0, 0), 9, Vec::new()),
            (head(kind::DATA, 1, 3), 14, b"hello".to_vec()),
            (head(kind::GOAWAY, 0, 0), 20, goaway[..8].to_vec()),
        ];
        for part in 1..=sent.len() {
            assert_eq!(frames(&sent, part), expected, "in parts of {part}");
        }
    }
}
