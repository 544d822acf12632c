//! One scenario from its first unit file to its last line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::abort::EarlyEnd;
use super::changes::UnitChanges;
use super::claim::claim;
use super::end_state::{self, Final};
use super::exec::Surroundings;
use super::exits;
use super::halt::Halt;
use super::interrupt::Interrupt;
use super::marks::Marks;
use super::numbering::Numbering;
use super::observe::Observers;
use super::patience::keep_watch;
use super::processes::Processes;
use super::progress::{Progress, Stage as ProgressStage};
use super::pump::{pump, report_figures};
use super::recorder::Recorder;
use super::restore::Restoration;
use super::serving::{self, Earlier, Served};
use super::sharing::Sharing;
use super::so_far::SoFar;
use super::step::{Judge, Stage};
use super::steps::run_steps;
use super::units::{held_units, is_installed, units_to_start};
use super::warmup::warm_up;
use crate::clock;
use crate::host::Host;
use crate::load::{LoadHandle, Start};
use crate::manager::ledger::Ledger;
use crate::manager::{Manager, ManagerError};
use crate::model::{Endpoint, JobResult, MonoTime, UnitName, UnitSnapshot, UnitVerb};
use crate::record::line::{EndReason, Line, NoteKind, Phase, PhaseChange};
use crate::scenario::placeholder::placed;
use crate::scenario::plan::{Plan, UnitFile};

/// A run of a shard that ends this much after the others is no reason for doubt: they end as they are woken.
const OVER_MIN: Duration = Duration::from_millis(50);

/// What a run is made of.
pub struct Setup<'a, M> {
    /// What to do.
    pub plan: &'a Plan,
    /// What carries it out; none for a plan that needs no manager.
    pub manager: Option<&'a mut M>,
    /// Where changes are written down before they are made; with a manager only.
    pub ledger: Option<Rc<RefCell<Ledger>>>,
    /// Where it is written down.
    pub recorder: &'a Recorder,
    /// The user's wish to end it.
    pub interrupt: &'a Interrupt,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// The machine that the service runs on.
    pub host: Rc<dyn Host>,
    /// What the commands of its steps get of ours.
    pub surroundings: Surroundings,
    /// A target that fails in the warmup is waited for, and the steps are run; else the run ends.
    pub is_patient: bool,
    /// Judges its gates.
    pub judge: Judge,
    /// What others announce meanwhile.
    pub marks: Option<Marks>,
    /// Its part of the load.
    pub sharing: Sharing,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Why; it belongs into the record, whose last line it still lacks.
    pub reason: EndReason,
    /// What could not be put back: a sentence each, with the commands that mend it. The record has them as well.
    pub not_put_back: Vec<String>,
}

/// Runs a scenario: installs and starts its units, loads, carries out the steps, checks the end state, puts
/// everything back. What happened is in the record, which still lacks its last line.
///
/// Units are put back after an error, an interrupt, a lost connection and a panic alike, and looked at afterwards.
pub async fn drive<M: Manager>(mut setup: Setup<'_, M>) -> Ended {
    let waits = setup.manager.as_deref().map(Manager::waits).unwrap_or_default();
    let (interrupt, progress) = (setup.interrupt, setup.progress);
    tokio::select! {
        ended = drive_and_put_back(&mut setup) => ended,
        never = keep_watch(&waits, interrupt, progress) => match never {},
    }
}

