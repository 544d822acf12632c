//! Undoing what a run that was killed left behind.

use std::path::PathBuf;

use super::ledger::{AbandonedLedger, Change, EntryId};
use super::{Job, Manager, ManagerError};
use crate::model::{ActiveState, JobResult, UnitName, UnitSnapshot, UnitVerb};
use crate::record::begin::ManagerKind;

/// A manager that can undo what another run did.
#[expect(async_fn_in_trait, reason = "as for Manager: used on one thread only")]
pub trait Recoverable: Manager {
    /// Stops the units of these files (sockets first), forgets their failures, removes the files and reads all
    /// unit files again. A file that is gone already is no error.
    ///
    /// # Errors
    /// The first; everything else was tried.
    async fn remove(&self, installed: &[(UnitName, PathBuf)]) -> Result<(), ManagerError>;

    /// Starts or stops a unit as [`Manager::perform`] does, but as a change that is not to be undone: it leaves
    /// nothing in this run's own ledger.
    ///
    /// # Errors
    /// As [`Manager::perform`].
    async fn bring_back(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError>;
}

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// One sentence for each thing that was cleaned up.
    pub done: Vec<String>,
    /// What could not be: it stays in the ledger for the next run.
    pub failed: Vec<ManagerError>,
    /// One sentence for what in the ledger was not understood: it is left to the user.
    pub not_understood: Option<String>,
}

/// Whether some of what is in the ledger can only be undone by a manager of that kind.
#[must_use]
pub fn needs(ledger: &AbandonedLedger, kind: ManagerKind) -> bool {
    ledger.outstanding().any(|(_, change)| manager_of(change) == Some(kind))
}

/// Undoes what is in the ledger, as far as it was done by a manager of this kind: installed units are stopped and
/// removed, units that were started are stopped, units that were stopped are started. Then closes the ledger,
/// which removes it if nothing is left.
///
/// # Errors
/// When the ledger itself cannot be written. What could not be undone is in [`Recovery::failed`].
pub async fn recover(mut ledger: AbandonedLedger, manager: &impl Recoverable) -> std::io::Result<Recovery> {
    let mut recovery = Recovery::default();
    let mut installed = Vec::new();
    let mut others = Vec::new();
    for (entry, change) in ledger.outstanding() {
        match change {
            Change::Installed { manager: kind, unit, path } if *kind == manager.kind() => {
                installed.push((entry, (unit.clone(), path.clone())));
            }
            change => others.push((entry, change.clone())),
        }
    }
    remove_installed(&mut ledger, manager, installed, &mut recovery).await?;
    // The last change first, as one unwinds.
    for (entry, change) in others.into_iter().rev() {
        undo_one(&mut ledger, manager, entry, &change, &mut recovery).await?;
    }
    recovery.not_understood = not_understood(&ledger);
    ledger.close()?;
    Ok(recovery)
}

async fn remove_installed(
    ledger: &mut AbandonedLedger,
    manager: &impl Recoverable,
    installed: Vec<(EntryId, (UnitName, PathBuf))>,
    recovery: &mut Recovery,
) -> std::io::Result<()> {
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

async fn undo_one(
    ledger: &mut AbandonedLedger,
    manager: &impl Recoverable,
    entry: EntryId,
    change: &Change,
    recovery: &mut Recovery,
) -> std::io::Result<()> {
    let (unit, verb, sentence) = match change {
        Change::Uses { .. } => return ledger.undone(entry),
        _ if manager_of(change) != Some(manager.kind()) => return Ok(()),
        Change::Started { unit, .. } => (unit, UnitVerb::Stop, "stopped {}, which a run that was killed had started"),
        Change::Stopped { unit, .. } => (unit, UnitVerb::Start, "started {}, which a run that was killed had stopped"),
        Change::Installed { .. } => return Ok(()),
    };
    match restore(manager, unit, verb).await {
        Ok(was_needed) => {
            ledger.undone(entry)?;
            recovery.done.extend(was_needed.then(|| sentence.replace("{}", unit.as_str())));
        }
        // A unit that is gone for good has no state to bring back.
        Err(ManagerError::NoSuchUnit { .. }) => ledger.undone(entry)?,
        Err(error) => recovery.failed.push(error),
    }
    Ok(())
}

/// Whether something had to be done.
async fn restore(manager: &impl Recoverable, unit: &UnitName, verb: UnitVerb) -> Result<bool, ManagerError> {
    let now = manager.snapshot(unit).await?;
    if now.is_active() == (verb == UnitVerb::Start) {
        return Ok(false);
    }
    if now.active_state == ActiveState::Failed {
        manager.perform(unit, UnitVerb::ResetFailed).await?;
    }
    let in_its_way = if verb == UnitVerb::Start { running_services(manager, &now).await? } else { Vec::new() };
    for service in &in_its_way {
        manager.bring_back(service, UnitVerb::Stop).await?;
    }
    let job = manager.bring_back(unit, verb).await?;
    for service in &in_its_way {
        manager.bring_back(service, UnitVerb::Start).await?;
    }
    if job.result == JobResult::Done {
        return Ok(true);
    }
    Err(ManagerError::Refused {
        action: format!("{verb} again"),
        unit: unit.to_string(),
        reason: job.reason.unwrap_or_else(|| format!("its job ended with {}", job.result)),
    })
}

/// The services that keep a socket from being started: those it triggers, while they run. They hold no socket of it.
async fn running_services(manager: &impl Recoverable, socket: &UnitSnapshot) -> Result<Vec<UnitName>, ManagerError> {
    let mut running = Vec::new();
    for service in socket.socket.iter().flat_map(|socket| &socket.triggers) {
        if manager.snapshot(service).await?.is_active() {
            running.push(service.clone());
        }
    }
    Ok(running)
}

fn not_understood(ledger: &AbandonedLedger) -> Option<String> {
    let (lines, path) = (ledger.unreadable_lines(), ledger.path());
    let path = path.display();
    (lines > 0).then(|| {
        format!("{path} has {lines} lines that another version of gapless wrote: undo what they say, then remove it")
    })
}

fn manager_of(change: &Change) -> Option<ManagerKind> {
    match change {
        Change::Installed { manager, .. } | Change::Started { manager, .. } | Change::Stopped { manager, .. } => {
            Some(*manager)
        }
        Change::Uses { .. } => None,
    }
}
