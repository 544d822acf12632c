//! What is written into the ledger before a unit is acted on, and how it is kept true afterwards.

use super::failure::Attempt;
use super::properties::Properties;
use super::systemd_manager::SystemdManager;
use crate::manager::ledger::{Acted, Change, EntryId, UnitMark};
use crate::manager::{Manager as _, ManagerError};
use crate::model::{UnitName, UnitVerb};

/// An entry that is outstanding.
#[derive(Clone, Debug)]
pub(super) struct Noted {
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

impl SystemdManager {
    /// Writes down how the unit was, and which others stop with it. Those are written first, the nearest last: what
    /// is undone in the opposite order finds what it needs.
    pub(super) async fn note_with_others(
        &self,
        attempt: Attempt<'_>,
        verb: UnitVerb,
        before: &Properties,
    ) -> Result<Vec<UnitName>, ManagerError> {
        let unit = attempt.unit;
        let stops =
            matches!(verb, UnitVerb::Stop | UnitVerb::Restart | UnitVerb::TryRestart | UnitVerb::ReloadOrRestart);
        let along = if stops && !before.mark().is_down() { self.stopped_with(unit).await? } else { Vec::new() };
        for other in along.iter().rev() {
            let found = self.loaded(Attempt { action: "look at", unit: other }, false).await?.mark();
            self.note(Change::Stopped(self.acted(Attempt { unit: other, ..attempt }, verb, found)))?;
        }
        let found = before.mark();
        let is_down = found.is_down();
        let acted = self.acted(attempt, verb, found);
        match verb {
            UnitVerb::ResetFailed | UnitVerb::Reload => {}
            _ if !is_down => self.note(Change::Stopped(acted))?,
            UnitVerb::Stop | UnitVerb::TryRestart => {}
            _ => self.note(Change::Started(acted))?,
        }
        Ok(along)
    }

    fn acted(&self, attempt: Attempt<'_>, verb: UnitVerb, found: UnitMark) -> Acted {
        Acted {
            manager: self.bus.kind(),
            unit: attempt.unit.clone(),
            action: attempt.action.to_owned(),
            starts: !matches!(verb, UnitVerb::Stop),
            found,
        }
    }

    /// Writes a change down, unless the unit goes with the files that were installed, or is to stay as the scenario
    /// leaves it: the user wants that, also of a run that is killed. Of a unit that is written down already, what it
    /// was like before the first change stays.
    fn note(&self, change: Change) -> Result<(), ManagerError> {
        let (Change::Started(acted) | Change::Stopped(acted)) = &change else { return Ok(()) };
        if !self.restores || self.is_installed(&acted.unit) {
            return Ok(());
        }
        let unit = acted.unit.clone();
        let earlier = self.noted.borrow().get(&unit).cloned();
        let change = match earlier.as_ref().map(|noted| noted.change.clone()) {
            Some(Change::Started(first)) => Change::Started(Acted { found: first.found, ..acted.clone() }),
            Some(Change::Stopped(first)) => Change::Stopped(Acted { found: first.found, ..acted.clone() }),
            _ => change,
        };
        let entry = self.write_entry(change.clone())?;
        if let Some(earlier) = earlier {
            self.strike_entry(earlier.entry)?;
        }
        self.noted.borrow_mut().insert(unit, Noted { entry, change, left: None });
        Ok(())
    }

    /// Writes down how a unit was left, if it is not as it was found.
    pub(super) fn note_seen(&self, unit: &UnitName, now: &Properties) -> Result<(), ManagerError> {
        let mark = now.mark();
        let mut noted = self.noted.borrow_mut();
        let Some(noted) = noted.get_mut(unit) else { return Ok(()) };
        if noted.is_undone_by(&mark) || noted.left.as_ref() == Some(&mark) {
            return Ok(());
        }
        self.write_left(noted.entry, mark.clone())?;
        noted.left = Some(mark);
        Ok(())
    }

    /// Strikes out what was written down once the unit is again as it was; else writes down how it was left.
    pub(super) async fn note_after(&self, unit: &UnitName) -> Result<(), ManagerError> {
        let Some(noted) = self.noted.borrow().get(unit).cloned() else { return Ok(()) };
        let now = match self.bus.unit_properties(unit).await {
            Ok(properties) => properties,
            Err(error) => {
                let attempt = Attempt { action: "look at", unit };
                return Err(super::failure::Failure::of(&error).during(&self.bus, attempt));
            }
        };
        if !noted.is_undone_by(&now.mark()) {
            return self.note_seen(unit, &now);
        }
        self.strike_entry(noted.entry)?;
        self.noted.borrow_mut().remove(unit);
        Ok(())
    }
}
