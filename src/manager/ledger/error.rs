//! What can go wrong with a ledger: every message names the file, the reason and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Why a ledger could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {error}; {remedy}", path.display())]
pub struct LedgerError {
    action: &'static str,
    path: PathBuf,
    error: io::Error,
    remedy: &'static str,
}

impl LedgerError {
    pub(super) fn unusable_directory(path: &Path, error: io::Error) -> Self {
        let remedy = "it must be a directory of this user alone (mode 0700) on a file system that can be written to";
        Self { action: "keep the ledger of changes in", path: path.to_owned(), error, remedy }
    }

    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        let remedy = "if a killed run wrote it, undo by hand what it lists; then remove it";
        Self { action: "read the ledger", path: path.to_owned(), error, remedy }
    }

    pub(super) fn failed(action: &'static str, path: &Path, error: io::Error) -> Self {
        let action = if action == "remove" { "remove the ledger" } else { "write the ledger" };
        Self { action, path: path.to_owned(), error, remedy: "free space, or make its directory writable" }
    }
}
