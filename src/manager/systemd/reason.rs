//! Why a job was not `done`, and what to do about it: one sentence from systemd's words.

use std::time::Duration;

use super::bus::Bus;
use super::failure::Failure;
use crate::model::{JobResult, ServiceState, UnitName, UnitSnapshot, UnitVerb};

/// The commands a user would type next.
pub(super) struct Remedies<'a> {
    systemctl: &'a str,
    journalctl: &'a str,
    unit: &'a UnitName,
}

impl<'a> Remedies<'a> {
    pub(super) fn new(bus: &Bus, unit: &'a UnitName) -> Self {
        Self { systemctl: bus.systemctl(), journalctl: bus.journalctl(), unit }
    }

    fn journal(&self) -> String {
        format!("`{} -u {}` says why", self.journalctl, self.unit)
    }

    fn reset_failed(&self) -> String {
        format!("`{} reset-failed {}`", self.systemctl, self.unit)
    }
}

/// Why systemd refused to queue a job.
pub(super) fn of_refusal(failure: &Failure, unit: &UnitName, verb: UnitVerb) -> String {
    let remedy = if failure.is_called("OnlyByDependency") {
        let key = if verb == UnitVerb::Stop { "RefuseManualStop=" } else { "RefuseManualStart=" };
        format!("{unit} has {key}yes: act on the unit that brings it, such as its socket")
    } else if failure.is_called("JobTypeNotApplicable") {
        format!("{unit} cannot {}; a service that can reload has ExecReload=", words(verb))
    } else {
        format!("systemd would not queue the job for {unit}")
    };
    format!("{} ({remedy})", failure.message.trim_end_matches('.'))
}

/// Why a job ended as it did, from the unit as it is afterwards.
pub(super) fn of_result(result: JobResult, verb: UnitVerb, now: &UnitSnapshot, remedies: &Remedies<'_>) -> String {
    match result {
        JobResult::Canceled => "another job took its place, or somebody cancelled it".to_owned(),
        JobResult::Dependency => format!(
            "a unit it depends on failed; `{} list-dependencies {}` says which",
            remedies.systemctl, remedies.unit
        ),
        JobResult::Skipped => "it does not apply to the state the unit is in".to_owned(),
        JobResult::Assert => "an Assert*= of the unit does not hold".to_owned(),
        JobResult::Unsupported => "this kind of unit is not supported on this machine".to_owned(),
        JobResult::Collected => "the unit was unloaded under the job".to_owned(),
        JobResult::Once => "the unit may be started only once".to_owned(),
        JobResult::Timeout => format!("the job timed out; {}", remedies.journal()),
        JobResult::Failed | JobResult::Done => of_unit(verb, now, remedies),
    }
}

/// Why the unit is in the state it is in.
fn of_unit(verb: UnitVerb, now: &UnitSnapshot, remedies: &Remedies<'_>) -> String {
    let journal = remedies.journal();
    match now.result.as_str() {
        "start-limit-hit" => format!(
            "it was started too often{}; {} lifts the limit",
            now.service.as_ref().map(limit_in_words).unwrap_or_default(),
            remedies.reset_failed()
        ),
        "service-start-limit-hit" => {
            format!(
                "its service was started too often; {} and the same for the service, then start it",
                remedies.reset_failed()
            )
        }
        "trigger-limit-hit" => {
            format!(
                "it triggered its service too often (TriggerLimitBurst=); {}, then start it",
                remedies.reset_failed()
            )
        }
        "exit-code" => format!("{}; {journal}", exit_in_words(now)),
        "signal" | "core-dump" => format!("its process was {}; {journal}", exit_of(now)),
        "timeout" => format!("it was not up or down within its TimeoutStartSec= or TimeoutStopSec=; {journal}"),
        "protocol" => format!("it did not do what its Type= promises; {journal}"),
        "watchdog" => format!("it missed its WatchdogSec=; {journal}"),
        "oom-kill" => format!("the kernel ran out of memory and killed it; {journal}"),
        "resources" => format!("systemd could not set up what it needs; {journal}"),
        "" | "success" => format!("{}; {journal}", unsaid(verb, now)),
        other => format!("{other}; {journal}"),
    }
}

