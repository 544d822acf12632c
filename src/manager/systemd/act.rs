//! Verbs and signals.

use super::failure::{Attempt, Failure, no_such_unit};
use super::jobs::number_of;
use super::looked::Looked;
use super::properties::Properties;
use super::reason::{self, Remedies};
use super::snapshot;
use super::systemd_manager::SystemdManager;
use crate::clock;
use crate::manager::{Job, ManagerError, is_protected};
use crate::model::{JobResult, KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};

impl SystemdManager {
    /// A verb with all that precedes and follows it: see [`crate::manager::Manager::perform`].
    pub(super) async fn act(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        let attempt = Attempt { action: reason::words(verb), unit };
        self.refuse_protected(attempt)?;
        let before = self.loaded(attempt, !matches!(verb, UnitVerb::Stop | UnitVerb::ResetFailed)).await?;
        self.refuse_strangers_job(attempt, &before)?;
        let along = self.note_with_others(attempt, verb, &before).await?;
        let job = self.run_job(unit, verb).await?;
        for unit in along.iter().chain([unit]) {
            self.note_after(unit).await?;
        }
        Ok(job)
    }

    /// Queues a job and waits for its end. What the user gives up is cancelled: our own job, by its number.
    pub(super) async fn run_job(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        let attempt = Attempt { action: reason::words(verb), unit };
        let mut wait = self.waits.begin(format!("{verb} of {unit}"));
        let mut listener = self.jobs.listen();
        self.own_jobs.borrow_mut().begin(unit);
        let queued = tokio::select! {
            queued = self.bus.queue(unit, verb) => queued,
            _ = wait.given_up() => return Err(self.no_answer(attempt)),
        };
        let path = match queued {
            Ok(Some(path)) => path,
            Ok(None) => return Ok(Job { result: JobResult::Done, ended_at: clock::now(), reason: None }),
            Err(error) => return self.refused(Failure::of(&error), attempt, verb),
        };
        self.own_jobs.borrow_mut().queued(unit, path.clone());
        let number = number_of(&path);
        wait.has_number(number);
        let (ended, given_up) = tokio::select! {
            ended = listener.end_of(&path) => (ended, None),
            why = wait.given_up() => {
                let cancelled = async {
                    if let Some(number) = number {
                        // Refused where the job has ended meanwhile; that is heard below.
                        let _ = self.bus.systemd().cancel_job(number).await;
                    }
                    listener.end_of(&path).await
                };
                tokio::select! {
                    ended = cancelled => (ended, Some(why)),
                    _ = wait.given_up() => return Err(self.no_answer(attempt)),
                }
            }
        };
        let Some(ended) = ended else {
            return Err(ManagerError::Lost {
                bus: self.bus.name(),
                action: format!("{} {unit}", attempt.action),
                reason: "the connection ended before the job did".to_owned(),
            });
        };
        let result = ended.result.parse().unwrap_or(JobResult::Failed);
        let reason = match (result, given_up) {
            (JobResult::Done, _) => None,
            (JobResult::Canceled, Some(why)) => Some(format!("it was cancelled {why}")),
            _ => {
                Some(reason::of_result(result, verb, &self.look(unit, attempt).await?, &Remedies::new(&self.bus, unit)))
            }
        };
        Ok(Job { result, ended_at: ended.at, reason })
    }

    fn no_answer(&self, attempt: Attempt<'_>) -> ManagerError {
        ManagerError::Refused {
            action: attempt.action.to_owned(),
            unit: attempt.unit.to_string(),
            reason: format!("{} did not answer before it was given up", self.bus.name()),
        }
    }

