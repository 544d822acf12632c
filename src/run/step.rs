//! One event: mark it, act, see the target answer again, prove it.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::exec::{self, Surroundings};
use super::interrupt::Interrupt;
use super::processes::Processes;
use super::proof::{self, Seen};
use super::recorder::Recorder;
use super::serving::{self, Earlier, Served};
use super::units::is_installed;
use crate::clock;
use crate::host::Host;
use crate::load::{Asked, LoadHandle};
use crate::manager::{Job, Manager, ManagerError};
use crate::model::process::Exit;
use crate::model::{
    ActionKind, ActiveState, EventId, JobResult, KillWho, MonoTime, ProcessId, Signal, UnitName, UnitSnapshot,
    UnitVerb, Verdict,
};
use crate::record::Record;
use crate::record::gate::GateOutcome;
use crate::record::line::{ExecOutcome, Line, StepBegin, StepEnd};
use crate::scenario::plan::{Action, Expectations, Plan, Step};
use crate::secrets::masked_arguments;

/// Says what a gate comes to in that event, at that time, by the record so far.
pub type Judge = fn(&Record, &Expectations, EventId, MonoTime) -> GateOutcome;

/// systemd hears of a process that replaced another by the end of the old one and a file or a message of the new one, in any
/// order.
const HANDOVER_MAX: Duration = Duration::from_secs(1);

/// How often a unit is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a step needs to run.
pub(super) struct Stage<'a, M> {
    pub(super) plan: &'a Plan,
    /// None for a plan that acts on no unit.
    pub(super) manager: Option<&'a M>,
    pub(super) held: &'a [UnitName],
    pub(super) host: &'a dyn Host,
    /// Every process that is known to matter.
    pub(super) processes: &'a Processes,
    pub(super) load: &'a LoadHandle,
    /// What the end of the run is compared with.
    pub(super) earlier: &'a RefCell<Earlier>,
    pub(super) recorder: &'a Recorder,
    pub(super) interrupt: &'a Interrupt,
    /// Of the commands.
    pub(super) surroundings: Surroundings,
    pub(super) judge: Judge,
}

/// How often a manager of another machine is asked whether a main process has ended.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// StepRun run of which step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepRun {
    pub(super) event: EventId,
    pub(super) step: u16,
    pub(super) run: u32,
}

impl StepRun {
    /// The line that begins it, with nothing more known.
    pub(super) fn begins(self, action: ActionKind, at: MonoTime) -> StepBegin {
        let Self { event, step, run } = self;
        StepBegin { event, step, run, action, unit: None, name: None, at, before: Vec::new(), process: None }
    }
}

/// What an action came to, before anything was proven.
struct ActionOutcome {
    job: Option<Job>,
    done_at: MonoTime,
    error: Option<String>,
    /// Of the processes a signal was meant for, those that did not end.
    survivors: Vec<ProcessId>,
    /// When every cohort had been answered, for an action that looks for that itself.
    ready_at: Option<MonoTime>,
    /// The run may go on: false for a gate that is not known to hold.
    holds: bool,
}

impl ActionOutcome {
    fn done(done_at: MonoTime) -> Self {
        Self { job: None, done_at, error: None, survivors: Vec::new(), ready_at: None, holds: true }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { error: Some(reason.into()), ..Self::done(clock::now()) }
    }
}

/// How an event went, for the drive to decide whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StepOutcome {
    Well,
    /// The step failed; the record says why.
    Badly,
    /// The user wants the run to end.
    Interrupted,
}

