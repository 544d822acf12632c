//! The write-ahead ledger: what a run is about to change, written before it changes it, so that the next run can
//! undo it when this one was killed.
//!
//! One file per run in a directory of our own, one JSON object a line. Its owner holds an exclusive flock(2) on it
//! while it lives; the kernel lets go of it however the owner ends. A file whose lock can be taken is abandoned.
//!
//! A run that ends by itself removes its file, whatever it could put back: only what a run left that died is anybody's
//! to undo. The directory is gone after a reboot, or else the boot in the file tells that its entries are void.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use self::directory::Directory;
use self::entries::{Entries, Line};
use crate::clock;
use crate::model::UnitName;
use crate::record::begin::ManagerKind;

mod change;
mod directory;
mod entries;
mod error;

pub use change::{Acted, Change, Owner, UnitMark};
pub use directory::location;
pub use entries::{Entry, EntryId};
pub use error::LedgerError;

/// A run that is alive and uses a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveUse {
    /// Which unit.
    pub unit: UnitName,
    /// Its process.
    pub pid: u32,
    /// Its scenario.
    pub scenario: String,
}

/// The ledger of this run.
#[derive(Debug)]
pub struct Ledger {
    directory: Directory,
    name: String,
    owner: Owner,
    file: LockedFile,
    entries: Entries,
}

impl Ledger {
    /// Makes the ledger of a new run in [`location`].
    ///
    /// # Errors
    /// When the directory cannot be made, or is not ours alone.
    pub fn open(owner: Owner) -> Result<Self, LedgerError> {
        Self::open_in(&location(), owner)
    }

    /// As [`Self::open`], in a directory of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(path: &Path, owner: Owner) -> Result<Self, LedgerError> {
        let directory = Directory::open(path)?;
        let made = || {
            // While it is created but not yet locked, nobody may take it for abandoned.
            let _guard = directory.lock()?;
            let (name, file) = directory.create_ledger()?;
            let mut file = LockedFile::try_lock(file)?.ok_or(Errno::WOULDBLOCK)?;
            file.append(&Line::Owner(owner.clone()))?;
            Ok((name, file))
        };
        let (name, file) = made().map_err(|error| LedgerError::unusable_directory(path, error))?;
        Ok(Self { directory, name, owner, file, entries: Entries::default() })
    }

    /// Writes down what is about to be changed. Only then may it be changed.
    ///
    /// # Errors
    /// When it cannot be written; then it must not be changed.
    pub fn entry(&mut self, change: Change) -> Result<EntryId, LedgerError> {
        let (id, at) = (self.entries.next_id(), clock::now());
        self.append(&Line::Entry { id, at, change: change.clone() })?;
        self.entries.insert(id, Entry { at, change, left: None });
        Ok(id)
    }

    /// Writes down how a unit is since it was changed: whoever is to undo the change looks whether it is still so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn left(&mut self, id: EntryId, mark: UnitMark) -> Result<(), LedgerError> {
        self.append(&Line::Left { id, mark: mark.clone() })?;
        self.entries.set_left(id, mark);
        Ok(())
    }

    /// Writes down that a change was undone, or in the end not made.
    ///
    /// # Errors
    /// When it cannot be written: if this run is killed, the next one looks at it once more.
    pub fn undone(&mut self, id: EntryId) -> Result<(), LedgerError> {
        self.append(&Line::Undone(id))?;
        self.entries.remove(id);
        Ok(())
    }

    /// The changes that are not undone, in the order in which they were made.
    pub fn outstanding(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries.outstanding()
    }

    /// Ends the ledger of a run that ends by itself: its file goes, whatever is in it. What could not be put back the
    /// run tells its user; nobody else is to undo it.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(&mut self) -> Result<(), LedgerError> {
        self.entries = Entries::default();
        match self.directory.remove_ledger(&self.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", error)),
            _ => Ok(()),
        }
    }

    /// The ledgers in [`location`] whose owners are dead. Each stays locked while it is held here; those with nothing
    /// to undo are removed.
    ///
    /// # Errors
    /// When the directory is not ours alone, or a file in it is not a ledger that can be read.
    pub fn abandoned() -> Result<Vec<AbandonedLedger>, LedgerError> {
        Self::abandoned_in(&location())
    }

    /// As [`Self::abandoned`], in a directory of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::abandoned`].
    pub fn abandoned_in(path: &Path) -> Result<Vec<AbandonedLedger>, LedgerError> {
        let directory = Directory::open(path)?;
        let unusable = |error| LedgerError::unusable_directory(path, error);
        let guard = directory.lock().map_err(unusable)?;
        let (mut abandoned, mut idle) = (Vec::new(), Vec::new());
        for name in directory.ledgers().map_err(unusable)? {
            let unreadable = |error| LedgerError::unreadable(&path.join(&name), error);
            let file = directory.open_ledger(&name, OFlags::RDWR | OFlags::APPEND).map_err(unreadable)?;
            if let Some(file) = LockedFile::try_lock(file).map_err(unreadable)? {
                let entries = Entries::read(&file.0).map_err(unreadable)?;
                let directory = directory.try_clone().map_err(unusable)?;
                let place = if entries.nothing_to_undo() { &mut idle } else { &mut abandoned };
                place.push(AbandonedLedger { directory, name, file, entries });
            }
        }
        // To remove one is to lock the directory.
        drop(guard);
        idle.into_iter().try_for_each(AbandonedLedger::close)?;
        Ok(abandoned)
    }

    /// Claims units for this run, all or none: of two runs that want one at the same moment, one gets it.
    ///
    /// # Errors
    /// When a ledger cannot be read or written.
    pub fn claim(&mut self, claim: &Claim<'_>) -> Result<Result<Vec<EntryId>, LiveUse>, LedgerError> {
        let directory = self.directory.path().to_owned();
        let unusable = |error| LedgerError::unusable_directory(&directory, error);
        let _guard = self.directory.lock().map_err(unusable)?;
        for name in self.directory.ledgers().map_err(unusable)?.into_iter().filter(|name| *name != self.name) {
            let unreadable = |error| LedgerError::unreadable(&directory.join(&name), error);
            let file = self.directory.open_ledger(&name, OFlags::RDONLY).map_err(unreadable)?;
            let entries = Entries::read(&file).map_err(unreadable)?;
            let is_dead = LockedFile::try_lock(file).map_err(unreadable)?.is_some();
            if is_dead {
                continue;
            }
            if let Some(user) = entries.outstanding().find_map(|(_, entry)| claim.conflict_with(&entry.change)) {
                return Ok(Err(user));
            }
        }
        let uses = claim.units.iter().map(|unit| Change::Uses {
            manager: claim.manager,
            unit: unit.clone(),
            scenario: self.owner.scenario.clone(),
            pid: self.owner.pid,
            folder: claim.folder.map(Path::to_owned),
        });
        let uses: Vec<Change> = uses.collect();
        uses.into_iter().map(|change| self.entry(change)).collect::<Result<_, _>>().map(Ok)
    }

    fn append(&mut self, line: &Line) -> Result<(), LedgerError> {
        self.file.append(line).map_err(|error| self.failed("write", error))
    }

    fn failed(&self, action: &'static str, error: io::Error) -> LedgerError {
        LedgerError::failed(action, &self.directory.path().join(&self.name), error)
    }
}

