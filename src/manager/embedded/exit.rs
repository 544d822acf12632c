//! How a process ended, how a service ended, and whether it starts again by itself.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::unit_file::service_choices::{ExitStatusSet, RestartPolicy};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessEnd {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Killed(i32),
    /// By this signal, with a core dump.
    Dumped(i32),
}

/// SIGHUP, SIGINT, SIGPIPE and SIGTERM: a daemon that these end was ended well, systemd.service(5)
/// SuccessExitStatus=.
const CLEAN_SIGNALS: [i32; 4] = [1, 2, 13, 15];

impl From<ExitStatus> for ProcessEnd {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, Some(signal)) if status.core_dumped() => Self::Dumped(signal),
            (None, signal) => Self::Killed(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for ProcessEnd {
    /// `exited 0`, `killed 9`, `dumped 6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited {code}"),
            Self::Killed(signal) => write!(f, "killed {signal}"),
            Self::Dumped(signal) => write!(f, "dumped {signal}"),
        }
    }
}

impl ProcessEnd {
    /// The result it means for its service. A daemon may be ended by a signal that asks it to; another command
    /// may not.
    pub(super) fn result(self, daemon: bool, success: &ExitStatusSet) -> ServiceResult {
        match self {
            Self::Exited(0) => ServiceResult::Success,
            Self::Killed(signal) if daemon && CLEAN_SIGNALS.contains(&signal) => ServiceResult::Success,
            _ if self.is_in(success) => ServiceResult::Success,
            Self::Exited(_) => ServiceResult::ExitCode,
            Self::Killed(_) => ServiceResult::Signal,
            Self::Dumped(_) => ServiceResult::CoreDump,
        }
    }

    fn is_in(self, set: &ExitStatusSet) -> bool {
        match self {
            Self::Exited(code) => set.codes.contains(&code),
            Self::Killed(number) | Self::Dumped(number) => set.signals.iter().any(|signal| signal.number() == number),
        }
    }
}

/// Result= of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ServiceResult {
    /// All went well.
    #[default]
    Success,
    /// Something of the machine was missing: a descriptor, a file, a process.
    Resources,
    /// It did not do what its type says.
    Protocol,
    /// It took too long.
    Timeout,
    /// A process ended with an exit code other than 0.
    ExitCode,
    /// A process was ended by a signal.
    Signal,
    /// A process dumped core.
    CoreDump,
    /// It was started too often.
    StartLimitHit,
}

impl ServiceResult {
    /// systemd's word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Resources => "resources",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::CoreDump => "core-dump",
            Self::StartLimitHit => "start-limit-hit",
        }
    }
}

/// What a service wants when it ended by itself.
pub(super) struct RestartChoice<'a> {
    /// Restart=.
    pub policy: RestartPolicy,
    /// RestartPreventExitStatus=.
    pub prevent: &'a ExitStatusSet,
    /// RestartForceExitStatus=.
    pub force: &'a ExitStatusSet,
}

impl RestartChoice<'_> {
    /// Whether it starts again, systemd.service(5) table "Exit causes and the effect of the Restart= settings".
    /// `end` is that of the last main process.
    pub(super) fn restarts(&self, result: ServiceResult, end: Option<ProcessEnd>) -> bool {
        if end.is_some_and(|end| end.is_in(self.prevent)) {
            return false;
        }
        if end.is_some_and(|end| end.is_in(self.force)) {
            return true;
        }
        match self.policy {
            // Nothing here asks for the watchdog's signs of life.
            RestartPolicy::No | RestartPolicy::OnWatchdog => false,
            RestartPolicy::Always => true,
            RestartPolicy::OnSuccess => result == ServiceResult::Success,
            RestartPolicy::OnFailure => result != ServiceResult::Success,
            RestartPolicy::OnAbnormal => !matches!(result, ServiceResult::Success | ServiceResult::ExitCode),
            RestartPolicy::OnAbort => matches!(result, ServiceResult::Signal | ServiceResult::CoreDump),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_follows_the_table_of_the_man_page() {
        use RestartPolicy::{Always, No, OnAbnormal, OnAbort, OnFailure, OnSuccess, OnWatchdog};
        let policies = [No, Always, OnSuccess, OnFailure, OnAbnormal, OnAbort, OnWatchdog];
        let none = ExitStatusSet::default();
        for (result, expected) in [
            (ServiceResult::Success, [false, true, true, false, false, false, false]),
            (ServiceResult::ExitCode, [false, true, false, true, false, false, false]),
            (ServiceResult::Signal, [false, true, false, true, true, true, false]),
            (ServiceResult::Timeout, [false, true, false, true, true, false, false]),
        ] {
            let answers =
                policies.map(|policy| RestartChoice { policy, prevent: &none, force: &none }.restarts(result, None));
            assert_eq!(answers, expected, "{result:?}");
        }
    }

    #[test]
    fn an_exit_status_can_prevent_or_force_a_restart() {
        let set = |code| ExitStatusSet { codes: vec![code], signals: vec![] };
        let choice = RestartChoice { policy: RestartPolicy::OnFailure, prevent: &set(7), force: &set(0) };
        assert!(!choice.restarts(ServiceResult::ExitCode, Some(ProcessEnd::Exited(7))));
        assert!(choice.restarts(ServiceResult::Success, Some(ProcessEnd::Exited(0))));
    }

    #[test]
    fn a_daemon_ended_by_sigterm_ended_well_and_a_command_did_not() {
        let (killed, none) = (ProcessEnd::Killed(15), ExitStatusSet::default());
        assert_eq!(killed.result(true, &none), ServiceResult::Success);
        assert_eq!(killed.result(false, &none), ServiceResult::Signal);
        let success = ExitStatusSet { codes: vec![143], signals: vec![] };
        assert_eq!(ProcessEnd::Exited(143).result(true, &success), ServiceResult::Success);
        assert_eq!(ProcessEnd::Exited(143).result(true, &none), ServiceResult::ExitCode);
    }
}
