//! From running to dead, or to the next automatic restart.

use std::time::{Duration, Instant};

use super::super::exit::{RestartChoice, ServiceResult};
use super::super::host::Host;
use super::super::kill_plan::{Force, Running as Plan, targets};
use super::start::Begun;
use super::{Awaited, Service, State, StopAsked, Timers};
use crate::model::{JobResult, KillWho, ProcessId, Signal};
use crate::unit_file::TimeSpan;

/// How often it is looked whether any process is left, where no event says so.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

impl Service {
    /// Begins a stop. `to_restart`: a start follows.
    pub(in super::super) fn begin_stop(&mut self, to_restart: bool, host: &mut Host) -> Begun {
        self.settled = None;
        self.stop_asked = if to_restart { StopAsked::ToRestart } else { StopAsked::ToStop };
        if self.state.is_down() {
            self.settled = Some((JobResult::Done, None));
            return Begun::Yes;
        }
        self.awaited = Some(Awaited::Stop);
        match self.state {
            State::AutoRestart => {
                self.timers = Timers::default();
                self.restart_is_due = false;
                self.enter(State::Dead, host);
            }
            State::Running | State::Exited => self.enter_stop(ServiceResult::Success, host),
            // Something is being started: no time is spent on ExecStop=.
            State::StartPre | State::Start | State::StartPost | State::Reload => {
                self.enter_signal(State::StopSigterm, ServiceResult::Success, host);
            }
            _ => {}
        }
        Begun::Yes
    }

    /// ExecStop=.
    pub(super) fn enter_stop(&mut self, result: ServiceResult, host: &mut Host) {
        self.note(result);
        self.commands = self.definition.commands.stop.clone().into();
        if !self.commands.is_empty() {
            self.enter(State::Stop, host);
        }
        self.go_on_stop(host);
    }

    /// Runs the next ExecStop=, or goes on to signals.
    pub(super) fn go_on_stop(&mut self, host: &mut Host) {
        match self.spawn_next_control(self.definition.timeout_stop, host) {
            Ok(true) => {}
            Ok(false) => self.enter_signal(State::StopSigterm, ServiceResult::Success, host),
            Err(error) => self.lack(&error, host),
        }
    }

    /// Signals what runs, and waits for it; where nothing runs, goes on at once.
    pub(super) fn enter_signal(&mut self, state: State, result: ServiceResult, host: &mut Host) {
        self.note(result);
        self.commands.clear();
        let force = match state {
            State::StopSigkill | State::FinalSigkill => Force::End,
            _ => Force::Ask,
        };
        let members = self.family.members();
        let running = Plan { main: self.main_id(), control: self.control_id(), all: &members };
        let targets = targets(self.definition.kill.mode, force, running);
        self.signal(&targets, force);
        if targets.is_empty() && members.is_empty() && self.definition.commands.stop_post.is_empty() {
            // Nothing is left, and nothing is to come.
            self.enter_dead(ServiceResult::Success, true, host);
        } else if targets.is_empty() {
            self.after_signal(state, host);
        } else {
            self.arm(self.definition.timeout_stop);
            self.timers.look = Some(Instant::now() + LOOK_INTERVAL);
            self.enter(state, host);
        }
    }

    fn signal(&self, targets: &[ProcessId], force: Force) {
        let kill = &self.definition.kill;
        let signal = match force {
            Force::Ask if self.stop_asked == StopAsked::ToRestart => kill.restart_signal,
            Force::Ask => kill.signal,
            Force::End => kill.final_signal,
        };
        for target in targets {
            target.kill(signal);
            if force == Force::Ask {
                // A stopped process must run to see the signal.
                if let Some(go_on) = Signal::from_name("CONT") {
                    target.kill(go_on);
                }
                if kill.send_sighup {
                    target.kill(Signal::HUP);
                }
            }
        }
    }

    /// Nothing is left of what `state` waited for.
    fn after_signal(&mut self, state: State, host: &mut Host) {
        self.timers = Timers::default();
        match state {
            State::StopSigterm if self.definition.kill.send_sigkill => {
                self.enter_signal(State::StopSigkill, ServiceResult::Success, host);
            }
            State::FinalSigterm if self.definition.kill.send_sigkill => {
                self.enter_signal(State::FinalSigkill, ServiceResult::Success, host);
            }
            State::StopSigterm | State::StopSigkill => self.enter_stop_post(host),
            _ => self.enter_dead(ServiceResult::Success, true, host),
        }
    }

    /// Looks whether what was signalled is gone.
    pub(super) fn look(&mut self, host: &mut Host) {
        self.timers.look = None;
        if !self.state.is_signalled() {
            return;
        }
        let own_are_gone = self.main.is_none() && self.control.is_none();
        if own_are_gone && !self.waits_for_others() {
            self.leave_signal(host);
        } else {
            self.timers.look = Some(Instant::now() + LOOK_INTERVAL);
        }
    }

