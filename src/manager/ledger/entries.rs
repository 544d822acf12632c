//! The lines of a ledger, and what they come to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};

use super::change::{Change, Owner, UnitMark};
use crate::model::MonoTime;

/// A run that acts on units for days writes less.
const SIZE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The number of an entry, unique in its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(u32);

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The first.
    Owner(Owner),
    Entry {
        id: EntryId,
        at: MonoTime,
        change: Change,
    },
    Left {
        id: EntryId,
        mark: UnitMark,
    },
    Undone(EntryId),
}

/// A change that is not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was about to be made.
    pub at: MonoTime,
    /// What it is.
    pub change: Change,
    /// How its unit was when its run last looked; none if the run died before it could look.
    pub left: Option<UnitMark>,
}

/// What the lines of a ledger come to.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) owner: Owner,
    outstanding: BTreeMap<EntryId, Entry>,
    next: u32,
}

impl Default for Entries {
    fn default() -> Self {
        let nobody =
            Owner { scenario: String::new(), pid: 0, started_at: String::new(), boot: String::new(), machine: None };
        Self { owner: nobody, outstanding: BTreeMap::new(), next: 0 }
    }
}

impl Entries {
    pub(super) fn next_id(&mut self) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        id
    }

    pub(super) fn insert(&mut self, id: EntryId, entry: Entry) {
        self.outstanding.insert(id, entry);
    }

    pub(super) fn set_left(&mut self, id: EntryId, mark: UnitMark) {
        if let Some(entry) = self.outstanding.get_mut(&id) {
            entry.left = Some(mark);
        }
    }

    pub(super) fn remove(&mut self, id: EntryId) {
        self.outstanding.remove(&id);
    }

    pub(super) fn outstanding(&self) -> impl Iterator<Item = (EntryId, &Entry)> {
        self.outstanding.iter().map(|(id, entry)| (*id, entry))
    }

    pub(super) fn nothing_to_undo(&self) -> bool {
        self.outstanding.values().all(|entry| entry.change.manager().is_none())
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not one of ours: half of what it says must not be acted on.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(SIZE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Self::parse(&bytes)
    }

    /// As [`Self::read`], of what is in a file.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() as u64 > SIZE_MAX_BYTES {
            return Err(invalid("it is larger than any ledger".to_owned()));
        }
        let mut entries = Self::default();
        // A last line without its end was cut short by the death of its writer: its change was never made.
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        for (place, line) in lines.enumerate() {
            let line = serde_json::from_slice(line)
                .map_err(|_| invalid(format!("line {} is not one that this version of gapless writes", place + 1)))?;
            entries.take(line);
        }
        Ok(entries)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Owner(owner) => self.owner = owner,
            Line::Entry { id, at, change } => self.insert(id, Entry { at, change, left: None }),
            Line::Left { id, mark } => self.set_left(id, mark),
            Line::Undone(id) => self.remove(id),
        }
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
