//! A service: systemd's state machine of service.c, for the types that need no control group and no bus.
//!
//! | file | subject |
//! |---|---|
//! | `mod` | what a service is, its states, and when a job on it is over |
//! | `start` | from dead to running |
//! | `stop` | from running to dead, or to the next automatic restart |
//! | `happen` | what comes from outside: exits, messages, deadlines |
//! | `spawn` | starting its processes |

mod happen;
mod spawn;
mod start;
mod state;
mod stop;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Instant;

pub(super) use spawn::PassedSocket;
pub(super) use start::Begun;
pub(super) use state::State;

use super::exit::{ProcessEnd, ServiceResult};
use super::host::{Host, Output, Watch};
use super::listener::Peer;
use super::notify::NotifySocket;
use super::processes::Family;
use super::rate_limit::RateLimit;
use crate::clock;
use crate::model::{ActiveState, JobResult, MonoTime, ProcessId, UnitName};
use crate::record::line::UnitChange;
use crate::unit_file::{CommandLine, ServiceUnit};

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// That it is active.
    Start,
    /// That it is inactive or failed.
    Stop,
    /// That it is active again.
    Reload,
}

/// Who asked for a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopAsked {
    /// Nobody: the service ends by itself.
    No,
    /// Somebody who wants it down.
    ToStop,
    /// Somebody who wants it restarted: RestartKillSignal= instead of KillSignal=.
    ToRestart,
}

/// A process of the service.
#[derive(Clone, Copy, Debug)]
struct Running {
    id: ProcessId,
    /// `-` before its command: whatever comes of it is success.
    ignore_failure: bool,
}

/// The deadlines of a service.
#[derive(Clone, Copy, Debug, Default)]
struct Timers {
    /// When the state has lasted too long, or with auto-restart long enough.
    state: Option<Instant>,
    /// When to look again whether any process is left.
    look: Option<Instant>,
}

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) definition: ServiceUnit,
    /// The sockets it gets, settled when it is started.
    passed: Vec<PassedSocket>,
    /// It was made for one connection, with Accept=yes, and is dropped with it.
    for_connection: bool,
    /// That connection, until the service ends.
    connection: Option<(OwnedFd, Peer)>,
    state: State,
    result: ServiceResult,
    reload_result: ServiceResult,
    main: Option<Running>,
    control: Option<Running>,
    /// Commands of the present phase that are still to run.
    commands: VecDeque<CommandLine>,
    timers: Timers,
    family: Family,
    notify: Option<(NotifySocket, Watch)>,
    invocation_id: Option<String>,
    main_started_at: Option<MonoTime>,
    main_end: Option<ProcessEnd>,
    restarts: u32,
    start_limit: RateLimit,
    /// Whether somebody asked for the stop: then no automatic restart follows it.
    stop_asked: StopAsked,
    /// An automatic restart is due; the engine makes it a job.
    restart_is_due: bool,
    /// Why something could not be done, for people.
    trouble: Option<String>,
    output: Output,
    awaited: Option<Awaited>,
    settled: Option<(JobResult, Option<String>)>,
}

impl Service {
    pub(super) fn new(definition: ServiceUnit, host: &Host) -> Self {
        let family = Family::of_unit(&host.run, definition.name.as_str());
        let start_limit = RateLimit::new(definition.unit.start_limit);
        Self {
            definition,
            passed: Vec::new(),
            for_connection: false,
            connection: None,
            state: State::Dead,
            result: ServiceResult::Success,
            reload_result: ServiceResult::Success,
            main: None,
            control: None,
            commands: VecDeque::new(),
            timers: Timers::default(),
            family,
            notify: None,
            invocation_id: None,
            main_started_at: None,
            main_end: None,
            restarts: 0,
            start_limit,
            stop_asked: StopAsked::No,
            restart_is_due: false,
            trouble: None,
            output: Output::default(),
            awaited: None,
            settled: None,
        }
    }

