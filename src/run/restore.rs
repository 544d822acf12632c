//! Puts units back into the state they were found in.

use super::recorder::Recorder;
use crate::manager::{Manager, ManagerError};
use crate::model::{ActiveState, JobResult, UnitKind, UnitName, UnitSnapshot, UnitVerb};
use crate::record::line::NoteKind;
use crate::scenario::plan::{Action, Plan};

/// What must be done to one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which unit.
    pub unit: UnitName,
    /// What.
    pub verb: UnitVerb,
}

/// What must be done so that units are as they were found: sockets before services, failures forgotten before a
/// start. A service that only its socket's traffic started is left running, unless it keeps its socket from being
/// started: systemd refuses that while the service runs.
#[must_use]
pub fn corrections(plan: &Plan, found: &[UnitSnapshot], now: &[UnitSnapshot]) -> Vec<Correction> {
    let mut pairs: Vec<_> =
        found.iter().filter_map(|was| Some((was, now.iter().find(|is| is.unit == was.unit)?))).collect();
    pairs.sort_by_key(|(was, _)| was.unit.kind() != UnitKind::Socket);
    let mut corrections = Vec::new();
    for (was, is) in pairs {
        let mut push = |unit: &UnitName, verb| corrections.push(Correction { unit: unit.clone(), verb });
        if was.is_active() && !is.is_active() {
            let is_active = |units: &[UnitSnapshot], name: &UnitName| {
                units.iter().any(|unit| unit.unit == *name && unit.is_active())
            };
            let triggered = was.socket.iter().flat_map(|socket| &socket.triggers);
            let in_its_way: Vec<&UnitName> = triggered.filter(|service| is_active(now, service)).collect();
            if is.active_state == ActiveState::Failed {
                push(&was.unit, UnitVerb::ResetFailed);
            }
            for service in &in_its_way {
                push(service, UnitVerb::Stop);
            }
            push(&was.unit, UnitVerb::Start);
            for service in in_its_way.into_iter().filter(|service| is_active(found, service)) {
                push(service, UnitVerb::Start);
            }
        } else if !was.is_active() && is.is_active() && started_by_a_step(plan, &was.unit) {
            push(&was.unit, UnitVerb::Stop);
        }
    }
    corrections
}

fn started_by_a_step(plan: &Plan, unit: &UnitName) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Unit { verb, unit: acted } => {
            acted == unit && matches!(verb, UnitVerb::Start | UnitVerb::Restart | UnitVerb::ReloadOrRestart)
        }
        _ => false,
    })
}

/// Puts the units of `found` back, going on after a failure.
///
/// # Errors
/// The first failure.
pub async fn restore<M: Manager>(
    plan: &Plan,
    manager: &M,
    found: &[UnitSnapshot],
    recorder: &Recorder,
) -> Result<(), ManagerError> {
    let mut now = Vec::new();
    for was in found {
        now.push(manager.snapshot(&was.unit).await?);
    }
    let mut first_error = None;
    for Correction { unit, verb } in corrections(plan, found, &now) {
        let outcome = manager.perform(&unit, verb).await.and_then(|job| match job.result {
            JobResult::Done => Ok(()),
            other => Err(ManagerError::Refused {
                action: format!("put back ({verb})"),
                unit: unit.to_string(),
                reason: format!("the job ended as {other}{}", job.reason.map(|r| format!(": {r}")).unwrap_or_default()),
            }),
        });
        match outcome {
            Ok(()) => recorder.note(NoteKind::Info, format!("put back: {verb} {unit}")),
            Err(error) => {
                recorder.note(NoteKind::Doubt, error.to_string());
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MonoTime, ServiceState, SocketState};
    use crate::run::testing::plan;

    fn unit(name: &str, active_state: &str) -> UnitSnapshot {
        UnitSnapshot {
            unit: UnitName::new(name).unwrap(),
            at: MonoTime::default(),
            load_state: "loaded".into(),
            active_state: active_state.into(),
            sub_state: String::new(),
            result: "success".into(),
            invocation_id: None,
            need_daemon_reload: false,
            service: Some(ServiceState::default()),
            socket: None,
        }
    }

    fn verbs(found: &[UnitSnapshot], now: &[UnitSnapshot], steps: &str) -> Vec<String> {
        let corrections = corrections(&plan(steps), found, now);
        corrections.iter().map(|correction| format!("{} {}", correction.verb, correction.unit)).collect()
    }

    #[test]
    fn what_was_active_is_started_again_its_socket_first() {
        let found = [unit("a.service", "active"), unit("a.socket", "active")];
        let now = [unit("a.service", "failed"), unit("a.socket", "inactive")];
        assert_eq!(verbs(&found, &now, ""), ["start a.socket", "reset_failed a.service", "start a.service"]);
    }

    #[test]
    fn a_service_that_runs_without_its_socket_is_stopped_first_and_started_again_if_it_ran_before() {
        let socket = |state| UnitSnapshot {
            service: None,
            socket: Some(SocketState { triggers: vec![UnitName::new("a.service").unwrap()], ..SocketState::default() }),
            ..unit("a.socket", state)
        };
        let now = [unit("a.service", "active"), socket("inactive")];
        let found = [unit("a.service", "active"), socket("active")];
        assert_eq!(verbs(&found, &now, ""), ["stop a.service", "start a.socket", "start a.service"]);
        let found = [unit("a.service", "inactive"), socket("active")];
        assert_eq!(verbs(&found, &now, ""), ["stop a.service", "start a.socket"]);
    }

    #[test]
    fn only_what_a_step_started_is_stopped() {
        let (found, now) = ([unit("a.service", "inactive")], [unit("a.service", "active")]);
        assert_eq!(verbs(&found, &now, ""), Vec::<String>::new());
        assert_eq!(verbs(&found, &now, "start"), ["stop a.service"]);
    }
}
