//! HTTP/2, as much of it as h2 leaves to its user (RFC 9113).
//!
//! By h2 and not by hyper's client, which tells no stream ids; and h2 does not tell the last stream id of a GOAWAY, nor
//! which frames the kernel took. So h2 works on memory, and what passes between that memory and the wire is looked at: frame
//! heads of 9 bytes, no HPACK. That costs one copy each way, and gives what no layer
//! above can: HEADERS that are not written once a GOAWAY was read, and bytes by stream.
//!
//! | file | subject |
//! |---|---|
//! | `request` | what is sent, rendered once |
//! | `grpc` | what gRPC is beyond HTTP/2 |
//! | `frames` | where frames begin and end in a sequence of bytes: no I/O |
//! | `pipe` | the memory that h2 reads from and writes to |
//! | `stream` | one request and its answer |
//! | `tap` | what the frames tell of each stream and of the connection |
//! | `connection` | all of it on one connection |

mod connection;
mod frames;
mod grpc;
mod pipe;
mod request;
mod stream;
mod tap;

pub(in crate::load) use connection::Http2;
pub(in crate::load) use request::Http2Request;
