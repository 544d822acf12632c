//! The write-ahead ledger: what a run is about to change, written before it changes it, so that the next run can
//! undo it when this one was killed.
//!
//! One file per run in a directory of our own, one JSON object a line. Its owner holds an exclusive flock(2) on it
//! while it lives; the kernel lets go of it however the owner ends. A file whose lock can be taken is abandoned.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use self::directory::Directory;
use crate::model::UnitName;
use crate::record::begin::ManagerKind;

mod directory;

pub use directory::location;

/// What is about to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A unit file is brought. Undone: its units are stopped and the file is gone.
    Installed {
        /// To which manager.
        manager: ManagerKind,
        /// Which unit or template.
        unit: UnitName,
        /// Its file.
        path: PathBuf,
    },
    /// A unit that was not active is started. Undone: it is stopped.
    Started {
        /// By which manager.
        manager: ManagerKind,
        /// Which.
        unit: UnitName,
    },
    /// A unit that was active may be stopped. Undone: it is active again.
    Stopped {
        /// By which manager.
        manager: ManagerKind,
        /// Which.
        unit: UnitName,
    },
    /// A unit is used by a run. There is nothing to undo; it tells other runs.
    Uses {
        /// Which.
        unit: UnitName,
        /// By which scenario.
        scenario: String,
        /// In which process.
        pid: u32,
        /// Embedded units are those of their scenario's folder; none for units of systemd.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<PathBuf>,
    },
}

/// The number of an entry, unique in its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(u32);

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

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Entry { id: EntryId, change: Change },
    Undone(EntryId),
}

/// The ledger of this run.
#[derive(Debug)]
pub struct Ledger {
    directory: Directory,
    name: String,
    file: LockedFile,
    entries: Entries,
}

impl Ledger {
    /// Makes the ledger of a new run in [`location`].
    ///
    /// # Errors
    /// When the directory cannot be made, or is not ours alone.
    pub fn open() -> io::Result<Self> {
        Self::open_in(&location())
    }

