//! Connects a plan with its manager and its ledger, and drives it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use anyhow::Context as _;
use tokio::task::LocalSet;

use super::output::say;
use super::place::Site;
use super::stamp;
use crate::analysis;
use crate::host::{Host, Local, listener};
use crate::manager::embedded::EmbeddedManager;
use crate::manager::ledger::{AbandonedLedger, Ledger, LedgerError, Owner};
use crate::manager::systemd::{Options, SystemdManager};
use crate::manager::{Manager, ManagerError, recover};
use crate::model::Endpoint;
use crate::model::address::Listener;
use crate::record::begin::{ManagerChoice, ManagerKind};
use crate::record::line::{EndReason, Line, NoteKind};
use crate::run::{Ended, Interrupt, Marks, Progress, Recorder, Setup, Sharing, Surroundings, aliases};
use crate::scenario::plan::Plan;
use crate::ssh::Place;

/// One scenario to drive.
pub(super) struct Request<'a> {
    /// What to do.
    pub(super) plan: &'a Plan,
    /// Through which manager; none if the plan needs none.
    pub(super) choice: Option<&'a ManagerChoice>,
    /// The machine that its units are on.
    pub(super) site: &'a Site,
    /// Act on units that the machine depends on as well.
    pub(super) force: bool,
    /// Makes the record's first line, given the plan as it is run and the manager's version.
    pub(super) begin: &'a dyn Fn(&Plan, Option<String>) -> Line,
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
    /// What others announce meanwhile.
    pub(super) marks: Option<Marks>,
    /// Its part of the load.
    pub(super) sharing: Sharing,
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
pub(super) async fn drive(mut request: Request<'_>) -> Ended {
    let place = &request.site.place;
    let ended = match request.choice.map(|choice| choice.kind) {
        None => {
            request.recorder.write(&(request.begin)(request.plan, None));
            let plan = request.plan;
            return with::<SystemdManager>(&mut request, plan, None, None).await;
        }
        Some(ManagerKind::Embedded) => with_embedded(&mut request).await,
        Some(kind @ (ManagerKind::System | ManagerKind::User)) if let Place::There(ssh) = place => {
            with_systemd(&mut request, async |options| SystemdManager::at(ssh, kind, options).await).await
        }
        Some(ManagerKind::System) => with_systemd(&mut request, SystemdManager::system).await,
        Some(ManagerKind::User) => with_systemd(&mut request, SystemdManager::user).await,
    };
    ended.unwrap_or_else(|error| Ended { reason: EndReason::Error(format!("{error:#}")), not_put_back: Vec::new() })
}

/// The embedded manager changes nothing that would outlive it: its ledger only tells other runs of the same scenario,
/// and where there can be none, the run does without.
async fn with_embedded(request: &mut Request<'_>) -> anyhow::Result<Ended> {
    let prepared = std::env::current_exe().and_then(|own| EmbeddedManager::new(own, Some(Box::new(listeners))));
    match prepared {
        Ok(mut manager) => {
            request.recorder.write(&(request.begin)(request.plan, Some(manager.version())));
            let ledger = match Ledger::abandoned().and_then(|_| open_ledger(request)) {
                Ok(ledger) => Some(ledger),
                Err(error) => {
                    let message = format!("other runs of this scenario cannot be seen: {error}");
                    request.recorder.note(NoteKind::Unavailable, message);
                    None
                }
            };
            let ended = with(request, request.plan, Some(&mut manager), ledger.clone()).await;
            if let Some(ledger) = ledger {
                ledger.borrow_mut().close()?;
            }
            Ok(ended)
        }
        Err(error) => {
            request.recorder.write(&(request.begin)(request.plan, None));
            Err(error).context("cannot prepare the embedded manager")
        }
    }
}

/// The listeners at those addresses; one that cannot be asked for is left out, as one that is not there.
fn listeners(endpoints: &[Endpoint]) -> Vec<Listener> {
    endpoints.iter().filter_map(|endpoint| listener::at(endpoint).ok()).flatten().collect()
}

fn open_ledger(request: &Request<'_>) -> Result<Rc<RefCell<Ledger>>, LedgerError> {
    let owner = Owner::this_process(&request.plan.name, stamp::started_at()).acting_at(&request.site.place);
    Ok(Rc::new(RefCell::new(Ledger::open_at(&request.site.place, owner)?)))
}

