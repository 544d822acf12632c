//! When a unit is written down in the ledger, and when it is struck out.

use super::failure::{Attempt, Failure};
use super::properties::Properties;
use super::systemd_manager::SystemdManager;
use crate::manager::ledger::{ActedUnit, Change, UnitMark};
use crate::manager::{Manager as _, ManagerError};
use crate::model::{UnitName, UnitVerb};

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

    fn acted(&self, attempt: Attempt<'_>, verb: UnitVerb, found: UnitMark) -> ActedUnit {
        ActedUnit {
            manager: self.bus.kind(),
            unit: attempt.unit.clone(),
            action: attempt.action.to_owned(),
            starts: !matches!(verb, UnitVerb::Stop),
            found,
        }
    }

    /// Writes a change down, unless the unit goes with the files that were installed, or is to stay as the scenario
    /// leaves it: the user wants that, also of a run that is killed.
    fn note(&self, change: Change) -> Result<(), ManagerError> {
        let (Change::Started(acted) | Change::Stopped(acted)) = &change else { return Ok(()) };
        if !self.restores || self.installed.defines(&acted.unit) {
            return Ok(());
        }
        let unit = acted.unit.clone();
        self.notes.write_for(&unit, change)
    }

    /// Strikes out what was written down once the unit is again as it was; else writes down how it was left.
    pub(super) async fn note_after(&self, unit: &UnitName) -> Result<(), ManagerError> {
        if !self.notes.has(unit) {
            return Ok(());
        }
        let failed =
            |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), Attempt { action: "look at", unit });
        let now = self.bus.unit_properties(unit).await.map_err(failed)?;
        if self.notes.seen(unit, now.mark())? { self.notes.strike_unit(unit) } else { Ok(()) }
    }
}
