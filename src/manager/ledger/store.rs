//! Where a ledger is: on this machine, or on the one it is about.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::LedgerError;
use super::directory::Directory;
use super::entries::{Entries, Line};
use super::keeper::{Keeper, Listed};
use crate::clock;
use crate::model::MonoTime;
use crate::ssh::Ssh;

/// The file of one ledger, locked by us for as long as this lives.
#[derive(Debug)]
pub(super) enum Store {
    /// In a directory of this machine.
    Here(Local),
    /// On another machine.
    There(Keeper),
}

/// The file of a ledger on this machine.
#[derive(Debug)]
pub(super) struct Local {
    directory: Directory,
    name: String,
    file: LockedFile,
}

/// Keeps other runs from making or judging ledgers.
#[must_use]
#[derive(Debug)]
pub(super) struct Guard(Option<OwnedFd>);

impl Store {
    /// Makes a new one in a directory of this machine.
    pub(super) fn create(path: &Path, first: &Line) -> Result<Self, LedgerError> {
        let directory = Directory::open(path)?;
        let made = || {
            // While it is created but not yet locked, nobody may take it for abandoned.
            let _guard = directory.lock()?;
            let (name, file) = directory.create_ledger()?;
            let mut file = LockedFile::try_lock(file)?.ok_or(Errno::WOULDBLOCK)?;
            file.append(first)?;
            Ok((name, file))
        };
        let (name, file) = made().map_err(|error| LedgerError::unusable_directory(path, error))?;
        Ok(Self::Here(Local { directory, name, file }))
    }

    /// Makes a new one on another machine.
    pub(super) fn create_at(ssh: &Rc<Ssh>, first: &Line) -> Result<Self, LedgerError> {
        let keeper = Keeper::create(ssh).map_err(|error| LedgerError::unusable_directory(&of(ssh), error))?;
        let mut store = Self::There(keeper);
        store.append(first)?;
        Ok(store)
    }

    /// The ledgers in a directory of this machine whose owners are dead.
    pub(super) fn dead(path: &Path) -> Result<Vec<(Self, Entries)>, LedgerError> {
        let directory = Directory::open(path)?;
        let unusable = |error| LedgerError::unusable_directory(path, error);
        let _guard = directory.lock().map_err(unusable)?;
        let mut dead = Vec::new();
        for name in directory.ledgers().map_err(unusable)? {
            let unreadable = |error| LedgerError::unreadable(&path.join(&name), error);
            let file = directory.open_ledger(&name, OFlags::RDWR | OFlags::APPEND).map_err(unreadable)?;
            if let Some(file) = LockedFile::try_lock(file).map_err(unreadable)? {
                let entries = Entries::read(&file.0).map_err(unreadable)?;
                let directory = directory.try_clone().map_err(unusable)?;
                dead.push((Self::Here(Local { directory, name, file }), entries));
            }
        }
        Ok(dead)
    }

    /// The ledgers on another machine whose owners are dead.
    pub(super) fn dead_at(ssh: &Rc<Ssh>) -> Result<Vec<(Self, Entries)>, LedgerError> {
        let listed = Keeper::list(ssh).map_err(|error| LedgerError::unusable_directory(&of(ssh), error))?;
        let mut dead = Vec::new();
        for Listed { name, .. } in listed.into_iter().filter(|listed| !listed.is_live) {
            // Another run may clean up after it at this moment.
            let Ok((keeper, text)) = Keeper::hold(ssh, &name) else { continue };
            let entries = Entries::parse(&text).map_err(|error| LedgerError::unreadable(&shown(&keeper), error))?;
            dead.push((Self::There(keeper), entries));
        }
        Ok(dead)
    }