    /// A service for one connection.
    pub(super) fn for_connection(definition: ServiceUnit, connection: OwnedFd, peer: Peer, host: &Host) -> Self {
        Self { for_connection: true, connection: Some((connection, peer)), ..Self::new(definition, host) }
    }

    pub(super) fn name(&self) -> &UnitName {
        &self.definition.name
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn hit_its_start_limit(&self) -> bool {
        self.result == ServiceResult::StartLimitHit
    }

    /// The end of what it printed.
    pub(super) fn output(&self) -> String {
        self.output.text()
    }

    /// When something is due by the clock.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.state.into_iter().chain(self.timers.look).min()
    }

    /// Whether an automatic restart is due; it is, once.
    pub(super) fn take_due_restart(&mut self) -> bool {
        std::mem::take(&mut self.restart_is_due)
    }

    /// How the job that waits for this service ended; none while it goes on.
    pub(super) fn take_settled(&mut self) -> Option<(JobResult, Option<String>)> {
        self.settled.take()
    }

    /// Whether it serves one connection of a socket with Accept=yes.
    pub(super) fn is_for_connection(&self) -> bool {
        self.for_connection
    }

    /// Nobody waits for it any more.
    pub(super) fn forget_job(&mut self) {
        self.awaited = None;
        self.settled = None;
    }

    /// Forgets that it failed, and how often it was started. Tells the change.
    pub(super) fn reset_failed(&mut self, host: &mut Host) {
        self.start_limit.reset();
        self.result = ServiceResult::Success;
        self.restarts = 0;
        if self.state == State::Failed {
            self.enter(State::Dead, host);
        }
    }

    /// Enters a state: tells it, and settles the job that waited for it.
    fn enter(&mut self, state: State, host: &mut Host) {
        self.settle(state);
        self.state = state;
        let at = clock::now();
        host.tell(UnitChange {
            unit: self.definition.name.clone(),
            at,
            changed_at: Some(at),
            active_state: state.active_state(),
            sub_state: state.sub_state().to_owned(),
            main_pid: self.main.map_or(0, |main| main.id.pid),
            result: self.result.name().to_owned(),
            main_exit: self.main_end.map(|end| end.to_string()),
        });
    }

    /// Ends the job that waits, if `state` ends it. The rules are those of `job` in systemd's `unit_notify`.
    fn settle(&mut self, state: State) {
        use JobResult::{Done, Failed};
        let Some(awaited) = self.awaited else { return };
        let reload_failed = self.reload_result != ServiceResult::Success;
        let result = match (awaited, state.active_state()) {
            (Awaited::Reload, ActiveState::Active) if reload_failed => Failed,
            (Awaited::Start | Awaited::Reload, ActiveState::Active | ActiveState::Inactive)
            | (Awaited::Stop, ActiveState::Inactive | ActiveState::Failed) => Done,
            (Awaited::Start | Awaited::Reload, ActiveState::Failed) | (Awaited::Stop, ActiveState::Active) => Failed,
            _ => return,
        };
        let reason = (result == Failed).then(|| self.explain());
        self.awaited = None;
        self.settled = Some((result, reason));
    }

    /// Why it failed, for people.
    fn explain(&self) -> String {
        let (what, result) = match self.reload_result {
            ServiceResult::Success => ("", self.result),
            failed => ("ExecReload= of ", failed),
        };
        let end = self.main_end.map(|end| match end {
            ProcessEnd::Exited(203) => ", main process exited 203/EXEC".to_owned(),
            end => format!(", main process {end}"),
        });
        let trouble = self.trouble.as_ref().map(|trouble| format!(": {trouble}"));
        let (end, trouble) = (end.unwrap_or_default(), trouble.unwrap_or_default());
        format!("{what}{} ended with result {}{end}{trouble}", self.name(), result.name())
    }

    fn main_id(&self) -> Option<ProcessId> {
        self.main.map(|main| main.id)
    }

    fn control_id(&self) -> Option<ProcessId> {
        self.control.map(|control| control.id)
    }
}