/// The likely reason where the unit itself is well.
fn unsaid(verb: UnitVerb, now: &UnitSnapshot) -> String {
    match (verb, &now.socket) {
        (UnitVerb::Reload, _) => "its ExecReload= failed".to_owned(),
        (UnitVerb::Start | UnitVerb::Restart | UnitVerb::TryRestart | UnitVerb::ReloadOrRestart, Some(_)) => format!(
            "systemd does not start a socket while its service runs (with Requires={} the service would be stopped first)",
            now.unit
        ),
        _ => format!("systemd gave no reason for the failed {}", words(verb)),
    }
}

/// ` (5 starts in 10s)`; empty without a limit.
fn limit_in_words(service: &ServiceState) -> String {
    let in_words = |(burst, interval_us)| match interval_us {
        u64::MAX => format!(" ({burst} starts, however long ago)"),
        _ => format!(" ({burst} starts in {:?})", Duration::from_micros(interval_us)),
    };
    service.start_limit.map(in_words).unwrap_or_default()
}

/// Exit codes from 200 on are systemd's own, from before the program ran: `systemd.exec(5)`, "Process Exit Codes".
fn exit_in_words(now: &UnitSnapshot) -> String {
    match exit_of(now).strip_prefix("exited ") {
        Some("200") => "its WorkingDirectory= could not be entered (200/CHDIR)".to_owned(),
        Some("203") => "the executable could not be run (203/EXEC)".to_owned(),
        Some("216") => "its Group= could not be assumed (216/GROUP)".to_owned(),
        Some("217") => "its User= could not be assumed (217/USER)".to_owned(),
        Some("226") => "its mount namespace could not be set up (226/NAMESPACE)".to_owned(),
        Some("0") | None => "a command of the unit failed".to_owned(),
        Some(code) => format!("its main process exited with {code}"),
    }
}

fn exit_of(now: &UnitSnapshot) -> &str {
    now.service.as_ref().and_then(|service| service.main_exit.as_deref()).unwrap_or("killed")
}

/// The verb as it stands in a sentence.
pub(super) fn words(verb: UnitVerb) -> &'static str {
    match verb {
        UnitVerb::TryRestart => "try-restart",
        UnitVerb::ReloadOrRestart => "reload-or-restart",
        UnitVerb::ResetFailed => "reset the failure of",
        UnitVerb::Restart | UnitVerb::Reload | UnitVerb::Stop | UnitVerb::Start => verb.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: &str, main_exit: Option<&str>) -> String {
        let unit = UnitName::new("app.service").expect("valid");
        let now = UnitSnapshot {
            sub_state: "failed".to_owned(),
            result: result.to_owned(),
            service: Some(ServiceState {
                main_exit: main_exit.map(str::to_owned),
                start_limit: Some((5, 10_000_000)),
                ..ServiceState::default()
            }),
            ..UnitSnapshot::in_state("app.service", "failed")
        };
        let remedies = Remedies { systemctl: "systemctl", journalctl: "journalctl", unit: &unit };
        of_result(JobResult::Failed, UnitVerb::Restart, &now, &remedies)
    }

    #[test]
    fn a_start_limit_is_told_with_its_figures_and_how_to_lift_it() {
        assert_eq!(
            reason("start-limit-hit", Some("killed 15")),
            "it was started too often (5 starts in 10s); `systemctl reset-failed app.service` lifts the limit"
        );
    }

    #[test]
    fn a_start_limit_that_never_ends_is_told_as_such() {
        let service = ServiceState { start_limit: Some((3, u64::MAX)), ..ServiceState::default() };
        assert_eq!(limit_in_words(&service), " (3 starts, however long ago)");
    }

    #[test]
    fn an_executable_that_cannot_be_run_is_told_as_such() {
        assert_eq!(
            reason("exit-code", Some("exited 203")),
            "the executable could not be run (203/EXEC); `journalctl -u app.service` says why"
        );
        assert_eq!(
            reason("exit-code", Some("exited 3")),
            "its main process exited with 3; `journalctl -u app.service` says why"
        );
    }

    #[test]
    fn a_word_that_a_later_systemd_may_use_is_passed_on() {
        assert_eq!(reason("new-kind-of-failure", None), "new-kind-of-failure; `journalctl -u app.service` says why");
    }
}