    /// As [`Self::open`], in a directory of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(path: &Path) -> io::Result<Self> {
        let directory = Directory::open(path)?;
        // While it is created but not yet locked, nobody may take it for abandoned.
        let _guard = directory.lock()?;
        let (name, file) = directory.create_ledger()?;
        let file = LockedFile::try_lock(file)?.ok_or(Errno::WOULDBLOCK)?;
        Ok(Self { directory, name, file, entries: Entries::default() })
    }

    /// Writes down what is about to be changed. Only then may it be changed.
    ///
    /// # Errors
    /// When it cannot be written; then it must not be changed.
    pub fn entry(&mut self, change: Change) -> io::Result<EntryId> {
        let id = self.entries.next_id();
        self.file.append(&Line::Entry { id, change: change.clone() })?;
        self.entries.outstanding.insert(id, change);
        Ok(id)
    }

    /// Writes down that a change was undone, or in the end not made.
    ///
    /// # Errors
    /// When it cannot be written: the next run will undo it once more.
    pub fn undone(&mut self, id: EntryId) -> io::Result<()> {
        self.file.append(&Line::Undone(id))?;
        self.entries.outstanding.remove(&id);
        Ok(())
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// The changes that are not undone, in the order in which they were made.
    pub fn outstanding(&self) -> impl Iterator<Item = (EntryId, &Change)> {
        self.entries.outstanding.iter().map(|(id, change)| (*id, change))
    }

    /// Ends the ledger. Its file goes if everything is undone; otherwise it stays for the next run.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> io::Result<()> {
        if self.entries.nothing_to_undo() { self.directory.remove_ledger(&self.name) } else { Ok(()) }
    }

    /// The ledgers in [`location`] whose owners are dead. Each stays locked while it is held here; those with nothing
    /// to undo are removed.
    ///
    /// # Errors
    /// When the directory is not ours alone, or a file in it cannot be read.
    pub fn abandoned() -> io::Result<Vec<AbandonedLedger>> {
        Self::abandoned_in(&location())
    }

    /// As [`Self::abandoned`], in a directory of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::abandoned`].
    pub fn abandoned_in(path: &Path) -> io::Result<Vec<AbandonedLedger>> {
        let directory = Directory::open(path)?;
        let guard = directory.lock()?;
        let (mut abandoned, mut idle) = (Vec::new(), Vec::new());
        for name in directory.ledgers()? {
            let file = directory.open_ledger(&name, OFlags::RDWR | OFlags::APPEND)?;
            if let Some(file) = LockedFile::try_lock(file)? {
                let ledger = AbandonedLedger::read(directory.try_clone()?, name, file)?;
                let place = if ledger.is_settled() { &mut idle } else { &mut abandoned };
                place.push(ledger);
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
    pub fn claim(&mut self, claim: &Claim<'_>) -> io::Result<Result<Vec<EntryId>, LiveUse>> {
        let _guard = self.directory.lock()?;
        for name in self.directory.ledgers()?.into_iter().filter(|name| *name != self.name) {
            let file = self.directory.open_ledger(&name, OFlags::RDONLY)?;
            let entries = Entries::read(&file)?;
            let is_dead = LockedFile::try_lock(file)?.is_some();
            if is_dead {
                continue;
            }
            if let Some(user) = entries.outstanding.into_values().find_map(|change| claim.conflict_with(change)) {
                return Ok(Err(user));
            }
        }
        let uses = claim.units.iter().map(|unit| Change::Uses {
            unit: unit.clone(),
            scenario: claim.scenario.to_owned(),
            pid: std::process::id(),
            folder: claim.folder.map(Path::to_owned),
        });
        uses.map(|change| self.entry(change)).collect::<io::Result<_>>().map(Ok)
    }
}

/// What a run wants for itself.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The units.
    pub units: &'a [UnitName],
    /// The name of the scenario.
    pub scenario: &'a str,
    /// As in [`Change::Uses`].
    pub folder: Option<&'a Path>,
}

impl Claim<'_> {
    fn conflict_with(&self, other: Change) -> Option<LiveUse> {
        match other {
            Change::Uses { unit, scenario, pid, folder }
                if self.units.contains(&unit) && folder.as_deref() == self.folder =>
            {
                Some(LiveUse { unit, pid, scenario })
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
    fn read(directory: Directory, name: String, file: LockedFile) -> io::Result<Self> {
        let entries = Entries::read(&file.0)?;
        Ok(Self { directory, name, file, entries })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// What its run changed and did not undo, in the order in which it was done.
    pub fn outstanding(&self) -> impl Iterator<Item = (EntryId, &Change)> {
        self.entries.outstanding.iter().map(|(id, change)| (*id, change))
    }

    /// Lines that are not understood: written by another version of this program.
    #[must_use]
    pub fn unreadable_lines(&self) -> usize {
        self.entries.unreadable_lines
    }

    /// Writes down that a change was undone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn undone(&mut self, id: EntryId) -> io::Result<()> {
        self.file.append(&Line::Undone(id))?;
        self.entries.outstanding.remove(&id);
        Ok(())
    }

    /// Lets go of it. Its file goes if everything was understood and undone.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> io::Result<()> {
        if self.is_settled() { self.directory.remove_ledger(&self.name) } else { Ok(()) }
    }

    fn is_settled(&self) -> bool {
        self.entries.nothing_to_undo() && self.entries.unreadable_lines == 0
    }
}

/// What the lines of a ledger come to.
#[derive(Debug, Default)]
struct Entries {
    outstanding: BTreeMap<EntryId, Change>,
    next: u32,
    unreadable_lines: usize,
}

impl Entries {
    fn next_id(&mut self) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        id
    }

    fn nothing_to_undo(&self) -> bool {
        self.outstanding.values().all(|change| matches!(change, Change::Uses { .. }))
    }

    fn read(file: &File) -> io::Result<Self> {
        let text = io::read_to_string(file)?;
        let mut entries = Self::default();
        // A last line without its end was cut short by the death of its writer: its change was never made.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            match serde_json::from_str(line) {
                Ok(Line::Entry { id, change }) => drop(entries.outstanding.insert(id, change)),
                Ok(Line::Undone(id)) => drop(entries.outstanding.remove(&id)),
                Err(_) => entries.unreadable_lines += 1,
            }
        }
        Ok(entries)
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

    /// Adds a line in one write(2), on disk when this returns.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.0.write_all(&bytes)?;
        self.0.sync_data()
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