async fn with_systemd(
    request: &mut Request<'_>,
    connect: impl AsyncFnOnce(Options) -> Result<SystemdManager, ManagerError>,
) -> anyhow::Result<Ended> {
    let prepared = async {
        let ledger = open_ledger(request)?;
        let options = Options {
            ledger: Rc::clone(&ledger),
            host: Some(Rc::clone(&request.site.host)),
            force: request.force,
            restores: request.plan.run.restore,
        };
        // An error here ends a run that has changed nothing.
        let prepared = prepare(request, connect(options).await).await;
        prepared.inspect_err(|_| drop(ledger.borrow_mut().close())).map(|prepared| (prepared, ledger))
    };
    match prepared.await {
        Ok((Prepared { mut manager, plan, notes }, ledger)) => {
            request.recorder.write(&(request.begin)(&plan, Some(manager.version())));
            notes.into_iter().for_each(|note| request.recorder.note(NoteKind::Info, note));
            let mut ended = with(request, &plan, Some(&mut manager), Some(Rc::clone(&ledger))).await;
            // Whatever became of the run: it has told what it could not put back.
            let closed = ledger.borrow_mut().close();
            match (closed, request.site.place.there()) {
                (Err(error), Some(ssh)) => {
                    let machine = ssh.destination();
                    ended.not_put_back.push(format!("{error}; the next run on {machine} puts back what stands in it"));
                }
                (closed, _) => closed?,
            }
            Ok(ended)
        }
        Err(error) => {
            request.recorder.write(&(request.begin)(request.plan, None));
            Err(error)
        }
    }
}

/// A manager whose machine is as its user left it, and the plan in its own names.
struct Prepared {
    manager: SystemdManager,
    plan: Plan,
    notes: Vec<String>,
}

async fn prepare(request: &Request<'_>, connected: Result<SystemdManager, ManagerError>) -> anyhow::Result<Prepared> {
    let manager = connected?;
    recover_all(Ledger::abandoned_at(&request.site.place)?, &manager).await?;
    let (plan, notes) = aliases::resolve(request.plan, async |unit| manager.primary_name(unit).await).await?;
    Ok(Prepared { manager, plan, notes })
}

/// Cleans up after runs that were killed, before units are looked at: a service that such a run left stopped answers
/// nobody.
pub(super) async fn recover_first(kind: ManagerKind, place: &Place) -> anyhow::Result<()> {
    let mut abandoned = Ledger::abandoned_at(place)?;
    abandoned.retain(|ledger| recover::needs(ledger, kind));
    if abandoned.is_empty() {
        return Ok(());
    }
    let owner = Owner::this_process("recovery", stamp::started_at()).acting_at(place);
    let ledger = Rc::new(RefCell::new(Ledger::open_at(place, owner)?));
    let host = place.there().is_none().then(|| Rc::new(Local) as Rc<dyn Host>);
    let options = Options { ledger: Rc::clone(&ledger), host, force: false, restores: true };
    let connected = match (place, kind) {
        (Place::There(ssh), _) => SystemdManager::at(ssh, kind, options).await,
        (Place::Here, ManagerKind::User) => SystemdManager::user(options).await,
        (Place::Here, _) => SystemdManager::system(options).await,
    };
    let recovered = match connected {
        Ok(manager) => recover_all(abandoned, &manager).await,
        Err(error) => Err(error.into()),
    };
    ledger.borrow_mut().close()?;
    recovered
}

async fn recover_all(abandoned: Vec<AbandonedLedger>, manager: &SystemdManager) -> anyhow::Result<()> {
    for abandoned in abandoned {
        if !recover::needs(&abandoned, manager.kind()) {
            continue;
        }
        let recovery = recover::recover(abandoned, manager).await?;
        for sentence in &recovery.done {
            say(&format!("cleaned up after a run that was killed: {sentence}"));
        }
        for sentence in &recovery.left_alone {
            say(&format!("not cleaned up after a run that was killed: {sentence}"));
        }
        for error in &recovery.failed {
            say(&format!("could not clean up after a run that was killed: {error}"));
        }
    }
    Ok(())
}

async fn with<M: Manager>(
    request: &mut Request<'_>,
    plan: &Plan,
    manager: Option<&mut M>,
    ledger: Option<Rc<RefCell<Ledger>>>,
) -> Ended {
    for note in request.notes {
        request.recorder.note(NoteKind::Info, note.clone());
    }
    crate::run::drive(Setup {
        plan,
        manager,
        ledger,
        recorder: request.recorder,
        interrupt: request.interrupt,
        progress: request.progress,
        host: Rc::clone(&request.site.host),
        surroundings: request.surroundings,
        is_patient: request.is_patient,
        judge: analysis::judge_so_far,
        marks: request.marks.take(),
        sharing: request.sharing,
    })
    .await
}
