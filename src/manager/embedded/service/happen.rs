//! What comes from outside: processes that execute and exit, messages, the clock.

use std::process::ExitStatus;
use std::task::Context;
use std::time::Instant;

use super::super::exit::{ProcessEnd, ServiceResult};
use super::super::host::Host;
use super::super::notify::Notification;
use super::{Service, State};
use crate::model::{ProcessId, ServiceState, UnitName};
use crate::unit_file::service_choices::{ExitStatusSet, NotifyAccess, ServiceType};

impl Service {
    /// The helper became the service, or could not.
    pub(in super::super) fn on_executed(&mut self, pid: u32, error: Option<String>, host: &mut Host) {
        if error.is_some() {
            self.trouble = error;
        } else if self.is_main(pid) && self.state == State::Start && self.definition.service_type == ServiceType::Exec {
            self.enter_start_post(host);
        }
    }

    /// A process has ended.
    pub(in super::super) fn on_exited(&mut self, pid: u32, status: ExitStatus, host: &mut Host) {
        // What it sent before it ended comes first, as with systemd.
        self.on_notified(host);
        if self.is_main(pid) {
            self.on_main_exited(status.into(), host);
        } else if self.control_id().is_some_and(|control| control.pid == pid) {
            self.on_control_exited(status.into(), host);
        }
    }

    fn is_main(&self, pid: u32) -> bool {
        self.main_id().is_some_and(|main| main.pid == pid)
    }

    fn on_main_exited(&mut self, end: ProcessEnd, host: &mut Host) {
        let Some(main) = self.main.take() else { return };
        let daemon = self.definition.service_type != ServiceType::Oneshot;
        let result = main.judge(end.result(daemon, &self.definition.success_exit_status));
        self.main_end = Some(end);
        self.note(result);
        match (self.state, self.definition.service_type) {
            (State::Start, ServiceType::Oneshot) if result == ServiceResult::Success => self.go_on_start(host),
            (State::Start, ServiceType::Notify) if result == ServiceResult::Success => {
                self.trouble = Some("its main process ended before it sent READY=1".to_owned());
                self.enter_signal(State::StopSigterm, ServiceResult::Protocol, host);
            }
            (State::Start, _) => self.enter_signal(State::StopSigterm, result, host),
            (State::Running, _) => self.enter_running(result, host),
            (state, _) if state.is_signalled() && self.control.is_none() => self.leave_signal(host),
            // ExecStartPost=, ExecReload= or ExecStop= runs: its end says how it goes on.
            _ => {}
        }
    }

    fn on_control_exited(&mut self, end: ProcessEnd, host: &mut Host) {
        let Some(control) = self.control.take() else { return };
        let result = control.judge(end.result(false, &ExitStatusSet::default()));
        let failed = result != ServiceResult::Success;
        if failed {
            self.trouble.get_or_insert_with(|| format!("a command in the state {} {end}", self.state.sub_state()));
        }
        match self.state {
            State::StartPre if !failed => self.go_on_start_pre(host),
            State::StartPost if !failed => self.go_on_start_post(host),
            State::Reload if failed => {
                if self.reload_result == ServiceResult::Success {
                    self.reload_result = result;
                }
                self.enter_running(ServiceResult::Success, host);
            }
            State::Reload => self.go_on_reload(host),
            State::Stop if !failed => self.go_on_stop(host),
            State::StartPre | State::StartPost | State::Stop => self.enter_signal(State::StopSigterm, result, host),
            State::StopPost if !failed => self.go_on_stop_post(host),
            State::StopPost => self.enter_signal(State::FinalSigterm, result, host),
            state if state.is_signalled() && self.main.is_none() => self.leave_signal(host),
            _ => {}
        }
    }

    /// Whether messages came.
    pub(in super::super) fn poll_notified(&self, context: &mut Context<'_>) -> bool {
        self.notify.as_ref().is_some_and(|(_, watch)| watch.poll_readable(context))
    }

    /// Reads the messages that wait.
    pub(in super::super) fn on_notified(&mut self, host: &mut Host) {
        while let Some(message) = self.notify.as_ref().and_then(|(socket, _)| socket.receive()) {
            let waits = self.state == State::Start && self.definition.service_type == ServiceType::Notify;
            if message.is_ready() && waits && self.listens_to(&message) {
                self.enter_start_post(host);
            }
        }
    }

    fn listens_to(&self, message: &Notification) -> bool {
        let is = |process: Option<ProcessId>| process.is_some_and(|process| process.pid == message.sender_pid);
        match self.definition.notify_access {
            NotifyAccess::None => false,
            NotifyAccess::Main => is(self.main_id()),
            NotifyAccess::Exec => is(self.main_id()) || is(self.control_id()),
            NotifyAccess::All => true,
        }
    }

    /// Does what is due by the clock.
    pub(in super::super) fn on_deadline(&mut self, now: Instant, host: &mut Host) {
        if self.timers.look.is_some_and(|due| due <= now) {
            self.look(host);
        }
        if self.timers.state.is_some_and(|due| due <= now) {
            self.time_out(host);
        }
    }

    /// Result=.
    pub(in super::super) fn result_name(&self) -> &'static str {
        self.result.name()
    }

    /// InvocationID.
    pub(in super::super) fn invocation_id(&self) -> Option<String> {
        self.invocation_id.clone()
    }

    /// What is known of it now. `triggered_by`: its sockets.
    pub(in super::super) fn describe(&self, triggered_by: Vec<UnitName>) -> ServiceState {
        let processes = self.family.members();
        let definition = &self.definition;
        ServiceState {
            main_process: self.main_id(),
            main_started_at: self.main_started_at,
            main_exit: self.main_end.map(|end| end.to_string()),
            restarts: self.restarts,
            memory_bytes: super::super::processes::memory_bytes(&processes),
            processes,
            start_limit: definition
                .unit
                .start_limit
                .map(|(burst, interval)| (burst, u64::try_from(interval.as_micros()).unwrap_or(u64::MAX))),
            restart_policy: definition.restart.name().to_owned(),
            kill_mode: definition.kill.mode.name().to_owned(),
            service_type: definition.service_type.name().to_owned(),
            kill_signal: Some(definition.kill.signal.number()),
            refuse_manual_start: definition.unit.refuse_manual_start,
            triggered_by,
        }
    }
}
