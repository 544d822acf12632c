//! What a run writes into the ledger of its own accord: which units it uses. What a manager changes, it writes itself.

use std::cell::RefCell;

use crate::manager::ManagerError;
use crate::manager::ledger::{ActedUnit, Change, Claim, Entry, Ledger, LiveUse, process};
use crate::model::{UnitName, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::scenario::plan::Plan;

/// Claims the units for this run, until its ledger is closed. Those of the embedded manager belong to their scenario's
/// folder.
///
/// # Errors
/// When another run that is alive uses one of them.
pub(super) fn claim(
    ledger: &RefCell<Ledger>,
    plan: &Plan,
    manager: ManagerKind,
    units: &[UnitName],
) -> Result<(), ManagerError> {
    let folder = (manager == ManagerKind::Embedded).then_some(plan.directory.as_path());
    let claimed = ledger.borrow_mut().claim(&Claim { manager, units, folder })?;
    claimed.map(drop).map_err(|LiveUse { unit, scenario, pid, machine }| ManagerError::Refused {
        action: "use".to_owned(),
        unit: unit.to_string(),
        reason: format!("another run uses it: {scenario} in {}; wait for it to end", process(pid, machine.as_deref())),
    })
}

/// What the run has changed and could not put back, by its ledger: a sentence each, with how to do it by hand.
pub(super) fn remainders(ledger: &RefCell<Ledger>) -> Vec<String> {
    ledger.borrow().outstanding().filter_map(|(_, entry)| remainder(entry)).collect()
}

fn remainder(Entry { change, left, .. }: &Entry) -> Option<String> {
    let systemctl = change.manager()?.systemctl();
    let acted_on = |acted: &ActedUnit, verb: UnitVerb| {
        let ActedUnit { unit, action, found, .. } = acted;
        let now = left.as_ref().map_or("in an unknown state".to_owned(), |left| left.active_state.to_string());
        let was = &found.active_state;
        format!("{unit} was {was} and is {now} after {action}; mend it with: {systemctl} {verb} {unit}")
    };
    Some(match change {
        Change::Started(acted) => acted_on(acted, UnitVerb::Stop),
        Change::Stopped(acted) => acted_on(acted, UnitVerb::Start),
        Change::Installed { unit, path, .. } => {
            let path = path.display();
            format!(
                "{unit} was installed for this run and may still be loaded; remove it with: {systemctl} stop {unit}; \
                 rm -f {path}; {systemctl} daemon-reload"
            )
        }
        Change::Uses { .. } => return None,
    })
}
