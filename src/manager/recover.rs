//! Undoing what a run that was killed left behind.

use std::path::PathBuf;
use std::time::Duration;

use super::ledger::{AbandonedLedger, ActedUnit, Change, Entry, EntryId, LedgerError, UnitMark};
use super::order::{Want, bring};
use super::{Manager, ManagerError};
use crate::model::{UnitName, UnitVerb};
use crate::record::begin::ManagerKind;

/// A start that a run had asked for begins within this time of its entry; what began later somebody else started.
const START_DELAY_MAX: Duration = Duration::from_secs(10);

/// A manager that can undo what another run did.
#[expect(async_fn_in_trait, reason = "as for Manager: used on one thread only")]
pub trait Recoverable: Manager {
    /// Stops the units of these files (sockets first), forgets their failures, removes the files and reads all
    /// unit files again. A file that is gone already is no error.
    ///
    /// # Errors
    /// The first; everything else was tried.
    async fn remove(&self, installed: &[(UnitName, PathBuf)]) -> Result<(), ManagerError>;

    /// How a unit is now.
    ///
    /// # Errors
    /// When the manager cannot be asked, or there is no such unit.
    async fn mark(&self, unit: &UnitName) -> Result<UnitMark, ManagerError>;

    /// The InvocationID of the incarnation that was started or stopped last, by the manager's log of this boot: a unit
    /// that was unloaded has none itself. None where no log tells.
    async fn last_incarnation(&self, unit: &UnitName) -> Option<String>;
}

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// One sentence for each thing that was cleaned up.
    pub done: Vec<String>,
    /// One sentence for each unit that somebody else has changed since: it is left as it is.
    pub left_alone: Vec<String>,
    /// What could not be undone: it stays in the ledger for the next run.
    pub failed: Vec<ManagerError>,
}

/// Whether some of what is in the ledger can only be undone by a manager of that kind.
#[must_use]
pub fn needs(ledger: &AbandonedLedger, kind: ManagerKind) -> bool {
    ledger.outstanding().any(|(_, entry)| entry.change.manager() == Some(kind))
}

/// Undoes what is in the ledger, as far as it was done by a manager of this kind: installed units are stopped and
/// removed, units that were started are stopped, units that were stopped are started. A unit that is not as the dead run
/// left it belongs to who changed it since. Then closes the ledger, which removes it if nothing is left.
///
/// # Errors
/// When the ledger itself cannot be written. What could not be undone is in [`Recovery::failed`].
pub async fn recover(mut ledger: AbandonedLedger, manager: &impl Recoverable) -> Result<Recovery, LedgerError> {
    let mut recovery = Recovery::default();
    let entries: Vec<(EntryId, Entry)> = ledger.outstanding().map(|(id, entry)| (id, entry.clone())).collect();
    let is_void = ledger.is_void();
    let mut installed = Vec::new();
    let mut undo = Vec::new();
    for (id, entry) in entries {
        match entry.change.manager() {
            Some(kind) if kind != manager.kind() => {}
            _ if is_void => ledger.undone(id)?,
            _ => match &entry.change {
                Change::Installed { unit, path, .. } => installed.push((id, (unit.clone(), path.clone()))),
                Change::Started(acted) | Change::Stopped(acted) => match judge(manager, &entry, acted).await {
                    Ok(Judgement::Undo(want)) => undo.push((id, acted.clone(), want)),
                    Ok(Judgement::ChangedSince) => {
                        ledger.undone(id)?;
                        recovery.left_alone.push(left_alone(&ledger, &entry.change, acted));
                    }
                    // A unit that is gone for good has no state to bring back.
                    Ok(Judgement::AsFound) | Err(ManagerError::NoSuchUnit { .. }) => ledger.undone(id)?,
                    Err(error) => recovery.failed.push(error),
                },
                Change::Uses { .. } => ledger.undone(id)?,
            },
        }
    }
    remove_installed(&mut ledger, manager, installed, &mut recovery).await?;
    bring_back(&mut ledger, manager, undo, &mut recovery).await?;
    ledger.close()?;
    Ok(recovery)
}

/// What is to become of an entry.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// The unit is up or down, as it was found.
    AsFound,
    /// It is as the dead run left it.
    Undo(Want),
    /// It is neither.
    ChangedSince,
}