async fn drive_and_put_back<M: Manager>(setup: &mut Setup<'_, M>) -> Ended {
    use futures_util::FutureExt as _;
    let mut begun = Begun::default();
    let (end, interrupt) = EarlyEnd::of(setup.interrupt);
    let mut inner = Setup {
        interrupt: &interrupt,
        manager: setup.manager.as_deref_mut(),
        ledger: setup.ledger.clone(),
        host: Rc::clone(&setup.host),
        marks: setup.marks.take(),
        ..*setup
    };
    // The run may panic (a defect of ours); its units are put back all the same.
    let ran = std::panic::AssertUnwindSafe(run(&mut inner, &mut begun, &end)).catch_unwind().await;
    setup.progress.stage(&ProgressStage::Restoring);
    phase(setup.recorder, Phase::PuttingBack, clock::now());
    let lost = RefCell::new(None);
    let home = Restoration {
        plan: setup.plan,
        lost: &lost,
        found: &begun.found,
        ledger: setup.ledger.as_deref(),
        recorder: setup.recorder,
        progress: setup.progress,
    };
    let not_put_back = match setup.manager.as_deref_mut() {
        Some(manager) => home.put_back(manager).await,
        None => Vec::new(),
    };
    if let Some(changes) = begun.changes {
        changes.end().await;
    }
    for sentence in &not_put_back {
        setup.recorder.note(NoteKind::Doubt, sentence);
    }
    if let Some(why) = setup.host.lost() {
        setup.recorder.note(NoteKind::Doubt, format!("what happened on the host after this was not seen: {why}"));
    }
    let reason = match ran {
        Ok(Ok(())) => EndReason::Completed,
        Ok(Err(halt)) => EndReason::from(halt),
        Err(panic) => EndReason::Error(format!("a defect of gapless ended the run: {}", panic_message(&*panic))),
    };
    // A bus of this machine that is lost has no part in what clients see; the network to another one has.
    let is_elsewhere = setup.ledger.as_ref().is_some_and(|ledger| ledger.borrow().machine().is_some());
    let reason = match (reason, lost.into_inner().filter(|_| is_elsewhere)) {
        (EndReason::Interrupted, _) => EndReason::Interrupted,
        (EndReason::Error(why), Some(_)) => EndReason::Lost(why),
        (_, Some(how)) => EndReason::Lost(how),
        (reason, None) => reason,
    };
    Ended { reason, not_put_back }
}

/// What a run has begun, and what follows it has to know of.
#[derive(Default)]
struct Begun {
    /// How units were before it.
    found: Vec<UnitSnapshot>,
    changes: Option<UnitChanges>,
}

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}

async fn run<M: Manager>(setup: &mut Setup<'_, M>, begun: &mut Begun, end: &EarlyEnd<'_>) -> Result<(), Halt> {
    setup.progress.stage(&ProgressStage::SettingUp);
    let held = held_units(setup.plan);
    let processes = Processes::new(Rc::clone(&setup.host), setup.recorder.clone()).await;
    if let Some(manager) = setup.manager.as_deref_mut() {
        if let Some(ledger) = &setup.ledger {
            claim(ledger, setup.plan, manager.kind(), &held)?;
        }
        set_up(
            setup.plan,
            manager,
            &held,
            begun,
            Watching { recorder: setup.recorder, processes: &processes, user: end.user() },
        )
        .await?;
    }
    let units = setup.manager.as_deref().map(|manager| (manager.kind(), held.as_slice()));
    // Where a step acts on a unit, the ends of its processes are that step's doing.
    let acts = setup.plan.steps.iter().any(|step| step.action.unit().is_some());
    let (sender, ended) = mpsc::unbounded_channel();
    let ended_sender = (!acts).then_some(sender);
    let so_far = Rc::new(RefCell::new(SoFar::default()));
    let observers =
        Observers::start(setup.plan, &setup.host, setup.recorder, units, &processes, ended_sender, &so_far).await;
    let sharing = setup.sharing;
    if sharing.start_at_ns.is_some() {
        setup.progress.stage(&ProgressStage::AwaitingStart);
    }
    let start = Start {
        counting: setup.plan.run.warmup.is_zero(),
        share: sharing.share,
        at: sharing.await_start(end.user()).await?,
        window: sharing.window,
        is_fine: sharing.is_fine,
    };
    let mut load = LoadHandle::start_as(&setup.plan.cohorts, start)?;
    let pump = pump(&mut load, setup.recorder.clone(), Rc::clone(&so_far));
    let started_at = load.started_at();
    let earlier = RefCell::new(Earlier::default());
    if load.goes_first() {
        setup.recorder.note(NoteKind::Info, "the load thread ran with real-time priority".to_owned());
    }
    phase(setup.recorder, Phase::Load, started_at);
    let numbering = Numbering::default();
    let watched = Watched { held: &held, processes: &processes, earlier: &earlier, numbering: &numbering };
    let mut marks = setup.marks.take();
    let result = tokio::select! {
        result = unless_ended(setup, end, watched, &load, &mut marks) => result,
        never = exits::mark(ended, &numbering, &load, setup.recorder) => match never {},
        never = report_figures(&load, &so_far, setup.progress) => match never {},
    };
    if matches!(result, Err(Halt::Interrupted)) {
        load.interrupt();
    }
    phase(setup.recorder, Phase::Stopped, load.stop().await);
    load.join().await?;
    let joined = pump.await;
    debug_assert!(joined.is_ok(), "the pump neither panics nor is aborted");
    observers.stop().await;
    result?;
    if setup.manager.is_some() {
        // What other shards have sent is to find the service as it is.
        let others = sleep(sharing.others_take(setup.plan));
        setup.interrupt.unless_raised(others).await.ok_or(Halt::Interrupted)?;
    }
    if let Some(manager) = setup.manager.as_deref() {
        check_end_state(setup, manager, &held, &earlier.into_inner()).await?;
    }
    setup.recorder.failure().map_or(Ok(()), |reason| Err(Halt::Record(reason)))
}

