//! What the trait asks for, put together from the parts.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::failure::{Attempt, Failure};
use super::inspect::Inspector;
use super::reason::words;
use super::systemd_manager::SystemdManager;
use super::{install, route};
use crate::manager::{Job, Manager, ManagerError, Waits, is_protected};
use crate::model::{KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::record::line::UnitChange;
use crate::scenario::plan::UnitFile;

/// A connection that does not answer for this long is lost.
const PING_MAX: Duration = Duration::from_secs(10);

/// The kinds of units that are started again when they stopped with another.
const STARTABLE: &[&str] = &["service", "socket", "timer", "path"];

impl Manager for SystemdManager {
    fn kind(&self) -> ManagerKind {
        self.bus.kind()
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn waits(&self) -> Waits {
        self.waits.clone()
    }

    async fn primary_name(&self, unit: &UnitName) -> Result<UnitName, ManagerError> {
        let failed =
            |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), Attempt { action: "look at", unit });
        let properties = self.bus.unit_properties(unit).await.map_err(failed)?;
        Ok(UnitName::new(properties.text("Id")).unwrap_or_else(|_| unit.clone()))
    }

    async fn reconnect(&mut self) -> Result<Option<String>, ManagerError> {
        let lost = match timeout(PING_MAX, self.bus.version()).await {
            Ok(Ok(_)) => {
                self.notes.again()?;
                return Ok(None);
            }
            Ok(Err(error)) => Failure::of(&error).message,
            Err(_) => format!("no answer for {} s", PING_MAX.as_secs()),
        };
        let reached = route::reach(&self.routes, self.bus.kind()).await?;
        self.bus = reached.bus.with_pid_of(&self.bus);
        self.jobs = reached.jobs;
        self.notes.again()?;
        Ok(Some(format!(
            "the connection to {} was lost ({lost}); it is reached again {}",
            self.bus.name(),
            reached.how
        )))
    }

    async fn install(&mut self, files: &[UnitFile]) -> Result<(), ManagerError> {
        match (self.bus.place().there(), files.first()) {
            (Some(ssh), Some(file)) => Err(ManagerError::Refused {
                action: "install".to_owned(),
                unit: file.unit.to_string(),
                reason: format!(
                    "unit files are not brought to other machines; install it on {} first",
                    ssh.destination()
                ),
            }),
            _ => install::install(self, files).await,
        }
    }

    async fn uninstall(&mut self) -> Result<(), ManagerError> {
        install::uninstall(self).await
    }

    async fn hold(&mut self, unit: &UnitName) -> Result<(), ManagerError> {
        let attempt = Attempt { action: "use", unit };
        self.refuse_protected(attempt)?;
        if self.followers.has(unit) {
            return Ok(());
        }
        self.loaded(attempt, true).await?;
        self.followers
            .start(&self.bus, unit)
            .await
            .map_err(|error| Failure::of(&error).during(self.bus.kind(), attempt))
    }

    fn take_changes(&mut self) -> Option<mpsc::UnboundedReceiver<UnitChange>> {
        self.followers.take_changes()
    }

    async fn snapshot(&self, unit: &UnitName) -> Result<UnitSnapshot, ManagerError> {
        self.look(unit, Attempt { action: "look at", unit }).await
    }

    async fn stopped_with(&self, unit: &UnitName) -> Result<Vec<UnitName>, ManagerError> {
        let links = Inspector::on(self.bus.clone(), self.host.clone()).stopped_with(unit).await?;
        let may_be_started = |unit: &UnitName| STARTABLE.contains(&unit.suffix()) && !is_protected(unit);
        Ok(links.into_iter().map(|link| link.unit).filter(may_be_started).collect())
    }

    async fn perform(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        self.act(unit, verb).await
    }

    async fn bring_back(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        let attempt = Attempt { action: words(verb), unit };
        let before = self.loaded(attempt, false).await?;
        self.refuse_strangers_job(attempt, &before)?;
        let job = self.run_job(unit, verb).await?;
        self.note_after(unit).await?;
        Ok(job)
    }

    async fn kill(&self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError> {
        self.send(unit, who, signal).await
    }

    async fn daemon_reload(&self) -> Result<(), ManagerError> {
        let reloaded = self.bus.systemd().reload().await;
        reloaded.map_err(|error| {
            Failure::of(&error).during_any(self.bus.kind(), "reload the unit files of".to_owned(), "systemd".to_owned())
        })
    }
}