    /// A signal: see [`crate::manager::Manager::kill`].
    pub(super) async fn send(&self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError> {
        let action = format!("send {signal} to");
        let attempt = Attempt { action: &action, unit };
        self.refuse_protected(attempt)?;
        let before = self.loaded(attempt, false).await?;
        if signal.ends_by_default() {
            self.note_with_others(attempt, UnitVerb::Stop, &before).await?;
        }
        // With `-fail` systemd says so when there is nobody to send it to.
        let whom = format!("{}-fail", who.name());
        let sent = self.bus.systemd().kill_unit(unit.as_str(), &whom, signal.number()).await;
        let outcome = sent.map_err(|error| {
            let failure = Failure::of(&error);
            if failure.is_no_process() || failure.is_called("NoSuchUnit") {
                return ManagerError::NoProcess { signal: signal.to_string(), unit: unit.clone(), who };
            }
            failure.during(self.bus.kind(), attempt)
        });
        if outcome.is_err() {
            self.note_after(unit).await?;
        }
        outcome
    }

    /// Everything that is known of a unit now.
    pub(super) async fn look(&self, unit: &UnitName, attempt: Attempt<'_>) -> Result<UnitSnapshot, ManagerError> {
        let failed = |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), attempt);
        let at = clock::now();
        let properties = self.bus.all_properties(unit).await.map_err(failed)?;
        self.notes.seen(unit, properties.mark())?;
        let looked = Looked::at(self.host.as_deref(), unit, &properties, self.bus.pid()).await;
        Ok(snapshot::snapshot(unit, at, &properties, looked, &self.mains))
    }

    pub(super) fn refuse_protected(&self, attempt: Attempt<'_>) -> Result<(), ManagerError> {
        if self.force || !is_protected(attempt.unit) {
            return Ok(());
        }
        Err(ManagerError::Protected { action: attempt.action.to_owned(), unit: attempt.unit.clone() })
    }

    /// The properties of a unit that can be acted on. Without `strictly`, one that runs although its file is gone
    /// or masked will do.
    pub(super) async fn loaded(&self, attempt: Attempt<'_>, strictly: bool) -> Result<Properties, ManagerError> {
        let properties = self.bus.unit_properties(attempt.unit).await;
        let properties = properties.map_err(|error| Failure::of(&error).during(self.bus.kind(), attempt))?;
        if !strictly && !properties.mark().is_down() {
            return Ok(properties);
        }
        let (action, unit) = (attempt.action.to_owned(), attempt.unit.clone());
        match properties.text("LoadState").as_str() {
            "not-found" => Err(no_such_unit(self.bus.kind(), attempt)),
            "masked" => Err(ManagerError::Masked { action, unit }),
            "bad-setting" | "error" => Err(ManagerError::BadUnit { action, unit, reason: properties.load_error() }),
            _ => Ok(properties),
        }
    }

    /// A job is ours if we queued it, or if the unit is ours: then systemd itself did, by its socket or Restart=.
    pub(super) fn refuse_strangers_job(
        &self,
        attempt: Attempt<'_>,
        properties: &Properties,
    ) -> Result<(), ManagerError> {
        let Some((job, path)) = properties.job() else { return Ok(()) };
        let unit = attempt.unit;
        if self.installed.defines(unit) || self.own_jobs.borrow().contains(unit, &path) {
            return Ok(());
        }
        Err(ManagerError::StrangersJob { action: attempt.action.to_owned(), unit: unit.clone(), job })
    }

    fn refused(&self, failure: Failure, attempt: Attempt<'_>, verb: UnitVerb) -> Result<Job, ManagerError> {
        let unit = attempt.unit;
        self.own_jobs.borrow_mut().refused(unit);
        if verb == UnitVerb::ResetFailed && failure.is_called("NoSuchUnit") {
            // It is not loaded, so there is no failure to forget.
            return Ok(Job { result: JobResult::Done, ended_at: clock::now(), reason: None });
        }
        if !failure.is_refusal() {
            return Err(failure.during(self.bus.kind(), attempt));
        }
        let reason = reason::of_refusal(&failure, unit, verb);
        Ok(Job { result: JobResult::Failed, ended_at: clock::now(), reason: Some(reason) })
    }
}
