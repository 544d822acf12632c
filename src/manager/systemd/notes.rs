//! What stands in the ledger of the units that were acted on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::manager::ManagerError;
use crate::manager::ledger::{ActedUnit, Change, EntryId, Ledger, UnitMark};
use crate::model::UnitName;

/// An entry that is outstanding.
#[derive(Debug)]
struct Noted {
    entry: EntryId,
    change: Change,
    left: Option<UnitMark>,
}

impl Noted {
    /// Whether a unit like this is as the entry found it.
    fn is_undone_by(&self, now: &UnitMark) -> bool {
        matches!(self.change, Change::Started(_)) == now.is_down()
    }
}

/// The ledger, and which of its entries are outstanding by unit.
#[derive(Debug)]
pub(super) struct Notes {
    ledger: Rc<RefCell<Ledger>>,
    by_unit: RefCell<HashMap<UnitName, Noted>>,
}

impl Notes {
    pub(super) fn new(ledger: Rc<RefCell<Ledger>>) -> Self {
        Self { ledger, by_unit: RefCell::default() }
    }

    pub(super) fn write(&self, change: Change) -> Result<EntryId, ManagerError> {
        Ok(self.ledger.borrow_mut().entry(change)?)
    }

    /// Takes the ledger again after the connection to its machine was lost.
    pub(super) fn again(&self) -> Result<(), ManagerError> {
        Ok(self.ledger.borrow_mut().again()?)
    }

    pub(super) fn strike(&self, entry: EntryId) -> Result<(), ManagerError> {
        Ok(self.ledger.borrow_mut().undone(entry)?)
    }

    /// The units with an outstanding entry.
    pub(super) fn units(&self) -> Vec<UnitName> {
        self.by_unit.borrow().keys().cloned().collect()
    }

    pub(super) fn has(&self, unit: &UnitName) -> bool {
        self.by_unit.borrow().contains_key(unit)
    }

    /// Writes down a change of a unit's state. Of a unit that is written down already, what it was like before the
    /// first change stays.
    pub(super) fn write_for(&self, unit: &UnitName, change: Change) -> Result<(), ManagerError> {
        let mut by_unit = self.by_unit.borrow_mut();
        let change = match (by_unit.get(unit).map(|noted| &noted.change), change) {
            (Some(Change::Started(first)), Change::Started(acted) | Change::Stopped(acted)) => {
                Change::Started(ActedUnit { found: first.found.clone(), ..acted })
            }
            (Some(Change::Stopped(first)), Change::Started(acted) | Change::Stopped(acted)) => {
                Change::Stopped(ActedUnit { found: first.found.clone(), ..acted })
            }
            (_, change) => change,
        };
        let entry = self.write(change.clone())?;
        if let Some(earlier) = by_unit.insert(unit.clone(), Noted { entry, change, left: None }) {
            self.strike(earlier.entry)?;
        }
        Ok(())
    }

    /// Writes down how a unit was left, if it is not as it was found. Gives whether it is as it was found.
    pub(super) fn seen(&self, unit: &UnitName, now: UnitMark) -> Result<bool, ManagerError> {
        let mut by_unit = self.by_unit.borrow_mut();
        let Some(noted) = by_unit.get_mut(unit) else { return Ok(false) };
        if noted.is_undone_by(&now) {
            return Ok(true);
        }
        if noted.left.as_ref() != Some(&now) {
            self.ledger.borrow_mut().left(noted.entry, now.clone())?;
            noted.left = Some(now);
        }
        Ok(false)
    }

    /// Strikes out what stands of a unit.
    pub(super) fn strike_unit(&self, unit: &UnitName) -> Result<(), ManagerError> {
        let Some(entry) = self.by_unit.borrow().get(unit).map(|noted| noted.entry) else { return Ok(()) };
        self.strike(entry)?;
        self.by_unit.borrow_mut().remove(unit);
        Ok(())
    }
}