impl<M: Manager> Stage<'_, M> {
    /// Runs one event and records it.
    ///
    /// # Errors
    /// When the manager could not do its job; the event is recorded with that error.
    pub(super) async fn run(
        &self,
        step: &Step,
        which: StepRun,
        before: Vec<UnitSnapshot>,
    ) -> Result<StepOutcome, ManagerError> {
        let old_main = step.action.unit().and_then(|unit| find(&before, unit)).and_then(UnitSnapshot::main_process);
        let gone = old_main.map(|process| Departure::watch(self.host.exit(process)));
        self.processes.see_units(&before).await;
        let acts = step.action.unit().is_some();
        let listened = if acts { serving::look(self.plan, self.host).await } else { Vec::new() };
        // A pause or a look disturbs nothing: failures go on to belong to the event before it.
        let at = if step.action.kind().disturbs() { self.load.mark(which.event).await } else { clock::now() };
        self.recorder.write(&Line::StepBegin(StepBegin {
            unit: step.action.unit().cloned(),
            before: before.clone(),
            ..which.begins(step.action.kind(), at)
        }));
        let acted = self.act(step, which, &before).await;
        let mut end = StepEnd::of(which.event, at);
        let acted = match acted {
            Ok(acted) => acted,
            Err(error) => {
                end.at = clock::now();
                end.error = Some(error.to_string());
                self.recorder.write(&Line::StepEnd(Box::new(end)));
                return Err(error);
            }
        };
        end.job = acted.job.as_ref().map(|job| job.result);
        end.done_at = Some(acted.done_at);
        end.error = acted.error.or_else(|| unexpected(step, acted.job.as_ref()));
        if end.error.is_none() && has_nothing_to_restart(&step.action, &before) {
            end.job = Some(JobResult::Skipped);
        }
        end.ready_at = acted.ready_at;
        let mut went = match &end.error {
            None if acted.holds => StepOutcome::Well,
            // A command that was told to end did not fail, nor did a job that the user gave up.
            Some(_) if self.interrupt.is_raised() && is_given_up(&step.action, end.job) => StepOutcome::Interrupted,
            _ => StepOutcome::Badly,
        };
        // A gate waits before it judges.
        if went == StepOutcome::Well && step.wait_ready && !matches!(step.action, Action::Gate { .. }) {
            match self.ready(acted.done_at).await {
                Readiness::Answered(ready_at) => end.ready_at = Some(ready_at),
                Readiness::Late(reason) => {
                    end.error = Some(reason);
                    end.is_late = true;
                    went = StepOutcome::Badly;
                }
                Readiness::Interrupted => went = StepOutcome::Interrupted,
            }
        }
        if went == StepOutcome::Well && step.action.kind().replaces() {
            self.load.over(which.event).await;
        }
        let after = self.snapshots_after(&step.action, old_main).await;
        end.at = clock::now();
        end.old_main_gone_at = gone.and_then(|departure| departure.at());
        if let Ok(after) = &after {
            self.processes.see_units(after).await;
        }
        let (after, lost) = match after {
            Ok(after) => (after, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        if step.job == JobResult::Done {
            let serving = match end.ready_at {
                Some(_) if step.action.unit().is_some_and(|unit| answers(self.plan, unit)) => {
                    Some(serving::look(self.plan, self.host).await)
                }
                _ => None,
            };
            let units = serving.iter().flatten().flat_map(Served::units);
            let brought: Vec<UnitName> = units.filter(|unit| is_installed(self.plan, unit)).cloned().collect();
            let seen = Seen {
                before: &before,
                after: &after,
                survivors: &acted.survivors,
                listened: &listened,
                serving: serving.as_deref(),
                brought: &brought,
            };
            end.proof = proof::claims(&step.action, &seen);
            self.note_replaced(&step.action, &seen);
        }
        end.after = after;
        self.recorder.write(&Line::StepEnd(Box::new(end)));
        lost.map_or(Ok(went), Err)
    }

    /// Remembers the processes that a new incarnation is to have replaced.
    fn note_replaced(&self, action: &Action, seen: &Seen<'_>) {
        let Some(unit) = action.unit().filter(|unit| proof::is_replaced(unit, seen)) else { return };
        let processes = find(seen.before, unit).and_then(|before| before.service.as_ref()).map(|it| &it.processes);
        let replaced = processes.into_iter().flatten().map(|&process| (unit.clone(), process));
        self.earlier.borrow_mut().replaced.extend(replaced);
    }

    /// As [`Self::snapshots`], once systemd knows the main process of the unit that was acted on: while one process hands over to
    /// the next it may know none for a moment.
    async fn snapshots_after(
        &self,
        action: &Action,
        old_main: Option<ProcessId>,
    ) -> Result<Vec<UnitSnapshot>, ManagerError> {
        let begin = clock::now();
        loop {
            let after = self.snapshots().await?;
            let acted_on = action.unit().and_then(|unit| find(&after, unit));
            let is_between = acted_on.is_some_and(|unit| unit.sub_state == "running" && unit.main_process().is_none());
            if old_main.is_none() || !is_between || clock::now() > begin + HANDOVER_MAX {
                return Ok(after);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The held units as they are now.
    pub(super) async fn snapshots(&self) -> Result<Vec<UnitSnapshot>, ManagerError> {
        let Some(manager) = self.manager else { return Ok(Vec::new()) };
        let mut snapshots = Vec::with_capacity(self.held.len());
        for unit in self.held {
            snapshots.push(manager.snapshot(unit).await?);
        }
        Ok(snapshots)
    }

    fn manager(&self, step: &Step) -> Result<&M, ManagerError> {
        self.manager.ok_or_else(|| ManagerError::Refused {
            action: step.action.kind().to_string(),
            unit: step.action.unit().map_or_else(|| "systemd".to_owned(), ToString::to_string),
            reason: "this run has no manager".to_owned(),
        })
    }

    async fn act(&self, step: &Step, which: StepRun, before: &[UnitSnapshot]) -> Result<ActionOutcome, ManagerError> {
        match &step.action {
            Action::Unit { verb, unit } => {
                let job = self.manager(step)?.perform(unit, *verb).await?;
                let job_ended_at = job.ended_at;
                Ok(ActionOutcome { job: Some(job), ..ActionOutcome::done(job_ended_at) })
            }
            Action::Kill { unit, signal, who } => self.kill(self.manager(step)?, unit, *signal, *who, before).await,
            Action::DaemonReload => {
                self.manager(step)?.daemon_reload().await?;
                Ok(ActionOutcome::done(clock::now()))
            }
            Action::Wait { duration } => {
                self.interrupt.unless_raised(tokio::time::sleep(*duration)).await;
                Ok(ActionOutcome::done(clock::now()))
            }
            Action::Exec { argv, .. } => Ok(self.exec(which, argv).await),
            Action::Request { cohort, times, every, .. } => {
                Ok(self.request(*cohort, Asked { event: which.event, times: *times, every: *every }).await)
            }
            Action::Gate { expect } => Ok(self.gate(step, which, expect).await),
        }
    }

    /// Makes requests. How they end is for the expectations to judge: the step has made them all the same.
    async fn request(&self, cohort: u16, asked: Asked) -> ActionOutcome {
        match self.interrupt.unless_raised(self.load.request(cohort, asked)).await {
            Some(None) => ActionOutcome::failed("the load ended before the last request"),
            Some(Some(ended_at)) => ActionOutcome::done(ended_at),
            None => ActionOutcome::done(clock::now()),
        }
    }

    /// Judges the run so far, once the target answers and all that was due by then has ended.
    async fn gate(&self, step: &Step, which: StepRun, expect: &Expectations) -> ActionOutcome {
        let mut ready_at = None;
        if step.wait_ready {
            match self.ready(clock::now()).await {
                Readiness::Answered(at) => ready_at = Some(at),
                Readiness::Late(reason) => return ActionOutcome::failed(reason),
                Readiness::Interrupted => return ActionOutcome::done(clock::now()),
            }
        }
        match self.interrupt.unless_raised(self.load.hand_over()).await {
            Some(Some(_)) => {}
            Some(None) => return ActionOutcome::failed("the load ended before the gate was judged"),
            None => return ActionOutcome::done(clock::now()),
        }
        let at = clock::now();
        let outcome = match self.recorder.so_far(|record| (self.judge)(record, expect, which.event, at)) {
            Ok(outcome) => outcome,
            Err(error) => return ActionOutcome::failed(format!("the record so far cannot be read: {error}")),
        };
        let holds = outcome.verdict() == Verdict::Passed;
        self.recorder.write(&Line::Gate(outcome));
        ActionOutcome { ready_at, holds, ..ActionOutcome::done(at) }
    }

    /// Runs a command; one that fails is a failed step.
    async fn exec(&self, which: StepRun, argv: &[String]) -> ActionOutcome {
        let shown = masked_arguments(argv);
        let command = shown.join(" ");
        match exec::execute(argv, &self.plan.directory, self.surroundings, self.interrupt).await {
            Ok(executed) => {
                self.recorder.write(&Line::Exec(ExecOutcome {
                    event: Some(which.event),
                    argv: shown,
                    at: executed.ended_at,
                    exit_code: executed.status.code(),
                    output: executed.output,
                }));
                let failed = !executed.status.success();
                let error = failed.then(|| format!("`{command}` ended with {}", executed.status));
                ActionOutcome { error, ..ActionOutcome::done(executed.ended_at) }
            }
            Err(error) => ActionOutcome::failed(format!("cannot run `{command}`: {error}")),
        }
    }

    /// Signals, and waits for those that it must end to be gone.
    async fn kill(
        &self,
        manager: &M,
        unit: &UnitName,
        signal: Signal,
        who: KillWho,
        before: &[UnitSnapshot],
    ) -> Result<ActionOutcome, ManagerError> {
        let named = named_by(who, find(before, unit));
        manager.kill(unit, who, signal).await?;
        if !proof::is_terminating(signal) {
            return Ok(ActionOutcome::done(clock::now()));
        }
        if self.host.blindness().is_some() {
            return self.ended_by_manager(manager, unit, &named).await;
        }
        let mut survivors = Vec::new();
        let mut done_at = clock::now();
        for &process in &named {
            let exit = timeout(self.plan.run.ready_timeout, self.host.exit(process));
            match self.interrupt.unless_raised(exit).await {
                Some(Ok(Ok(exit))) => done_at = done_at.max(exit.at),
                // The host was lost meanwhile.
                Some(Ok(Err(_))) => return self.ended_by_manager(manager, unit, &named).await,
                Some(Err(_)) | None => survivors.push(process),
            }
        }
        Ok(ActionOutcome { survivors, ..ActionOutcome::done(done_at) })
    }

    /// Waits for those of `named` to be gone that the manager tells of: the main process. Whether others ended is not seen.
    async fn ended_by_manager(
        &self,
        manager: &M,
        unit: &UnitName,
        named: &[ProcessId],
    ) -> Result<ActionOutcome, ManagerError> {
        let until = clock::now() + self.plan.run.ready_timeout;
        loop {
            let main = manager.snapshot(unit).await?.main_process();
            let survivors: Vec<ProcessId> = named.iter().copied().filter(|process| main == Some(*process)).collect();
            let now = clock::now();
            if survivors.is_empty() || now >= until {
                return Ok(ActionOutcome { survivors, ..ActionOutcome::done(now) });
            }
            let pause = tokio::time::sleep(ASK_EVERY);
            if self.interrupt.unless_raised(pause).await.is_none() {
                return Ok(ActionOutcome { survivors, ..ActionOutcome::done(now) });
            }
        }
    }

    /// Waits until every cohort was answered by a request sent after `done_at`.
    async fn ready(&self, done_at: MonoTime) -> Readiness {
        let limit = self.plan.run.ready_timeout;
        match self.interrupt.unless_raised(timeout(limit, self.load.all_answered(done_at))).await {
            Some(Ok(ready_at)) => Readiness::Answered(ready_at),
            Some(Err(_)) => Readiness::Late(format!(
                "the target did not answer every cohort again within ready_timeout ({limit:?}) after the action was done"
            )),
            None => Readiness::Interrupted,
        }
    }
}

fn is_given_up(action: &Action, job: Option<JobResult>) -> bool {
    matches!(action, Action::Exec { .. }) || job == Some(JobResult::Canceled)
}

enum Readiness {
    Answered(MonoTime),
    Late(String),
    Interrupted,
}

/// Whether the load's answers are to come from that unit: from the scenario's service and its socket, or, where it names
/// no service, from whatever a step acts on.
fn answers(plan: &Plan, unit: &UnitName) -> bool {
    let Some(units) = plan.units.as_ref().filter(|units| units.service.is_some()) else { return true };
    [&units.service, &units.socket].into_iter().flatten().any(|own| own == unit)
}

fn named_by(who: KillWho, unit: Option<&UnitSnapshot>) -> Vec<ProcessId> {
    let Some(unit) = unit else { return Vec::new() };
    match who {
        KillWho::Main => unit.main_process().into_iter().collect(),
        KillWho::All if unit.is_unseen => unit.main_process().into_iter().collect(),
        KillWho::All | KillWho::Control => {
            unit.service.as_ref().map(|service| service.processes.clone()).unwrap_or_default()
        }
    }
}

fn find<'a>(snapshots: &'a [UnitSnapshot], unit: &UnitName) -> Option<&'a UnitSnapshot> {
    snapshots.iter().find(|snapshot| snapshot.unit == *unit)
}

/// systemd's job of a try_restart is done at once where the unit does not run.
fn has_nothing_to_restart(action: &Action, before: &[UnitSnapshot]) -> bool {
    let Action::Unit { verb: UnitVerb::TryRestart, unit } = action else { return false };
    find(before, unit)
        .is_some_and(|unit| unit.active_state.is_stopped() || unit.active_state == ActiveState::Deactivating)
}

/// Why a job that ended is not what the step expects; none if it is.
fn unexpected(step: &Step, job: Option<&Job>) -> Option<String> {
    let job = job?;
    if job.result == step.job {
        return None;
    }
    let action = step.action.kind();
    let unit = step.action.unit().map(ToString::to_string).unwrap_or_default();
    let reason = job.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{action} of {unit} ended as {}, expected {}{reason}", job.result, step.job))
}

/// Watches a process until it is gone, beside whatever else goes on.
struct Departure {
    at: Rc<std::cell::Cell<Option<MonoTime>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Departure {
    fn watch(exit: impl Future<Output = io::Result<Exit>> + 'static) -> Self {
        let at = Rc::new(std::cell::Cell::new(None));
        let noted = Rc::clone(&at);
        let task = tokio::task::spawn_local(async move { noted.set(exit.await.ok().map(|exit| exit.at)) });
        Self { at, task }
    }

    /// When it was gone; none if it is still there, or out of sight.
    fn at(&self) -> Option<MonoTime> {
        self.at.get()
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.task.abort();
    }
}
