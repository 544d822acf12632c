//! One connection to the target: opens it, and counts the bytes that pass.
//!
//! | file | subject |
//! |---|---|
//! | `socket` | the connect call, and what came of it |
//! | `opening` | from that call to a stream that can carry requests |
//! | `packet` | sockets that carry messages, and FIFOs |
//! | `late` | sockets that are kept open for late answers |
//! | `stream`, `tls` | a socket with or without TLS, and what the handshake trusts |
//! | `wire` | reads and writes, counted and dated |

mod late;
mod opening;
mod packet;
mod socket;
mod stream;
mod tls;
mod wire;

pub(super) use late::LATE_SOCKETS_MAX;
pub(super) use opening::{OpenFailure, Opened, Opening};
pub(super) use stream::{Socket, Stream};
pub(super) use tls::Tls;
pub(super) use wire::{Idle, Passed, Scratch, Wire};
