//! `gapless demo-server`: the service that demo, tests, calibration and scenarios restart.
//!
//! A server of HTTP/1.1, and of HTTP/2 to clients that begin with it, on sockets of its own or of a manager, with a life cycle that can be told to be good or bad,
//! and with faults on demand ([`fault`]), each an exact number of times. It is written on bare sockets because a
//! fault has to fall on the right byte and end in the right way, and it is strict and small for the same reason.

mod access_log;
mod answer;
mod background;
mod command;
mod connection;
pub mod counts;
pub mod datagrams;
mod error;
pub mod fault;
mod fifo;
pub mod freeze;
mod handshake;
mod http2;
mod inherited;
mod lifecycle;
mod listener;
mod notifier;
pub mod options;
mod packets;
mod pause;
mod request;
mod script;
pub mod selection;
mod service;
mod sockets;
mod stream;
mod tls;
mod unread;
mod unserved;

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

pub use background::Background;
pub use counts::{COUNTS_PATH, Counts};
pub use error::ServerError;
pub use fault::{Effect, FaultKind, Injector, Scope, Transport};
pub use freeze::Freeze;
pub use options::{LogTarget, ServerOptions, StopMode};
pub use selection::{FaultSpec, Occurrence};

/// Serves until a signal, an option or an error ends it. The process is the service: it takes the sockets of
/// LISTEN_FDS, tells NOTIFY_SOCKET, and handles SIGTERM, SIGINT and SIGHUP.
///
/// # Errors
/// When a socket or a file cannot be used; and [`ServerError::Crashed`], when a crash was asked for.
pub fn run(options: ServerOptions) -> Result<(), ServerError> {
    let inherited = inherited::from_manager()?;
    runtime()?.block_on(async {
        let server = lifecycle::Server {
            options,
            inherited,
            counters: Arc::new(counts::Counters::new()),
            notifier: notifier::Notifier::Manager,
            commands: command::from_signals()?,
            opened: None,
        };
        server.live().await
    })
}

/// One thread is enough, and makes counting exact: a request is counted before the next one is read.
fn runtime() -> Result<Runtime, ServerError> {
    Builder::new_current_thread().enable_all().build().map_err(ServerError::Start)
}