/// Who watches the units being set up.
#[derive(Clone, Copy)]
struct Watching<'a> {
    recorder: &'a Recorder,
    processes: &'a Processes,
    user: &'a Interrupt,
}

/// Installs, holds and starts the units, and notes how those already there were found.
async fn set_up<M: Manager>(
    plan: &Plan,
    manager: &mut M,
    held: &[UnitName],
    begun: &mut Begun,
    Watching { recorder, processes, user }: Watching<'_>,
) -> Result<(), Halt> {
    let files = plan.units.iter().flat_map(|units| &units.files);
    let files: Vec<UnitFile> = files.map(|file| placed(file, &plan.directory)).collect();
    manager.install(&files).await?;
    for remark in manager.remarks().await? {
        recorder.note(NoteKind::Info, remark);
    }
    for unit in held {
        manager.hold(unit).await?;
    }
    let changes = manager.take_changes();
    begun.changes = changes.map(|changes| UnitChanges::record(changes, recorder.clone(), processes.clone()));
    for unit in found_units(plan, manager, held).await? {
        begun.found.push(manager.snapshot(&unit).await?);
    }
    for unit in units_to_start(plan) {
        let job = manager.perform(&unit, UnitVerb::Start).await?;
        if job.result == JobResult::Canceled && user.is_raised() {
            return Err(Halt::Interrupted);
        }
        if job.result != JobResult::Done {
            let reason = job.reason.unwrap_or_else(|| format!("the job ended as {}", job.result));
            return Err(ManagerError::Refused { action: "start".to_owned(), unit: unit.to_string(), reason }.into());
        }
    }
    Ok(())
}

/// The units of the scenario that it did not bring, then those that may stop with them.
async fn found_units<M: Manager>(plan: &Plan, manager: &M, held: &[UnitName]) -> Result<Vec<UnitName>, ManagerError> {
    let mut found: Vec<UnitName> = held.iter().filter(|unit| !is_installed(plan, unit)).cloned().collect();
    for place in 0..found.len() {
        let along = manager.stopped_with(&found[place]).await?;
        let new: Vec<UnitName> = along.into_iter().filter(|unit| !found.contains(unit)).collect();
        found.extend(new);
    }
    Ok(found)
}

/// As [`under_load`], unless the run is to end early.
async fn unless_ended<M: Manager>(
    setup: &Setup<'_, M>,
    end: &EarlyEnd<'_>,
    watched: Watched<'_>,
    load: &LoadHandle,
    marks: &mut Option<Marks>,
) -> Result<(), Halt> {
    let limits = setup.plan.run.abort;
    match end.watch(under_load(setup, watched, load, marks), load, limits).await {
        (Ok(()) | Err(Halt::Interrupted), Some(reason)) => Err(Halt::Stopped(reason)),
        (result, _) => result,
    }
}

/// What is looked at while the steps run.
#[derive(Clone, Copy)]
struct Watched<'a> {
    held: &'a [UnitName],
    processes: &'a Processes,
    earlier: &'a RefCell<Earlier>,
    numbering: &'a Numbering,
}

