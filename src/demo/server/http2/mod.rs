//! HTTP/2 by hand, frame by frame (RFC 9113): a fault has to fall on the right frame, and what is in the air has to be
//! known, so that each request that a fault costs is counted.
//!
//! | module | its subject |
//! |---|---|
//! | [`frame`] | frames in a sequence of bytes |
//! | [`headers`] | requests out of header blocks, and header blocks of answers |
//! | [`exchange`] | one request and its answer |
//! | [`connection`] | a connection: its streams, windows and end |
//! | [`faults`] | what goes wrong, with one stream or with all of a connection |

mod connection;
mod exchange;
mod faults;
mod frame;
mod headers;

pub(super) use connection::Http2;

/// What a client sends first (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The part of the preface that no request of HTTP/1.1 begins with.
pub(super) const PREFACE_BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