async fn judge(manager: &impl Recoverable, entry: &Entry, acted: &ActedUnit) -> Result<Judgement, ManagerError> {
    let now = manager.mark(&acted.unit).await?;
    let judgement = judge_mark(entry, acted, &now);
    let may_be_unknown = matches!(judgement, Judgement::Undo(Want::Up)) && now.is_unloaded();
    let was_left = entry.left.as_ref().unwrap_or(&acted.found);
    if may_be_unknown && !(acted.starts && entry.left.is_none()) {
        let last = manager.last_incarnation(&acted.unit).await;
        if last.is_some() && was_left.invocation_id.is_some() && last != was_left.invocation_id {
            return Ok(Judgement::ChangedSince);
        }
    }
    Ok(judgement)
}

/// By what the unit itself tells.
fn judge_mark(entry: &Entry, acted: &ActedUnit, now: &UnitMark) -> Judgement {
    let want = if matches!(entry.change, Change::Started(_)) { Want::Down } else { Want::Up };
    if now.is_down() == (want == Want::Down) {
        return Judgement::AsFound;
    }
    let is_as_left = match &entry.left {
        Some(left) => left.is_still(now) || (left.is_down() && now.is_unloaded()),
        // It died in the middle of the action.
        None if want == Want::Down => {
            now.began_at.is_some_and(|began| began >= entry.at && began.since(entry.at) <= START_DELAY_MAX)
        }
        None => acted.starts || now.invocation_id.is_none() || now.invocation_id == acted.found.invocation_id,
    };
    if is_as_left { Judgement::Undo(want) } else { Judgement::ChangedSince }
}

fn left_alone(ledger: &AbandonedLedger, change: &Change, acted: &ActedUnit) -> String {
    let (did, verb) = match change {
        Change::Started(_) => ("started", UnitVerb::Stop),
        _ => ("stopped", UnitVerb::Start),
    };
    let (owner, unit) = (ledger.owner(), &acted.unit);
    let systemctl = acted.manager.systemctl();
    format!(
        "{unit} is left as it is: {} ({}) had {did} it, and it was changed since; `{systemctl} {verb} {unit}` \
         would undo that",
        owner.scenario,
        owner.process()
    )
}

async fn remove_installed(
    ledger: &mut AbandonedLedger,
    manager: &impl Recoverable,
    installed: Vec<(EntryId, (UnitName, PathBuf))>,
    recovery: &mut Recovery,
) -> Result<(), LedgerError> {
    if installed.is_empty() {
        return Ok(());
    }
    let (entries, files): (Vec<_>, Vec<_>) = installed.into_iter().unzip();
    if let Err(error) = manager.remove(&files).await {
        recovery.failed.push(error);
        return Ok(());
    }
    for (entry, (unit, path)) in entries.into_iter().zip(files) {
        ledger.undone(entry)?;
        recovery.done.push(format!("removed {unit} ({}), which a run that was killed had installed", path.display()));
    }
    Ok(())
}

