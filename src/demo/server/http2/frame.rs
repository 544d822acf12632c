//! Frames in a sequence of bytes (RFC 9113, sections 4.1 and 6).

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The length of a frame's head.
const HEAD_BYTES: usize = 9;

/// The longest payload that either side may send, as long as nobody allows more.
pub(super) const PAYLOAD_BYTES_MAX: usize = 16_384;

/// The highest stream id.
pub(super) const STREAM_MAX: u32 = (1 << 31) - 1;

/// Kinds of frames.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 1;
    pub(in super::super) const END_STREAM: u8 = 1;
    pub(in super::super) const END_HEADERS: u8 = 1 << 2;
    pub(in super::super) const PADDED: u8 = 1 << 3;
    pub(in super::super) const PRIORITY: u8 = 1 << 5;
}

/// Settings (section 6.5.2).
pub(super) mod setting {
    pub(in super::super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in super::super) const INITIAL_WINDOW_SIZE: u16 = 4;
}

/// Error codes (section 7).
pub(super) mod code {
    pub(in super::super) const NO_ERROR: u32 = 0;
    pub(in super::super) const PROTOCOL_ERROR: u32 = 1;
    pub(in super::super) const INTERNAL_ERROR: u32 = 2;
    pub(in super::super) const REFUSED_STREAM: u32 = 7;
    pub(in super::super) const CANCEL: u32 = 8;
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for frames of the connection.
    pub(super) stream: u32,
    pub(super) payload: Bytes,
}

impl Frame {
    /// Takes the next frame off the front of `buffer`; none while it is not whole.
    ///
    /// # Errors
    /// When it is longer than was allowed.
    pub(super) fn take(buffer: &mut BytesMut) -> io::Result<Option<Self>> {
        let Some(&[l0, l1, l2, kind, flags, s0, s1, s2, s3]) = buffer.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return Err(against_protocol("a frame is too long"));
        }
        if buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        buffer.advance(HEAD_BYTES);
        let payload = buffer.split_to(length).freeze();
        // The first bit is reserved.
        Ok(Some(Self { kind, flags, stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]), payload }))
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The first four bytes of the payload, as a number without its reserved first bit.
    pub(super) fn number(&self) -> Option<u32> {
        self.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) & STREAM_MAX)
    }

    /// The payload of HEADERS or DATA, without padding and priority.
    pub(super) fn content(&self) -> io::Result<Bytes> {
        let mut content = self.payload.clone();
        let mut padding = 0;
        if self.has(flag::PADDED) {
            padding = usize::from(content.try_get_u8().map_err(|_| against_protocol("a frame is too short"))?);
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            const PRIORITY_BYTES: usize = 5;
            content.advance(PRIORITY_BYTES.min(content.len()));
        }
        let length = content.len().checked_sub(padding).ok_or_else(|| against_protocol("there is too much padding"))?;
        Ok(content.slice(..length))
    }

    /// The settings of a SETTINGS frame, each with its value.
    pub(super) fn settings(&self) -> impl Iterator<Item = (u16, u32)> {
        let entries = self.payload.chunks_exact(6);
        entries.map(|entry| {
            (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
        })
    }
}

/// Appends a frame; its payload is at most [`PAYLOAD_BYTES_MAX`] long.
pub(super) fn put(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.put_uint(payload.len() as u64, 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
    out.put_slice(payload);
}

pub(super) fn put_rst_stream(out: &mut BytesMut, stream: u32, code: u32) {
    put(out, kind::RST_STREAM, 0, stream, &code.to_be_bytes());
}

pub(super) fn put_goaway(out: &mut BytesMut, last_stream: u32, code: u32) {
    let [payload @ .., _, _, _, _] = &mut [0; 12];
    payload[..4].copy_from_slice(&last_stream.to_be_bytes());
    payload[4..].copy_from_slice(&code.to_be_bytes());
    put(out, kind::GOAWAY, 0, 0, payload);
}

pub(super) fn put_setting(out: &mut BytesMut, setting: u16, value: u32) {
    let mut payload = BytesMut::with_capacity(6);
    payload.put_u16(setting);
    payload.put_u32(value);
    put(out, kind::SETTINGS, 0, 0, &payload);
}

pub(super) fn put_window_update(out: &mut BytesMut, stream: u32, bytes: u32) {
    put(out, kind::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
}

/// What ends a connection whose client does not speak HTTP/2 as it should.
pub(super) fn against_protocol(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_comes_byte_by_byte_is_whole_at_its_last_byte() {
        let mut sent = BytesMut::new();
        put(&mut sent, kind::DATA, flag::END_STREAM, 3, b"hello");
        let mut buffer = BytesMut::new();
        for byte in &sent[..sent.len() - 1] {
            buffer.put_u8(*byte);
            assert_eq!(Frame::take(&mut buffer).unwrap(), None);
        }
        buffer.put_u8(b'o');
        let frame = Frame::take(&mut buffer).unwrap().unwrap();
        assert_eq!((frame.kind, frame.stream, frame.content().unwrap()), (kind::DATA, 3, Bytes::from_static(b"hello")));
        assert!(frame.has(flag::END_STREAM) && buffer.is_empty());
    }

    #[test]
    fn what_is_too_long_or_padded_beyond_its_end_is_against_the_protocol() {
        let mut buffer = BytesMut::from(&[0, 0x40, 1, 0, 0, 0, 0, 0, 1][..]);
        assert!(Frame::take(&mut buffer).is_err());
        let frame = |payload: &'static [u8]| Frame {
            kind: kind::HEADERS,
            flags: flag::PADDED | flag::PRIORITY,
            stream: 1,
            payload: Bytes::from_static(payload),
        };
        assert_eq!(frame(&[2, 0, 0, 0, 0, 16, 7, 0, 0]).content().unwrap(), Bytes::from_static(&[7]));
        assert!(frame(&[2, 0, 0, 0, 0, 16, 7]).content().is_err());
        assert!(frame(&[]).content().is_err());
    }

    #[test]
    fn a_goaway_says_its_last_stream_and_its_code() {
        let mut sent = BytesMut::new();
        put_goaway(&mut sent, STREAM_MAX, code::REFUSED_STREAM);
        let frame = Frame::take(&mut sent).unwrap().unwrap();
        assert_eq!((frame.kind, frame.number()), (kind::GOAWAY, Some(STREAM_MAX)));
        assert_eq!(frame.payload[4..], [0, 0, 0, 7]);
    }
}
