//! Puts units back into the state they were found in, and looks whether they are.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::sleep;

use super::as_found::{complaint, differences, goals};
use super::claim::remainders;
use super::progress::Progress;
use super::recorder::Recorder;
use crate::clock;
use crate::manager::ledger::Ledger;
use crate::manager::order::{Correction, Want, bring, corrections};
use crate::manager::{Manager, ManagerError};
use crate::model::{ActiveState, UnitName, UnitSnapshot};
use crate::record::line::NoteKind;
use crate::scenario::plan::Plan;

/// A connection that is lost again and again is given up.
const ATTEMPTS: u32 = 3;

/// A service that has run this long did not fail right after its start.
const SETTLED: Duration = Duration::from_secs(1);

/// What is on its way up or down is waited for this long.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How often units are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What putting back needs.
pub(super) struct Restoration<'a> {
    pub(super) plan: &'a Plan,
    /// How units were before the run.
    pub(super) found: &'a [UnitSnapshot],
    pub(super) ledger: Option<&'a RefCell<Ledger>>,
    pub(super) recorder: &'a Recorder,
    pub(super) progress: &'a dyn Progress,
    /// How the connection was lost, where it was found to be.
    pub(super) lost: &'a RefCell<Option<String>>,
}

impl Restoration<'_> {
    /// Puts everything back: units that were found as they were found, unless the scenario says otherwise; units that
    /// were installed are removed. Where the connection was lost, it is made anew.
    ///
    /// What is not as it was found, a sentence each, with the commands that mend it.
    pub(super) async fn put_back<M: Manager>(&self, manager: &mut M) -> Vec<String> {
        let problems = self.put_back_there(manager).await;
        match self.ledger.and_then(|ledger| ledger.borrow().machine()) {
            Some(machine) => problems.into_iter().map(|problem| format!("on {machine}: {problem}")).collect(),
            None => problems,
        }
    }

    async fn put_back_there<M: Manager>(&self, manager: &mut M) -> Vec<String> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match manager.reconnect().await {
                Ok(None) => {}
                Ok(Some(sentence)) => {
                    self.progress.say(&sentence);
                    self.lost.replace(Some(sentence.clone()));
                    self.recorder.note(NoteKind::Info, sentence);
                }
                Err(error) => {
                    self.lost.replace(Some(error.to_string()));
                    lost = Some(error);
                    break;
                }
            }
            match self.try_to_put_back(manager).await {
                Ok(problems) => return problems,
                Err(error) => lost = Some(error),
            }
        }
        let why = lost.map(|error| format!("nothing could be put back: {error}"));
        why.into_iter().chain(self.ledger.into_iter().flat_map(remainders)).collect()
    }

    /// # Errors
    /// When the connection is lost.
    async fn try_to_put_back<M: Manager>(&self, manager: &mut M) -> Result<Vec<String>, ManagerError> {
        let restored = if self.plan.run.restore { self.restore(manager).await } else { Ok(Vec::new()) };
        // What was installed for this run goes in any case.
        let uninstalled = manager.uninstall().await;
        let mut problems = Vec::new();
        for outcome in [restored, uninstalled.map(|()| Vec::new())] {
            match outcome {
                Ok(sentences) => problems.extend(sentences),
                Err(error @ ManagerError::Lost { .. }) => return Err(error),
                Err(error) => problems.push(error.to_string()),
            }
        }
        Ok(problems)
    }

    async fn restore<M: Manager>(&self, manager: &M) -> Result<Vec<String>, ManagerError> {
        let mut tried: Vec<UnitName> = Vec::new();
        let mut failed: Vec<(UnitName, ManagerError)> = Vec::new();
        loop {
            let now = look_at(manager, self.found).await?;
            let mut wanted = goals(self.plan, self.found, &now);
            wanted.retain(|(unit, _)| !tried.contains(unit));
            let brought = bring(manager, &wanted).await?;
            brought.done.iter().for_each(|Correction { unit, verb }| {
                self.recorder.note(NoteKind::Info, format!("put back: {verb} {unit}"));
            });
            tried.extend(brought.done.into_iter().map(|correction| correction.unit));
            tried.extend(brought.failed.iter().map(|(unit, _)| unit.clone()));
            failed.extend(brought.failed);
            if let Some(place) = failed.iter().position(|(_, error)| matches!(error, ManagerError::Lost { .. })) {
                return Err(failed.swap_remove(place).1);
            }
            let now = settled(manager, self.found).await?;
            let differences = differences(self.plan, self.found, &now);
            // What was on its way up may have failed, and a stop may have pulled another unit along. Nothing is tried twice.
            let can_be_mended = |(unit, want): (UnitName, Want)| {
                !tried.contains(&unit) && !corrections(&[(unit, want)], &now).is_empty()
            };
            if !differences.iter().any(|difference| can_be_mended(difference.goal())) {
                let systemctl = manager.kind().systemctl();
                return Ok(complaint(&differences, &failed, &now, systemctl).into_iter().collect());
            }
        }
    }
}

async fn look_at<M: Manager>(manager: &M, found: &[UnitSnapshot]) -> Result<Vec<UnitSnapshot>, ManagerError> {
    let mut now = Vec::with_capacity(found.len());
    for was in found {
        now.push(manager.snapshot(&was.unit).await?);
    }
    Ok(now)
}

/// The units once nothing about them is on its way any more, or after [`SETTLE_MAX`]. One look may fall between the
/// failure of a service and that of its socket: two must say the same.
async fn settled<M: Manager>(manager: &M, found: &[UnitSnapshot]) -> Result<Vec<UnitSnapshot>, ManagerError> {
    let until = clock::now() + SETTLE_MAX;
    let mut before = look_at(manager, found).await?;
    loop {
        sleep(LOOK_EVERY).await;
        let now = look_at(manager, found).await?;
        let is_same =
            |(was, is): (&UnitSnapshot, &UnitSnapshot)| was.active_state == is.active_state && was.result == is.result;
        if (before.iter().zip(&now).all(is_same) && now.iter().all(is_settled)) || clock::now() >= until {
            return Ok(now);
        }
        before = now;
    }
}

/// Whether it is up for good, or down.
fn is_settled(unit: &UnitSnapshot) -> bool {
    // Also of one whose process is dead: systemd may not know of that yet.
    let runs_since = unit.service.as_ref().and_then(|service| service.main_started_at);
    match unit.active_state {
        ActiveState::Activating | ActiveState::Deactivating => false,
        ActiveState::Active => runs_since.is_none_or(|since| unit.at.since(since) >= SETTLED),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MonoTime, ServiceState};

    fn unit(name: &str, active_state: &str) -> UnitSnapshot {
        UnitSnapshot {
            at: MonoTime::from_micros(100_000_000),
            result: "exit-code".into(),
            service: name.ends_with(".service").then(ServiceState::default),
            ..UnitSnapshot::in_state(name, active_state)
        }
    }

    #[test]
    fn a_service_is_settled_once_it_has_run_for_a_while() {
        let running_since = |micros| UnitSnapshot {
            service: Some(ServiceState {
                main_started_at: Some(MonoTime::from_micros(micros)),
                ..ServiceState::default()
            }),
            ..unit("a.service", "active")
        };
        assert!(!is_settled(&running_since(99_500_000)));
        assert!(is_settled(&running_since(98_500_000)));
        assert!(is_settled(&unit("a.service", "failed")) && !is_settled(&unit("a.service", "activating")));
    }
}
