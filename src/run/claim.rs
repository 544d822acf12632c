//! What a run writes into the ledger of its own accord: which units it uses. What a manager changes, it writes itself.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::manager::ManagerError;
use crate::manager::ledger::{Change, EntryId, Ledger};
use crate::model::UnitName;
use crate::scenario::plan::Plan;

/// The run's own entries, to be ticked off at its end.
#[derive(Debug, Default)]
pub(super) struct Claims {
    ledger: Option<Rc<RefCell<Ledger>>>,
    entries: Vec<EntryId>,
}

impl Claims {
    pub(super) fn new(ledger: Option<Rc<RefCell<Ledger>>>) -> Self {
        Self { ledger, entries: Vec::new() }
    }

    /// Claims the units for this run.
    ///
    /// # Errors
    /// When another run that is alive uses one of them.
    pub(super) fn use_units(&mut self, plan: &Plan, units: &[UnitName]) -> Result<(), ManagerError> {
        for unit in units {
            self.enter(Change::Uses { unit: unit.clone(), scenario: plan.name.clone(), pid: std::process::id() })?;
        }
        let Some(ledger) = &self.ledger else { return Ok(()) };
        for unit in units {
            if let Some(user) = ledger.borrow().user_of(unit).map_err(unusable)? {
                return Err(ManagerError::Refused {
                    action: "use".to_owned(),
                    unit: unit.to_string(),
                    reason: format!(
                        "another run uses it: {} in process {}; wait for it to end",
                        user.scenario, user.pid
                    ),
                });
            }
        }
        Ok(())
    }

    /// Ticks everything off: the units are free for others.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub(super) fn settle(&mut self) -> Result<(), ManagerError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        for entry in self.entries.drain(..) {
            ledger.borrow_mut().undone(entry).map_err(unusable)?;
        }
        Ok(())
    }

    fn enter(&mut self, change: Change) -> Result<(), ManagerError> {
        if let Some(ledger) = &self.ledger {
            self.entries.push(ledger.borrow_mut().entry(change).map_err(unusable)?);
        }
        Ok(())
    }
}

fn unusable(error: io::Error) -> ManagerError {
    ManagerError::File { action: "use the ledger in", path: crate::manager::ledger::location(), error }
}
