//! Header blocks: what a client asks, and the head of an answer.

use std::io;

use bytes::{BufMut as _, BytesMut};
use loona_hpack::Decoder;

use super::frame::against_protocol;
use crate::demo::server::request::Head;

/// The size of the table that the client may use, which is what it is before anybody speaks of it (RFC 9113, section 6.5.2).
const TABLE_BYTES: usize = 4_096;

/// Follows the header blocks of a connection.
pub(super) fn decoder() -> Decoder<'static> {
    let mut decoder = Decoder::new();
    decoder.set_max_allowed_table_size(TABLE_BYTES);
    decoder
}

/// A request: its head, and whether it is a call of gRPC.
pub(super) fn request(decoder: &mut Decoder<'static>, block: &[u8]) -> io::Result<(Head, bool)> {
    let headers = decoder.decode(block).map_err(|_| against_protocol("a header block cannot be decoded"))?;
    let value = |of: &[u8]| {
        let header = headers.iter().find(|(name, _)| name == of);
        header.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let is_grpc = value(b"content-type").starts_with("application/grpc");
    let head = Head { method: value(b":method"), target: value(b":path"), body_length_bytes: 0, keep_alive: true };
    if head.method.is_empty() || !head.target.starts_with('/') {
        return Err(against_protocol("a request has no method or no path"));
    }
    Ok((head, is_grpc))
}

/// Appends a header as it stands, in no table.
pub(super) fn put(block: &mut BytesMut, name: &str, value: &str) {
    block.put_u8(0);
    put_text(block, name);
    put_text(block, value);
}

/// A text as it stands, with its length (RFC 7541, section 5.2). Those of this server are short.
fn put_text(block: &mut BytesMut, text: &str) {
    debug_assert!(text.len() < 127, "a longer one has a length of several bytes");
    block.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
    block.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_its_headers_say() {
        let mut block = BytesMut::new();
        for (name, value) in [(":method", "POST"), (":path", "/slow?ms=3"), ("content-type", "application/grpc+proto")]
        {
            put(&mut block, name, value);
        }
        let (head, is_grpc) = request(&mut decoder(), &block).unwrap();
        assert_eq!((&*head.method, head.path(), head.query_number("ms"), is_grpc), ("POST", "/slow", Some(3), true));
    }

    #[test]
    fn what_names_no_path_or_cannot_be_decoded_is_against_the_protocol() {
        let mut block = BytesMut::new();
        put(&mut block, ":method", "GET");
        assert!(request(&mut decoder(), &block).is_err());
        assert!(request(&mut decoder(), &[0xff; 16]).is_err());
    }
}