    /// What the other ledgers next to it hold whose runs are alive; nobody may change that until the guard is given back.
    pub(super) fn live_others(&mut self) -> Result<(Guard, Vec<Entries>), LedgerError> {
        match self {
            Self::Here(local) => local.live_others(),
            Self::There(keeper) => {
                let path = shown(keeper);
                let unusable = |error| LedgerError::unusable_directory(&path, error);
                let listed = keeper.lock().map_err(unusable)?;
                let live = listed.iter().filter(|listed| listed.is_live);
                let entries: io::Result<Vec<Entries>> = live.map(|listed| Entries::parse(&listed.text)).collect();
                Ok((Guard(None), entries.map_err(|error| LedgerError::unreadable(&path, error))?))
            }
        }
    }

    /// Lets other runs go on.
    pub(super) fn release(&mut self, guard: Guard) -> Result<(), LedgerError> {
        drop(guard.0);
        match self {
            Self::Here(_) => Ok(()),
            Self::There(keeper) => keeper.unlock().map_err(|error| LedgerError::failed("write", &shown(keeper), error)),
        }
    }

    /// Adds a line, on disk when this returns.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), LedgerError> {
        let appended = match self {
            Self::Here(local) => local.file.append(line),
            Self::There(keeper) => {
                serde_json::to_string(line).map_err(io::Error::from).and_then(|line| keeper.append(&line))
            }
        };
        appended.map_err(|error| LedgerError::failed("write", &self.path(), error))
    }

    /// Removes the file; that it is gone already is no error.
    pub(super) fn remove(&mut self) -> Result<(), LedgerError> {
        let removed = match self {
            Self::Here(local) => match local.directory.remove_ledger(&local.name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
            Self::There(keeper) => keeper.remove(),
        };
        removed.map_err(|error| LedgerError::failed("remove", &self.path(), error))
    }

    /// Takes it again where it was lost with a connection.
    pub(super) fn again(&mut self) -> Result<(), LedgerError> {
        match self {
            Self::Here(_) => Ok(()),
            Self::There(keeper) => keeper.again().map_err(|error| LedgerError::failed("write", &shown(keeper), error)),
        }
    }

    /// The other machine; none where it is this one.
    pub(super) fn ssh(&self) -> Option<&Rc<Ssh>> {
        match self {
            Self::Here(_) => None,
            Self::There(keeper) => Some(keeper.ssh()),
        }
    }

    /// Now, on the clock of its machine.
    pub(super) fn now(&self) -> MonoTime {
        let now = clock::now();
        self.ssh().map_or(now, |ssh| ssh.offset().there(now))
    }

    /// Its file, of one that is here.
    #[cfg(test)]
    pub(super) fn file(&mut self) -> &mut File {
        match self {
            Self::Here(local) => &mut local.file.0,
            Self::There(_) => panic!("it is on another machine"),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Here(local) => local.directory.path().join(&local.name),
            Self::There(keeper) => shown(keeper),
        }
    }
}

impl Local {
    fn live_others(&self) -> Result<(Guard, Vec<Entries>), LedgerError> {
        let directory = self.directory.path();
        let unusable = |error| LedgerError::unusable_directory(directory, error);
        let guard = self.directory.lock().map_err(unusable)?;
        let mut live = Vec::new();
        for name in self.directory.ledgers().map_err(unusable)?.into_iter().filter(|name| *name != self.name) {
            let unreadable = |error| LedgerError::unreadable(&directory.join(&name), error);
            let file = self.directory.open_ledger(&name, OFlags::RDONLY).map_err(unreadable)?;
            let entries = Entries::read(&file).map_err(unreadable)?;
            if LockedFile::try_lock(file).map_err(unreadable)?.is_none() {
                live.push(entries);
            }
        }
        Ok((Guard(Some(guard)), live))
    }
}

/// `root@h1:/run/gapless/812-0.jsonl`.
fn shown(keeper: &Keeper) -> PathBuf {
    PathBuf::from(format!("{}:{}", keeper.ssh().destination(), keeper.path().display()))
}

/// `root@h1`.
fn of(ssh: &Ssh) -> PathBuf {
    PathBuf::from(ssh.destination().as_str())
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
