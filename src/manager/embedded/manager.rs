//! The manager as callers see it: every call is a question to the engine.

use std::io;
use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::super::error::ManagerError;
use super::super::{Job, Manager, Waits};
use super::engine::Engine;
use super::event::{Event, Request};
use super::guardian::Guardian;
use super::host::Host;
use crate::clock;
use crate::model::address::Listener;
use crate::model::{Endpoint, JobResult, KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::record::line::UnitChange;
use crate::scenario::plan::UnitFile;
use crate::unit_file::{Finding, IgnoredDirective};

/// Asks the kernel for the listeners at addresses, with the depth of their queues.
pub type ListenerLookup = Box<dyn Fn(&[Endpoint]) -> Vec<Listener>>;

/// A manager of our own, for the units of one run. Dropping it ends every process it started, and waits for
/// that; so does the end of our process, however it comes.
pub struct EmbeddedManager {
    events: mpsc::UnboundedSender<Event>,
    changes: Option<mpsc::UnboundedReceiver<UnitChange>>,
    lookup: Option<ListenerLookup>,
    waits: Waits,
    engine: JoinHandle<()>,
    guardian: Guardian,
}

impl std::fmt::Debug for EmbeddedManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedManager").finish_non_exhaustive()
    }
}

impl EmbeddedManager {
    /// Prepares a run. `helper` is our own binary: called with [`super::exec::SUBCOMMAND`] as its first
    /// argument it must call [`super::exec::main`] with the rest. `lookup` asks the kernel about listeners;
    /// without it, snapshots tell of the sockets held here, and of no queues.
    ///
    /// # Errors
    /// When the private directory cannot be made, or the helper cannot be started.
    ///
    /// # Panics
    /// Outside a Tokio runtime with I/O and time.
    pub fn new(helper: PathBuf, lookup: Option<ListenerLookup>) -> io::Result<Self> {
        let (events, received) = mpsc::unbounded_channel();
        let (tell, changes) = mpsc::unbounded_channel();
        let host = Host::new(helper, events.clone(), tell)?;
        let guardian = host.guardian.clone();
        let engine = tokio::spawn(Engine::new(host).run(received));
        Ok(Self { events, changes: Some(changes), lookup, waits: Waits::default(), engine, guardian })
    }

    /// The directives of the installed units that are not acted on, in the order of their files.
    ///
    /// # Errors
    /// When the engine is gone.
    pub async fn ignored_directives(&self) -> Result<Vec<IgnoredDirective>, ManagerError> {
        self.ask("list directives", Request::Findings).await.map(|found| found.ignored)
    }

    /// What systemd would warn of in the installed units' files.
    ///
    /// # Errors
    /// When the engine is gone.
    pub async fn findings(&self) -> Result<Vec<(UnitName, Finding)>, ManagerError> {
        self.ask("list findings", Request::Findings).await.map(|found| found.warnings)
    }

    /// The last 64 KiB of what a service printed to what stands for the journal; none for a unit that is not
    /// there.
    ///
    /// # Errors
    /// When the engine is gone.
    pub async fn output(&self, unit: &UnitName) -> Result<Option<String>, ManagerError> {
        self.ask("read output", |reply| Request::Output(unit.clone(), reply)).await
    }

    async fn ask<T>(
        &self,
        action: &str,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, ManagerError> {
        let (reply, answer) = oneshot::channel();
        let lost = || ManagerError::Lost {
            bus: "the embedded manager",
            action: action.to_owned(),
            reason: "its engine has ended".to_owned(),
        };
        self.events.send(Event::Asked(request(reply))).map_err(|_| lost())?;
        answer.await.map_err(|_| lost())
    }
}

impl Manager for EmbeddedManager {
    fn kind(&self) -> ManagerKind {
        ManagerKind::Embedded
    }

    fn waits(&self) -> Waits {
        self.waits.clone()
    }

    fn version(&self) -> String {
        format!("gapless {}", env!("CARGO_PKG_VERSION"))
    }

    async fn install(&mut self, files: &[UnitFile]) -> Result<(), ManagerError> {
        self.ask("install units", |reply| Request::Install(files.to_vec(), reply)).await?
    }

    async fn remarks(&self) -> Result<Vec<String>, ManagerError> {
        let ignored = self.ignored_directives().await?.into_iter();
        let warnings = self.findings().await?.into_iter();
        let ignored = ignored.map(|IgnoredDirective { unit, directive, line }| {
            format!("{unit}:{line}: the embedded manager does not act on {directive}=")
        });
        Ok(ignored.chain(warnings.map(|(unit, finding)| format!("{unit}:{finding}"))).collect())
    }

    /// Units that do not stop, and that the user does not want to wait for, end with the manager.
    async fn uninstall(&mut self) -> Result<(), ManagerError> {
        let mut wait = self.waits.begin("end of the installed units".to_owned());
        tokio::select! {
            stopped = self.ask("uninstall units", Request::Uninstall) => stopped,
            _ = wait.given_up() => Ok(()),
        }
    }

    async fn hold(&mut self, unit: &UnitName) -> Result<(), ManagerError> {
        self.ask("hold a unit", |reply| Request::Hold(unit.clone(), reply)).await?
    }

    fn take_changes(&mut self) -> Option<mpsc::UnboundedReceiver<UnitChange>> {
        self.changes.take()
    }

    async fn snapshot(&self, unit: &UnitName) -> Result<UnitSnapshot, ManagerError> {
        let mut snapshot = self.ask("look at a unit", |reply| Request::Snapshot(unit.clone(), reply)).await??;
        if let (Some(socket), Some(lookup)) = (&mut snapshot.socket, &self.lookup) {
            socket.listeners = lookup(&socket.listen);
        }
        Ok(snapshot)
    }

    async fn perform(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        let mut wait = self.waits.begin(format!("{verb} of {unit}"));
        let job = self.ask(verb.name(), |reply| Request::Perform(unit.clone(), verb, reply));
        tokio::select! {
            job = job => job?,
            why = wait.given_up() => {
                let reason = Some(format!("it was cancelled {why}"));
                Ok(Job { result: JobResult::Canceled, ended_at: clock::now(), reason })
            }
        }
    }

    async fn kill(&self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError> {
        self.ask("send a signal", |reply| Request::Kill(unit.clone(), who, signal, reply)).await?
    }

    /// Does nothing: the unit files are the plan's, and do not change.
    async fn daemon_reload(&self) -> Result<(), ManagerError> {
        Ok(())
    }
}

impl Drop for EmbeddedManager {
    fn drop(&mut self) {
        self.engine.abort();
        self.guardian.end();
    }
}
