//! What every unit of a run shares: where it lives, who helps, and how it is told of.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

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

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Sends `event` whenever `descriptor` becomes readable. The receiver looks for itself what there is: an
    /// event may come for something that is gone by then.
    pub(super) fn readable(
        descriptor: OwnedFd,
        events: UnboundedSender<Event>,
        event: impl Fn() -> Event + Send + 'static,
    ) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what that asks for, that the descriptor stays, OwnedFd grants"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self(tokio::spawn(async move {
            while let Ok(mut ready) = descriptor.readable().await {
                ready.clear_ready();
                if events.send(event()).is_err() {
                    break;
                }
            }
        })))
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
