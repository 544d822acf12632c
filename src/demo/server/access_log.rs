//! One line for each answered request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use super::error::ServerError;
use super::options::LogTarget;

/// Appends lines, each in one write of its own: what was answered before a SIGKILL is in the log, whole.
#[derive(Debug)]
pub(super) enum AccessLog {
    Stdout,
    File(File),
}

impl AccessLog {
    pub(super) fn open(target: &LogTarget) -> Result<Self, ServerError> {
        match target {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::File(path) => {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                opened.map(Self::File).map_err(|error| ServerError::File {
                    what: "access log",
                    path: path.clone(),
                    error,
                })
            }
        }
    }

    /// Appends `METHOD TARGET STATUS`.
    pub(super) fn write(&self, method: &str, target: &str, status: u16) -> io::Result<()> {
        let line = format!("{method} {target} {status}\n");
        match self {
            Self::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Self::File(file) => (&*file).write_all(line.as_bytes()),
        }
    }
}
