//! From dead to running.

use std::io;
use std::time::Instant;

use super::super::exit::ServiceResult;
use super::super::host::{Host, random_id};
use super::{Awaited, PassedSocket, Running, Service, State, StopAsked, Timers};
use crate::model::ActiveState;
use crate::unit_file::TimeSpan;
use crate::unit_file::service_choices::ServiceType;

/// What came of an attempt to begin something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Begun {
    /// It goes on; or it is over already, and settled.
    Yes,
    /// It must wait: try again when something has happened.
    NotYet,
}

impl Service {
    /// Begins a start, with the sockets the service gets. `automatic`: Restart= asked for it.
    pub(in super::super) fn begin_start(
        &mut self,
        passed: Vec<PassedSocket>,
        automatic: bool,
        host: &mut Host,
    ) -> Begun {
        self.settled = None;
        if self.state.active_state() == ActiveState::Active || self.state == State::Reload {
            self.settled = Some((crate::model::JobResult::Done, None));
            return Begun::Yes;
        }
        if self.state.is_stopping() || (self.state == State::AutoRestart && !automatic) {
            return Begun::NotYet;
        }
        self.awaited = Some(Awaited::Start);
        if self.state.is_down() || self.state == State::AutoRestart {
            self.passed = passed;
            self.start(automatic, host);
        }
        Begun::Yes
    }

    fn start(&mut self, automatic: bool, host: &mut Host) {
        self.timers = Timers::default();
        if !self.start_limit.allows(Instant::now()) {
            self.trouble = Some("it was started too often (StartLimitBurst=, StartLimitIntervalSec=)".to_owned());
            self.result = ServiceResult::StartLimitHit;
            self.enter_dead(ServiceResult::StartLimitHit, false, host);
            return;
        }
        self.restarts = if automatic { self.restarts + 1 } else { 0 };
        self.result = ServiceResult::Success;
        self.reload_result = ServiceResult::Success;
        self.trouble = None;
        self.stop_asked = StopAsked::No;
        self.main_end = None;
        self.forget_ended_sessions(host);
        let prepared = random_id().and_then(|id| {
            self.invocation_id = Some(id);
            self.make_surroundings(host)
        });
        match prepared {
            Ok(()) => self.enter_start_pre(host),
            Err(error) => self.lack(&error, host),
        }
    }

    fn enter_start_pre(&mut self, host: &mut Host) {
        self.commands = self.definition.commands.start_pre.clone().into();
        if !self.commands.is_empty() {
            self.enter(State::StartPre, host);
        }
        self.go_on_start_pre(host);
    }

    /// Runs the next ExecStartPre=, or goes on to ExecStart=.
    pub(super) fn go_on_start_pre(&mut self, host: &mut Host) {
        match self.spawn_next_control(self.definition.timeout_start, host) {
            Ok(true) => {}
            Ok(false) => self.enter_start(host),
            Err(error) => self.lack(&error, host),
        }
    }

    fn enter_start(&mut self, host: &mut Host) {
        self.commands = self.definition.commands.start.clone().into();
        self.arm(self.definition.timeout_start);
        if self.commands.is_empty() {
            // Only a oneshot can have none.
            self.enter_start_post(host);
            return;
        }
        self.go_on_start(host);
    }

    /// Runs the next ExecStart=, or goes on when a oneshot has run them all.
    pub(super) fn go_on_start(&mut self, host: &mut Host) {
        let Some(command) = self.commands.pop_front() else { return self.enter_start_post(host) };
        if let Err(error) = self.spawn_main(&command, host) {
            return self.lack(&error, host);
        }
        match self.definition.service_type {
            ServiceType::Exec | ServiceType::Notify | ServiceType::Oneshot => {
                if self.state != State::Start {
                    self.enter(State::Start, host);
                }
            }
            // The types that are not supported are refused before.
            _ => self.enter_start_post(host),
        }
    }

    /// The service counts as started: ExecStartPost=.
    pub(super) fn enter_start_post(&mut self, host: &mut Host) {
        self.commands = self.definition.commands.start_post.clone().into();
        if !self.commands.is_empty() {
            self.enter(State::StartPost, host);
        }
        self.go_on_start_post(host);
    }

    /// Runs the next ExecStartPost=, or is there.
    pub(super) fn go_on_start_post(&mut self, host: &mut Host) {
        match self.spawn_next_control(self.definition.timeout_start, host) {
            Ok(true) => {}
            Ok(false) => self.enter_running(ServiceResult::Success, host),
            Err(error) => self.lack(&error, host),
        }
    }

    /// All commands of a phase have run: what the service is now depends on its main process.
    pub(super) fn enter_running(&mut self, result: ServiceResult, host: &mut Host) {
        self.note(result);
        self.arm(TimeSpan::Infinity);
        if self.result != ServiceResult::Success {
            self.enter_signal(State::StopSigterm, ServiceResult::Success, host);
        } else if self.main.is_some() {
            self.enter(State::Running, host);
        } else if self.definition.remain_after_exit {
            self.enter(State::Exited, host);
        } else {
            self.enter_stop(ServiceResult::Success, host);
        }
    }

    /// Begins a reload.
    pub(in super::super) fn begin_reload(&mut self, host: &mut Host) -> Begun {
        if self.state == State::Reload {
            return Begun::NotYet;
        }
        self.settled = None;
        self.awaited = Some(Awaited::Reload);
        self.reload_result = ServiceResult::Success;
        self.commands = self.definition.commands.reload.clone().into();
        self.enter(State::Reload, host);
        self.go_on_reload(host);
        Begun::Yes
    }

    /// Runs the next ExecReload=, or is done.
    pub(super) fn go_on_reload(&mut self, host: &mut Host) {
        match self.spawn_next_control(self.definition.timeout_start, host) {
            Ok(true) => {}
            Ok(false) => self.enter_running(ServiceResult::Success, host),
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.reload_result = ServiceResult::Resources;
                self.enter_running(ServiceResult::Success, host);
            }
        }
    }

    /// Something of the machine is missing.
    pub(super) fn lack(&mut self, error: &io::Error, host: &mut Host) {
        self.trouble = Some(error.to_string());
        self.enter_signal(State::StopSigterm, ServiceResult::Resources, host);
    }

    /// The first thing that went wrong is what is told.
    pub(super) fn note(&mut self, result: ServiceResult) {
        if self.result == ServiceResult::Success {
            self.result = result;
        }
    }

    /// Sessions of earlier incarnations of which no process is left.
    pub(in super::super) fn forget_ended_sessions(&mut self, host: &mut Host) {
        if self.family.members().is_empty() {
            host.forget_sessions(self.family.take_sessions());
        }
    }
}

impl Running {
    /// What an end means where a failure may not count.
    pub(super) fn judge(self, result: ServiceResult) -> ServiceResult {
        if self.ignore_failure { ServiceResult::Success } else { result }
    }
}
