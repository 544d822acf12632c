//! What can go wrong with the server itself.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::FaultKind;
use crate::model::Endpoint;

/// Why the server did not start, or how it ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address of its own cannot be used.
    #[error("cannot listen on {endpoint}: {error}")]
    Listen {
        /// Which.
        endpoint: Endpoint,
        /// Why not.
        error: io::Error,
    },
    /// A socket that the manager passed cannot be used.
    #[error("cannot use descriptor {descriptor} of LISTEN_FDS: {reason}")]
    Inherited {
        /// Its number.
        descriptor: usize,
        /// Why not.
        reason: String,
    },
    /// A fault of the listeners that these cannot have.
    #[error("cannot inject {kind} on {endpoint}: {error}")]
    Fault {
        /// Which fault.
        kind: FaultKind,
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        error: io::Error,
    },
    /// A file of the options cannot be written.
    #[error("cannot write the {what} to {path}: {error}")]
    File {
        /// `access log` or `counts`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The service manager cannot be told.
    #[error("cannot notify the service manager on NOTIFY_SOCKET: {0}")]
    Notify(io::Error),
    /// The runtime, its signal handlers or its thread cannot be had.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
    /// `--crash-after`.
    #[error("crashed after {after:?}, as asked")]
    Crashed {
        /// How long after the start delay.
        after: Duration,
    },
}
