//! What a run writes into the ledger of its own accord: which units it uses. What a manager changes, it writes itself.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::manager::ManagerError;
use crate::manager::ledger::{Claim, EntryId, Ledger, LiveUse};
use crate::model::UnitName;
use crate::record::begin::ManagerKind;
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

    /// Claims the units for this run. Those of the embedded manager belong to their scenario's folder.
    ///
    /// # Errors
    /// When another run that is alive uses one of them.
    pub(super) fn use_units(
        &mut self,
        plan: &Plan,
        manager: ManagerKind,
        units: &[UnitName],
    ) -> Result<(), ManagerError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let folder = (manager == ManagerKind::Embedded).then_some(plan.directory.as_path());
        let claim = Claim { units, scenario: &plan.name, folder };
        let claimed = ledger.borrow_mut().claim(&claim).map_err(unusable)?;
        self.entries = claimed.map_err(|LiveUse { unit, scenario, pid }| ManagerError::Refused {
            action: "use".to_owned(),
            unit: unit.to_string(),
            reason: format!("another run uses it: {scenario} in process {pid}; wait for it to end"),
        })?;
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
}

fn unusable(error: io::Error) -> ManagerError {
    ManagerError::File { action: "use the ledger in", path: crate::manager::ledger::location(), error }
}