/// What a run wants for itself.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Whose units.
    pub manager: ManagerKind,
    /// The units.
    pub units: &'a [UnitName],
    /// As in [`Change::Uses`].
    pub folder: Option<&'a Path>,
}

impl Claim<'_> {
    fn conflict_with(&self, other: &Change) -> Option<LiveUse> {
        match other {
            Change::Uses { manager, unit, scenario, pid, folder }
                if *manager == self.manager && self.units.contains(unit) && folder.as_deref() == self.folder =>
            {
                Some(LiveUse { unit: unit.clone(), pid: *pid, scenario: scenario.clone() })
            }
            _ => None,
        }
    }
}

/// The ledger of a run that is dead, locked by us for as long as this lives.
#[derive(Debug)]
pub struct AbandonedLedger {
    directory: Directory,
    name: String,
    file: LockedFile,
    entries: Entries,
}

impl AbandonedLedger {
    /// The run that left it.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.entries.owner
    }

    /// What its run changed and did not undo, in the order in which it was done.
    pub fn outstanding(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.entries.outstanding()
    }

    /// Writes down that a change was undone, or is not to be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn undone(&mut self, id: EntryId) -> Result<(), LedgerError> {
        let path = self.directory.path().join(&self.name);
        self.file.append(&Line::Undone(id)).map_err(|error| LedgerError::failed("write", &path, error))?;
        self.entries.remove(id);
        Ok(())
    }

    /// Lets go of it. Its file goes if nothing is left to undo.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> Result<(), LedgerError> {
        if !self.entries.nothing_to_undo() {
            return Ok(());
        }
        let path = self.directory.path().join(&self.name);
        self.directory.remove_ledger(&self.name).map_err(|error| LedgerError::failed("remove", &path, error))
    }
}

/// A file that is locked until this is dropped, and no longer: a child that was just forked and holds a duplicate
/// of the descriptor until it executes its program does not keep the lock.
#[derive(Debug)]
struct LockedFile(File);

impl LockedFile {
    /// None if somebody else has locked it.
    fn try_lock(file: File) -> io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a line, on disk when this returns; all of it or, where the disk is full, nothing.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let length = self.0.metadata()?.len();
        let written = self.0.write_all(&bytes).and_then(|()| self.0.sync_data());
        written.inspect_err(|_| {
            // Half a line is no harm at the end of a file, but it would be before another line.
            let _ = self.0.set_len(length);
        })
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Should it fail, closing the descriptor unlocks as well.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