    fn waits_for_others(&self) -> bool {
        use crate::unit_file::service_choices::KillMode::{ControlGroup, Mixed};
        let asks = matches!(self.state, State::StopSigterm | State::FinalSigterm);
        let mode = self.definition.kill.mode;
        let signalled = mode == ControlGroup || (mode == Mixed && !asks);
        signalled && !self.family.members().is_empty()
    }

    /// The main process and its command are gone: goes on from a state that waited for them.
    pub(super) fn leave_signal(&mut self, host: &mut Host) {
        self.timers = Timers::default();
        match self.state {
            State::StopSigterm | State::StopSigkill => self.enter_stop_post(host),
            _ => self.enter_dead(ServiceResult::Success, true, host),
        }
    }

    /// ExecStopPost=.
    pub(super) fn enter_stop_post(&mut self, host: &mut Host) {
        self.commands = self.definition.commands.stop_post.clone().into();
        if !self.commands.is_empty() {
            self.enter(State::StopPost, host);
        }
        self.go_on_stop_post(host);
    }

    /// Runs the next ExecStopPost=, or ends what is left.
    pub(super) fn go_on_stop_post(&mut self, host: &mut Host) {
        match self.spawn_next_control(self.definition.timeout_stop, host) {
            Ok(true) => {}
            Ok(false) => self.enter_signal(State::FinalSigterm, ServiceResult::Success, host),
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.enter_signal(State::FinalSigterm, ServiceResult::Resources, host);
            }
        }
    }

    /// It is down. `may_restart`: unless Restart= brings it up again.
    pub(super) fn enter_dead(&mut self, result: ServiceResult, may_restart: bool, host: &mut Host) {
        self.note(result);
        self.arm(TimeSpan::Infinity);
        self.timers.look = None;
        self.connection = None;
        // With KillMode=none they may still run; they are no longer waited for.
        self.main = None;
        self.control = None;
        let choice = RestartChoice {
            policy: self.definition.restart,
            prevent: &self.definition.restart_prevent_exit_status,
            force: &self.definition.restart_force_exit_status,
        };
        let restarts = may_restart && self.stop_asked == StopAsked::No && choice.restarts(self.result, self.main_end);
        self.remove_surroundings(restarts, host);
        let end = if self.result == ServiceResult::Success { State::Dead } else { State::Failed };
        if restarts {
            // A job that waits sees the end itself; who follows the states sees where it led.
            self.settle(end);
            self.arm(self.definition.restart_sec);
            self.enter(State::AutoRestart, host);
        } else {
            self.passed.clear();
            self.enter(end, host);
        }
    }

    /// The deadline of the present state has come.
    pub(super) fn time_out(&mut self, host: &mut Host) {
        self.timers.state = None;
        match self.state {
            State::AutoRestart => self.restart_is_due = true,
            State::StartPre | State::Start | State::StartPost | State::Stop => {
                self.trouble = Some(format!("it was in the state {} for too long", self.state.sub_state()));
                self.enter_signal(State::StopSigterm, ServiceResult::Timeout, host);
            }
            State::Reload => {
                self.trouble = Some("ExecReload= took too long".to_owned());
                self.reload_result = ServiceResult::Timeout;
                self.commands.clear();
                if let Some(control) = self.control_id() {
                    control.kill(Signal::KILL);
                }
            }
            State::StopSigterm if self.definition.kill.send_sigkill => {
                self.enter_signal(State::StopSigkill, ServiceResult::Timeout, host);
            }
            State::StopPost => self.enter_signal(State::FinalSigterm, ServiceResult::Timeout, host),
            State::FinalSigterm if self.definition.kill.send_sigkill => {
                self.enter_signal(State::FinalSigkill, ServiceResult::Timeout, host);
            }
            State::StopSigterm | State::StopSigkill => {
                self.note(ServiceResult::Timeout);
                self.enter_stop_post(host);
            }
            State::FinalSigterm | State::FinalSigkill => self.enter_dead(ServiceResult::Timeout, true, host),
            State::Dead | State::Failed | State::Running | State::Exited => {}
        }
    }

    /// Sends a signal to processes. False when there is none.
    pub(in super::super) fn kill(&self, who: KillWho, signal: Signal) -> bool {
        let chosen: Vec<ProcessId> = match who {
            KillWho::Main => self.main_id().into_iter().collect(),
            KillWho::Control => self.control_id().into_iter().collect(),
            KillWho::All => {
                let members = self.family.members();
                let running = Plan { main: self.main_id(), control: self.control_id(), all: &members };
                targets(crate::unit_file::service_choices::KillMode::ControlGroup, Force::End, running)
            }
        };
        // All of them, not only up to the first that is there.
        chosen.into_iter().filter(|process| process.kill(signal)).count() > 0
    }
}
