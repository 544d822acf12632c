//! The demo server, seen from outside: what a raw client gets from it, byte by byte, and what it does as a service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod answers;
mod client;
mod curl;
mod faults;
mod http2;
mod process;
mod server;
mod stop;