async fn bring_back(
    ledger: &mut AbandonedLedger,
    manager: &impl Recoverable,
    mut undo: Vec<(EntryId, ActedUnit, Want)>,
    recovery: &mut Recovery,
) -> Result<(), LedgerError> {
    // The last change first, as one unwinds.
    undo.reverse();
    let wanted: Vec<_> = undo.iter().map(|(_, acted, want)| (acted.unit.clone(), *want)).collect();
    let mut failed = match bring(manager, &wanted).await {
        Ok(brought) => brought.failed,
        Err(error) => {
            recovery.failed.push(error);
            return Ok(());
        }
    };
    for (entry, acted, want) in undo {
        let unit = &acted.unit;
        let (verb, did, had) =
            if want == Want::Down { ("stop", "stopped", "started") } else { ("start", "started", "stopped") };
        let reason = match manager.mark(unit).await {
            Ok(now) if now.is_down() == (want == Want::Down) => {
                ledger.undone(entry)?;
                recovery.done.push(format!("{did} {unit}, which a run that was killed had {had}"));
                continue;
            }
            Ok(now) => format!("it is {}", now.active_state),
            Err(error) => error.to_string(),
        };
        let why = failed.iter().position(|(of, _)| of == unit).map(|place| failed.remove(place).1);
        let unit = unit.to_string();
        let not_so = || ManagerError::Refused { action: format!("{verb} again"), unit, reason };
        recovery.failed.push(why.unwrap_or_else(not_so));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MonoTime;

    const ENTRY_AT: u64 = 1_000;

    /// A unit in `state`, of that incarnation, changed at that second and started then.
    fn mark(state: &str, incarnation: &str, second: u64) -> UnitMark {
        let at = Some(MonoTime::from_micros(second * 1_000_000)).filter(|_| second > 0);
        let invocation_id = Some(incarnation.to_owned()).filter(|name| !name.is_empty());
        UnitMark { active_state: state.into(), sub_state: String::new(), invocation_id, changed_at: at, began_at: at }
    }

    fn unloaded() -> UnitMark {
        mark("inactive", "", 0)
    }

    fn judged(action: &str, found: UnitMark, left: Option<UnitMark>, now: &UnitMark) -> Judgement {
        let was_down = found.is_down();
        let acted = ActedUnit {
            manager: ManagerKind::System,
            unit: UnitName::new("a.service").unwrap(),
            action: action.to_owned(),
            starts: matches!(action, "start" | "restart"),
            found,
        };
        let change = if was_down { Change::Started(acted.clone()) } else { Change::Stopped(acted.clone()) };
        let entry = Entry { at: MonoTime::from_micros(ENTRY_AT * 1_000_000), change, left };
        judge_mark(&entry, &acted, now)
    }

    #[test]
    fn what_is_as_it_was_found_needs_nothing_whoever_brought_that_about() {
        let (up, other, down) = (mark("active", "a", 1), mark("active", "b", 2_000), mark("failed", "a", 1));
        assert_eq!(judged("stop", up, Some(unloaded()), &other), Judgement::AsFound);
        assert_eq!(judged("start", down, None, &mark("inactive", "b", 2_000)), Judgement::AsFound);
    }

    #[test]
    fn what_is_as_the_dead_run_left_it_is_undone() {
        let (up, stopped) = (mark("active", "a", 1), mark("inactive", "a", 1_001));
        for now in [stopped.clone(), unloaded()] {
            assert_eq!(judged("stop", up.clone(), Some(stopped.clone()), &now), Judgement::Undo(Want::Up), "{now:?}");
        }
        let (down, started) = (unloaded(), mark("active", "b", 1_001));
        let same = mark("active", "b", 1_500);
        assert_eq!(judged("start", down, Some(started), &same), Judgement::Undo(Want::Down), "a socket changes so");
    }

    #[test]
    fn what_somebody_has_changed_since_is_left_alone() {
        let (up, stopped) = (mark("active", "a", 1), mark("inactive", "a", 1_001));
        for now in [mark("inactive", "b", 2_000), mark("inactive", "a", 2_000), mark("failed", "b", 2_000)] {
            assert_eq!(judged("stop", up.clone(), Some(stopped.clone()), &now), Judgement::ChangedSince, "{now:?}");
        }
        let (started, restarted) = (mark("active", "b", 1_001), mark("active", "c", 2_000));
        assert_eq!(judged("start", unloaded(), Some(started), &restarted), Judgement::ChangedSince);
    }

    #[test]
    fn a_run_that_died_in_the_middle_of_its_action_is_told_by_what_the_action_would_do() {
        let (up, down) = (mark("active", "a", 1), unloaded());
        for (action, now, undo) in [
            ("restart", mark("failed", "b", 1_002), true),
            ("restart", mark("deactivating", "a", 1_002), true),
            ("stop", mark("deactivating", "a", 1_002), true),
            ("stop", unloaded(), true),
            ("stop", mark("inactive", "b", 1_500), false),
        ] {
            let expected = if undo { Judgement::Undo(Want::Up) } else { Judgement::ChangedSince };
            assert_eq!(judged(action, up.clone(), None, &now), expected, "{action}: {now:?}");
        }
        assert_eq!(judged("start", down.clone(), None, &mark("activating", "b", 1_000)), Judgement::Undo(Want::Down));
        let much_later = mark("active", "b", 1_500);
        assert_eq!(judged("start", down, None, &much_later), Judgement::ChangedSince, "somebody else's start");
    }
}
