//! Connects a plan with its manager and its ledger, and drives it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use anyhow::Context as _;
use tokio::task::LocalSet;

use super::output::say;
use crate::host::listener;
use crate::manager::embedded::EmbeddedManager;
use crate::manager::ledger::Ledger;
use crate::manager::systemd::{Options, SystemdManager};
use crate::manager::{Manager, ManagerError, recover};
use crate::model::Endpoint;
use crate::model::address::Listener;
use crate::record::begin::{ManagerChoice, ManagerKind};
use crate::record::line::{EndReason, Line, NoteKind};
use crate::run::{Interrupt, Progress, Recorder, Setup, Surroundings};
use crate::scenario::plan::Plan;

/// One scenario to drive.
pub(super) struct Request<'a> {
    /// What to do.
    pub(super) plan: &'a Plan,
    /// Through which manager; none if the plan needs none.
    pub(super) choice: Option<&'a ManagerChoice>,
    /// Act on units that the machine depends on as well.
    pub(super) force: bool,
    /// Makes the record's first line, given the manager's version.
    pub(super) begin: &'a dyn Fn(Option<String>) -> Line,
    /// Where it is written down.
    pub(super) recorder: &'a Recorder,
    /// The user's wish to end it.
    pub(super) interrupt: &'a Interrupt,
    /// Who watches.
    pub(super) progress: &'a dyn Progress,
    /// What the commands of its steps get of ours.
    pub(super) surroundings: Surroundings,
    /// A target that fails in the warmup is waited for.
    pub(super) is_patient: bool,
    /// What every report is to say.
    pub(super) notes: &'a [String],
}

/// Runs `future` on the control thread: a current-thread runtime with a `LocalSet`.
///
/// # Errors
/// Those of the future, and when there can be no runtime.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the control thread's runtime")?;
    LocalSet::new().block_on(&runtime, future)
}

/// Drives one scenario. Its record has every line but the last when this returns.
pub(super) async fn drive(request: Request<'_>) -> EndReason {
    let reason = match request.choice.map(|choice| choice.kind) {
        None => {
            request.recorder.write(&(request.begin)(None));
            return with::<SystemdManager>(&request, None, None).await;
        }
        Some(ManagerKind::Embedded) => with_embedded(&request).await,
        Some(ManagerKind::System) => with_systemd(&request, SystemdManager::system).await,
        Some(ManagerKind::User) => with_systemd(&request, SystemdManager::user).await,
    };
    reason.unwrap_or_else(|error| EndReason::Error(format!("{error:#}")))
}

/// The embedded manager changes nothing that would outlive it: its ledger only tells other runs of the same scenario,
/// and where there can be none, the run does without.
async fn with_embedded(request: &Request<'_>) -> anyhow::Result<EndReason> {
    let prepared = std::env::current_exe().and_then(|own| EmbeddedManager::new(own, Some(Box::new(listeners))));
    match prepared {
        Ok(mut manager) => {
            request.recorder.write(&(request.begin)(Some(manager.version())));
            let ledger = match Ledger::abandoned().and_then(|_| Ledger::open()) {
                Ok(ledger) => Some(Rc::new(RefCell::new(ledger))),
                Err(error) => {
                    let message = format!("other runs of this scenario cannot be seen: {error}");
                    request.recorder.note(NoteKind::Unavailable, message);
                    None
                }
            };
            let reason = with(request, Some(&mut manager), ledger.clone()).await;
            ledger.map_or(Ok(()), close)?;
            Ok(reason)
        }
        Err(error) => {
            request.recorder.write(&(request.begin)(None));
            Err(error).context("cannot prepare the embedded manager")
        }
    }
}

/// The listeners at those addresses; one that cannot be asked for is left out, as one that is not there.
fn listeners(endpoints: &[Endpoint]) -> Vec<Listener> {
    endpoints.iter().filter_map(|endpoint| listener::at(endpoint).ok()).flatten().collect()
}

async fn with_systemd(
    request: &Request<'_>,
    connect: impl AsyncFnOnce(Options) -> Result<SystemdManager, ManagerError>,
) -> anyhow::Result<EndReason> {
    let opened = Ledger::open().context("cannot open the ledger of changes");
    let ledger = match opened {
        Ok(ledger) => Rc::new(RefCell::new(ledger)),
        Err(error) => {
            request.recorder.write(&(request.begin)(None));
            return Err(error);
        }
    };
    let options = Options { ledger: Rc::clone(&ledger), find_listeners: listener::of_systemd, force: request.force };
    let mut manager = match connect(options).await {
        Ok(manager) => manager,
        Err(error) => {
            request.recorder.write(&(request.begin)(None));
            return Err(error.into());
        }
    };
    recover_abandoned(&manager).await?;
    request.recorder.write(&(request.begin)(Some(manager.version())));
    let reason = with(request, Some(&mut manager), Some(Rc::clone(&ledger))).await;
    drop(manager);
    close(ledger)?;
    Ok(reason)
}

fn close(ledger: Rc<RefCell<Ledger>>) -> anyhow::Result<()> {
    match Rc::try_unwrap(ledger) {
        Ok(ledger) => ledger.into_inner().close().context("cannot close the ledger of changes"),
        Err(_) => Ok(()),
    }
}

/// Cleans up after runs that were killed.
async fn recover_abandoned(manager: &SystemdManager) -> anyhow::Result<()> {
    for abandoned in Ledger::abandoned().context("cannot read the ledgers of earlier runs")? {
        if !recover::needs(&abandoned, manager.kind()) {
            continue;
        }
        let recovery = recover::recover(abandoned, manager).await.context("cannot tick off what was cleaned up")?;
        for sentence in &recovery.done {
            say(&format!("cleaned up after a run that was killed: {sentence}"));
        }
        if let Some(sentence) = &recovery.not_understood {
            say(sentence);
        }
        for error in &recovery.failed {
            say(&format!("could not clean up after a run that was killed: {error}"));
        }
    }
    Ok(())
}

async fn with<M: Manager>(
    request: &Request<'_>,
    manager: Option<&mut M>,
    ledger: Option<Rc<RefCell<Ledger>>>,
) -> EndReason {
    for note in request.notes {
        request.recorder.note(NoteKind::Info, note.clone());
    }
    crate::run::drive(Setup {
        plan: request.plan,
        manager,
        ledger,
        recorder: request.recorder,
        interrupt: request.interrupt,
        progress: request.progress,
        host: Rc::new(crate::host::Local),
        surroundings: request.surroundings,
        is_patient: request.is_patient,
    })
    .await
}
