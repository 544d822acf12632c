//! The write-ahead ledger: what a run is about to change, written before it changes it, so that the next run can
//! undo it when this one was killed.
//!
//! One file per run in a directory of our own, one JSON object a line. Its owner holds an exclusive flock(2) on it
//! while it lives; the kernel lets go of it however the owner ends. A file whose lock can be taken is abandoned.
//!
//! A run that ends by itself removes its file, whatever it could put back: only what a run left that died is anybody's
//! to undo. The directory is gone after a reboot, or else the boot in the file tells that its entries are void.
//!
//! It lies on the machine that it is about: for units of another machine, a shell there keeps it (`keeper`).

use std::path::Path;

use self::entries::{Entries, Line};
use self::store::Store;
use crate::model::UnitName;
use crate::record::begin::ManagerKind;
use crate::ssh::Place;

mod change;
mod directory;
mod entries;
mod error;
mod keeper;
mod store;

pub use change::{ActedUnit, Change, Owner, UnitMark, process};
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
    /// The machine of that process; none where it is that of the unit.
    pub machine: Option<String>,
    /// Its scenario.
    pub scenario: String,
}

/// The ledger of this run.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    owner: Owner,
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
        let store = Store::create(path, &Line::Owner(owner.clone()))?;
        Ok(Self { store, owner, entries: Entries::default() })
    }

    /// As [`Self::open`], on the machine where its units are.
    ///
    /// # Errors
    /// As [`Self::open`], and when that machine cannot be asked.
    pub fn open_at(place: &Place, owner: Owner) -> Result<Self, LedgerError> {
        let Place::There(ssh) = place else { return Self::open(owner) };
        let store = Store::create_at(ssh, &Line::Owner(owner.clone()))?;
        Ok(Self { store, owner, entries: Entries::default() })
    }

    /// Takes it again after the connection to its machine was lost, before more is written.
    ///
    /// # Errors
    /// When it cannot be had: then nothing more may be changed.
    pub fn again(&mut self) -> Result<(), LedgerError> {
        self.store.again()
    }

    /// The machine that it is about, where that is another one, for messages: `root@h1`.
    #[must_use]
    pub fn machine(&self) -> Option<String> {
        self.store.ssh().map(|ssh| ssh.destination().to_string())
    }

    /// Writes down what is about to be changed. Only then may it be changed.
    ///
    /// # Errors
    /// When it cannot be written; then it must not be changed.
    pub fn entry(&mut self, change: Change) -> Result<EntryId, LedgerError> {
        let (id, at) = (self.entries.next_id(), self.store.now());
        self.store.append(&Line::Entry { id, at, change: change.clone() })?;
        self.entries.insert(id, Entry { at, change, left: None });
        Ok(id)
    }

    /// Writes down how a unit is since it was changed: whoever is to undo the change looks whether it is still so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn left(&mut self, id: EntryId, mark: UnitMark) -> Result<(), LedgerError> {
        self.store.append(&Line::Left { id, mark: mark.clone() })?;
        self.entries.set_left(id, mark);
        Ok(())
    }

    /// Writes down that a change was undone, or in the end not made.
    ///
    /// # Errors
    /// When it cannot be written: if this run is killed, the next one looks at it once more.
    pub fn undone(&mut self, id: EntryId) -> Result<(), LedgerError> {
        self.store.append(&Line::Undone(id))?;
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
        self.store.remove()
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
        AbandonedLedger::sort(Store::dead(path)?, &change::this_boot())
    }

    /// As [`Self::abandoned`], on the machine where units are.
    ///
    /// # Errors
    /// As [`Self::abandoned`], and when that machine cannot be asked.
    pub fn abandoned_at(place: &Place) -> Result<Vec<AbandonedLedger>, LedgerError> {
        let Place::There(ssh) = place else { return Self::abandoned() };
        AbandonedLedger::sort(Store::dead_at(ssh)?, &ssh.about().boot)
    }

    /// Claims units for this run, all or none: of two runs that want one at the same moment, one gets it.
    ///
    /// # Errors
    /// When a ledger cannot be read or written.
    pub fn claim(&mut self, claim: &Claim<'_>) -> Result<Result<Vec<EntryId>, LiveUse>, LedgerError> {
        let (guard, others) = self.store.live_others()?;
        let claimed = self.claim_beside(claim, &others);
        self.store.release(guard)?;
        claimed
    }

    fn claim_beside(
        &mut self,
        claim: &Claim<'_>,
        others: &[Entries],
    ) -> Result<Result<Vec<EntryId>, LiveUse>, LedgerError> {
        let used = |other: &Entries| {
            let user = other.outstanding().find_map(|(_, entry)| claim.conflict_with(&entry.change))?;
            Some(LiveUse { machine: other.owner.machine.clone(), ..user })
        };
        if let Some(user) = others.iter().find_map(used) {
            return Ok(Err(user));
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
                Some(LiveUse { unit: unit.clone(), pid: *pid, machine: None, scenario: scenario.clone() })
            }
            _ => None,
        }
    }
}

/// The ledger of a run that is dead, locked by us for as long as this lives.
#[derive(Debug)]
pub struct AbandonedLedger {
    store: Store,
    entries: Entries,
    /// The boot of its machine by now.
    boot: String,
}

impl AbandonedLedger {
    /// Those with something to undo; the others are removed.
    fn sort(dead: Vec<(Store, Entries)>, boot: &str) -> Result<Vec<Self>, LedgerError> {
        let mut abandoned = Vec::new();
        for (mut store, entries) in dead {
            if entries.nothing_to_undo() {
                store.remove()?;
            } else {
                abandoned.push(Self { store, entries, boot: boot.to_owned() });
            }
        }
        Ok(abandoned)
    }

    /// The run that left it.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.entries.owner
    }

    /// Whether its machine was booted since: after that every unit is as that boot made it.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.entries.owner.boot != self.boot
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
        self.store.append(&Line::Undone(id))?;
        self.entries.remove(id);
        Ok(())
    }

    /// Lets go of it. Its file goes if nothing is left to undo.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(mut self) -> Result<(), LedgerError> {
        if self.entries.nothing_to_undo() { self.store.remove() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
