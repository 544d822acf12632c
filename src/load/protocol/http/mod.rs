//! HTTP/1.1, as much of it as a client needs that sends one request again and again (RFC 9112).
//!
//! Of its own and not by a library, since the request is rendered once, the answer needs no headers beyond three,
//! and what neither allocates nor copies leaves the core to the target. It is held against hyper, which decides
//! the same of every answer, in `tests/suite/load/against_hyper.rs`.
//!
//! | file | subject |
//! |---|---|
//! | `request` | the bytes that are sent |
//! | `head`, `chunked`, `status_line` | the parts of an answer |
//! | `response` | an answer from its first byte to its last, however it is cut: no I/O |
//! | `exchange` | both on a connection |

mod chunked;
mod exchange;
mod head;
mod request;
mod response;
mod status_line;

pub(in crate::load) use exchange::HttpExchange;
pub(in crate::load) use head::{Asked, NotHttp};
pub(in crate::load) use request::HttpRequest;
pub(in crate::load) use response::{Response, Taken};
pub(in crate::load) use status_line::status as status_of;