/// Everything between the start of the load and its end.
async fn under_load<M: Manager>(
    setup: &Setup<'_, M>,
    Watched { held, processes, earlier, numbering }: Watched<'_>,
    load: &LoadHandle,
    marks: &mut Option<Marks>,
) -> Result<(), Halt> {
    warm_up(setup, load, load.started_at()).await?;
    earlier.borrow_mut().fronts = fronts(setup).await;
    let manager = setup.manager.as_deref();
    let stage = Stage {
        plan: setup.plan,
        manager,
        held,
        host: &*setup.host,
        processes,
        load,
        earlier,
        recorder: setup.recorder,
        interrupt: setup.interrupt,
        surroundings: setup.surroundings,
        judge: setup.judge,
    };
    let acting = async {
        if setup.sharing.acts() {
            run_steps(setup, &stage, numbering).await?;
            setup.progress.stage(&ProgressStage::CoolingDown);
            phase(setup.recorder, Phase::Cooldown, clock::now());
            setup.interrupt.unless_raised(sleep(setup.plan.run.cooldown)).await.ok_or(Halt::Interrupted)?;
        }
        let over = setup.sharing.await_end(load.started_at(), setup.interrupt).await?;
        if over > OVER_MIN {
            let message = format!(
                "the steps and the cooldown took {:.1} s longer than the other shards loaded; give a longer --duration",
                over.as_secs_f64()
            );
            setup.recorder.note(NoteKind::Doubt, message);
        }
        Ok(())
    };
    let Some(marks) = marks else { return acting.await };
    tokio::select! {
        result = acting => result,
        never = marks.record(setup.plan, numbering, load, setup.recorder) => match never {},
    }
}

/// Who listens where the scenario declares a front; told once.
async fn fronts<M>(setup: &Setup<'_, M>) -> Vec<Served> {
    if !setup.plan.cohorts.iter().any(|cohort| cohort.target.front) {
        return Vec::new();
    }
    let mut fronts = serving::look(setup.plan, &*setup.host).await;
    fronts.retain(|served| served.is_front);
    for front in &fronts {
        setup.recorder.note(NoteKind::Info, format!("front on {}: {}", front.address, front.who()));
    }
    fronts
}

async fn check_end_state<M: Manager>(
    setup: &Setup<'_, M>,
    manager: &M,
    held: &[UnitName],
    earlier: &Earlier,
) -> Result<(), Halt> {
    let mut units = Vec::new();
    for unit in held {
        units.push(manager.snapshot(unit).await?);
    }
    let addresses: BTreeSet<Endpoint> =
        setup.plan.cohorts.iter().filter_map(|cohort| cohort.target.connect.endpoint()).collect();
    // Why nothing is seen there is said once, when the run begins.
    let is_blind = setup.host.blindness().is_some();
    let mut targets = (!is_blind).then(Vec::new);
    for address in addresses.into_iter().filter(|_| !is_blind) {
        match setup.host.listeners(slice::from_ref(&address)).await {
            Ok(look) => targets.iter_mut().for_each(|known| known.push((address.clone(), look.seen.clone()))),
            Err(error) => {
                setup.recorder.note(NoteKind::Unavailable, format!("the kernel's listeners cannot be read: {error}"));
                targets = None;
            }
        }
    }
    let paths = units.iter().filter_map(|unit| unit.socket.as_ref()).flat_map(|socket| &socket.listen);
    let mut missing = Vec::new();
    for endpoint in paths {
        if let Some(path) = endpoint.path()
            && !setup.host.has_path(path).await.unwrap_or(true)
        {
            missing.push(path.to_owned());
        }
    }
    let serving = serving::look(setup.plan, &*setup.host).await;
    let seen =
        Final { units: &units, targets: targets.as_deref(), missing_paths: &missing, serving: &serving, earlier };
    for check in end_state::checks(setup.plan, &seen) {
        setup.recorder.write(&Line::Check(check));
    }
    Ok(())
}

pub(super) fn phase(recorder: &Recorder, phase: Phase, at: MonoTime) {
    recorder.write(&Line::Phase(PhaseChange { phase, at }));
}
