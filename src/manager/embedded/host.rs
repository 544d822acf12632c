//! What every unit of a run shares: where it lives, who helps, and how it is told of.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;

use super::event::Event;
use super::guardian::Guardian;
use crate::model::UnitName;
use crate::record::line::UnitChange;
use crate::unit_file::specifier::Directories;

/// How much of what a service prints is kept: the last 64 KiB.
const OUTPUT_MAX_BYTES: usize = 64 * 1024;

/// What every unit of a run shares.
#[derive(Debug)]
pub(super) struct Host {
    /// Our own binary.
    pub helper: PathBuf,
    /// Names the run: a random word.
    pub run: String,
    /// The run's private directory.
    pub directory: PathBuf,
    /// What %t and its kin stand for, inside `directory`.
    pub directories: Directories,
    /// Where things that happen are told.
    pub events: UnboundedSender<Event>,
    /// Ends every process when the manager is gone.
    pub guardian: Guardian,
    /// Units whose changes are followed.
    pub held: BTreeSet<UnitName>,
    /// Units that changed since the engine last looked.
    pub changed: BTreeSet<UnitName>,
    /// Where the changes of held units are told.
    pub changes: UnboundedSender<UnitChange>,
}

impl Host {
    /// Prepares a run: its private directory and its guardian.
    pub(super) fn new(
        helper: PathBuf,
        events: UnboundedSender<Event>,
        changes: UnboundedSender<UnitChange>,
    ) -> io::Result<Self> {
        let run = random_id()?;
        let directory = std::env::temp_dir().join(format!("gapless-{}", &run[..12]));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let guardian = Guardian::start(&helper, &run, &directory).inspect_err(|_| {
            // Nothing is in it yet; if it stays, nothing is lost.
            let _ = fs::remove_dir(&directory);
        })?;
        let directories = Directories::below(&directory);
        fs::create_dir(&directories.runtime)?;
        Ok(Self {
            helper,
            run,
            directory,
            directories,
            events,
            guardian,
            held: BTreeSet::new(),
            changed: BTreeSet::new(),
            changes,
        })
    }

    /// Tells a change of a unit.
    pub(super) fn tell(&mut self, change: UnitChange) {
        self.changed.insert(change.unit.clone());
        if self.held.contains(&change.unit) {
            // Nobody need listen.
            let _ = self.changes.send(change);
        }
    }

    /// Forgets the sessions of which nothing is left. `sessions` are those that a unit no longer needs.
    pub(super) fn forget_sessions(&mut self, sessions: BTreeSet<u32>) {
        for session in sessions {
            self.guardian.forget_session(session);
        }
    }
}

/// 128 random bits as 32 hex digits: an InvocationID.
pub(super) fn random_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', ""))
}

/// Tells when a descriptor becomes readable. It holds a duplicate, which is closed at once when this is dropped:
/// an address must be free when its socket has stopped.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Watches `descriptor`, within a runtime.
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what that asks for, that the descriptor stays, OwnedFd grants"
        )]
        AsyncFd::with_interest(descriptor, Interest::READABLE).map(Self)
    }

    /// Whether it became readable since this was last asked. It may no longer be: look what there is.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> bool {
        match self.0.poll_read_ready(context) {
            Poll::Ready(Ok(mut ready)) => {
                ready.clear_ready();
                true
            }
            // The reactor is gone, and we with it.
            Poll::Ready(Err(_)) | Poll::Pending => false,
        }
    }
}

/// The end of what a service prints.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    /// Adds what was read, and drops what is more than [`OUTPUT_MAX_BYTES`].
    pub(super) fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(OUTPUT_MAX_BYTES);
        kept.drain(..surplus);
    }

    /// What is kept, as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Makes a directory and its parents, the last one with `mode`.
pub(super) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let output = Output::default();
        output.add(&vec![b'a'; OUTPUT_MAX_BYTES]);
        output.add(b"end");
        let text = output.text();
        assert_eq!((text.len(), &text[text.len() - 4..]), (OUTPUT_MAX_BYTES, "aend"));
    }
}
