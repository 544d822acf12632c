//! In which order units are brought up and down again, so that nothing is in the way of anything.

use super::{Manager, ManagerError};
use crate::model::{ActiveState, JobResult, UnitKind, UnitName, UnitSnapshot, UnitVerb};

/// How a unit is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Active.
    Up,
    /// Not active.
    Down,
    /// Either will do: nothing is done for its own sake.
    Any,
}

/// One step on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which unit.
    pub unit: UnitName,
    /// What.
    pub verb: UnitVerb,
}

/// What must be done to units that are as in `now` so that they are as wanted.
///
/// - What is to be down is stopped first, sockets before the services that they would start again.
/// - All failures are forgotten next, those of the services that a socket triggers too: to forget a start limit that a
///   service hit fails the socket in front of it once more (systemd's `socket_notify_service_dead`), so no socket is started
///   before that.
/// - A service that runs keeps its socket from being started: it is stopped for that.
/// - Sockets are started, then everything else.
#[must_use]
pub fn corrections(wanted: &[(UnitName, Want)], now: &[UnitSnapshot]) -> Vec<Correction> {
    let state = |unit: &UnitName| now.iter().find(|snapshot| snapshot.unit == *unit);
    let is_up = |unit: &UnitName| state(unit).is_some_and(UnitSnapshot::is_active);
    let want = |unit: &UnitName| wanted.iter().find(|(wanted, _)| wanted == unit).map(|(_, want)| *want);
    let mut units: Vec<&(UnitName, Want)> = wanted.iter().collect();
    units.sort_by_key(|(unit, _)| unit.kind() != UnitKind::Socket);

    let to_stop = units.iter().filter(|(unit, want)| *want == Want::Down && state(unit).is_some_and(is_not_down));
    let to_start: Vec<&UnitName> = units
        .iter()
        .filter(|(unit, want)| *want == Want::Up && state(unit).is_some_and(is_to_be_started))
        .map(|(unit, _)| unit)
        .collect();
    let triggered = to_start.iter().filter_map(|unit| state(unit)?.socket.as_ref()).flat_map(|socket| &socket.triggers);
    let triggered: Vec<&UnitName> = triggered.collect();

    let mut corrections = Corrections::default();
    to_stop.for_each(|(unit, _)| corrections.push(unit, UnitVerb::Stop));
    to_start.iter().for_each(|unit| corrections.push(unit, UnitVerb::ResetFailed));
    let failed =
        triggered.iter().filter(|unit| state(unit).is_some_and(|unit| unit.active_state == ActiveState::Failed));
    failed.for_each(|unit| corrections.push(unit, UnitVerb::ResetFailed));
    let in_the_way: Vec<&UnitName> = triggered.into_iter().filter(|unit| is_up(unit)).collect();
    in_the_way.iter().for_each(|unit| corrections.push(unit, UnitVerb::Stop));
    to_start.iter().for_each(|unit| corrections.push(unit, UnitVerb::Start));
    let again = in_the_way.iter().filter(|unit| !matches!(want(unit), Some(Want::Down | Want::Any)));
    again.for_each(|unit| corrections.push(unit, UnitVerb::Start));
    corrections.0
}

/// What was done, and what was not.
#[derive(Debug, Default)]
pub struct Brought {
    /// In this order.
    pub done: Vec<Correction>,
    /// Why a unit could not be brought up or down.
    pub failed: Vec<(UnitName, ManagerError)>,
}

/// Brings units up and down as wanted, going on after a failure.
///
/// # Errors
/// When the manager cannot be asked how they are; nothing is done then.
pub async fn bring<M: Manager>(manager: &M, wanted: &[(UnitName, Want)]) -> Result<Brought, ManagerError> {
    let now = look_at(manager, wanted).await?;
    let mut brought = Brought::default();
    for correction in corrections(wanted, &now) {
        let Correction { unit, verb } = &correction;
        let error = match manager.bring_back(unit, *verb).await {
            Ok(job) if job.result == JobResult::Done => {
                brought.done.push(correction);
                continue;
            }
            Ok(job) => ManagerError::Refused {
                action: format!("{verb} again"),
                unit: unit.to_string(),
                reason: job.reason.unwrap_or_else(|| format!("its job ended as {}", job.result)),
            },
            Err(error) => error,
        };
        brought.failed.push((unit.clone(), error));
    }
    Ok(brought)
}

/// The units as they are, with the services that the sockets among them trigger.
async fn look_at<M: Manager>(manager: &M, wanted: &[(UnitName, Want)]) -> Result<Vec<UnitSnapshot>, ManagerError> {
    let mut now: Vec<UnitSnapshot> = Vec::new();
    let mut open: Vec<UnitName> = wanted.iter().map(|(unit, _)| unit.clone()).collect();
    while let Some(unit) = open.pop() {
        if now.iter().any(|seen| seen.unit == unit) {
            continue;
        }
        let snapshot = manager.snapshot(&unit).await?;
        open.extend(snapshot.socket.iter().flat_map(|socket| &socket.triggers).cloned());
        now.push(snapshot);
    }
    Ok(now)
}

#[derive(Default)]
struct Corrections(Vec<Correction>);

impl Corrections {
    fn push(&mut self, unit: &UnitName, verb: UnitVerb) {
        let correction = Correction { unit: unit.clone(), verb };
        if !self.0.contains(&correction) {
            self.0.push(correction);
        }
    }
}

fn is_not_down(unit: &UnitSnapshot) -> bool {
    !unit.active_state.is_stopped()
}

/// One that is on its way up gets there by itself, unless it waits for the time of its automatic restart.
fn is_to_be_started(unit: &UnitSnapshot) -> bool {
    match unit.active_state {
        ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing => false,
        ActiveState::Activating => unit.sub_state.starts_with("auto-restart"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SocketState;

    fn unit(name: &str, active_state: &str) -> UnitSnapshot {
        UnitSnapshot::in_state(name, active_state)
    }

    fn socket(state: &str) -> UnitSnapshot {
        let triggers = vec![UnitName::new("a.service").unwrap()];
        UnitSnapshot { socket: Some(SocketState { triggers, ..SocketState::default() }), ..unit("a.socket", state) }
    }

    fn done(wanted: &[(&str, Want)], now: &[UnitSnapshot]) -> String {
        let wanted: Vec<_> = wanted.iter().map(|(name, want)| (UnitName::new(*name).unwrap(), *want)).collect();
        let verbs = corrections(&wanted, now).into_iter();
        verbs.map(|correction| format!("{} {}", correction.verb, correction.unit)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn after_a_start_limit_every_failure_is_forgotten_before_the_socket_is_started_and_the_service_last() {
        let wanted = [("a.service", Want::Up), ("a.socket", Want::Up)];
        assert_eq!(
            done(&wanted, &[unit("a.service", "failed"), socket("failed")]),
            "reset_failed a.socket, reset_failed a.service, start a.socket, start a.service"
        );
        let only_the_socket = [("a.socket", Want::Up)];
        assert_eq!(
            done(&only_the_socket, &[unit("a.service", "failed"), socket("failed")]),
            "reset_failed a.socket, reset_failed a.service, start a.socket"
        );
    }

    #[test]
    fn a_service_that_runs_without_its_socket_is_stopped_first_and_started_again_unless_it_was_found_down() {
        let now = [unit("a.service", "active"), socket("inactive")];
        let with = |want| done(&[("a.service", want), ("a.socket", Want::Up)], &now);
        let again = "reset_failed a.socket, stop a.service, start a.socket, start a.service";
        assert_eq!(with(Want::Up), again);
        assert_eq!(with(Want::Any), "reset_failed a.socket, stop a.service, start a.socket");
        assert_eq!(done(&[("a.socket", Want::Up)], &now), again, "it is nobody's to end");
    }

    #[test]
    fn what_is_to_be_down_is_stopped_the_socket_before_its_service() {
        let wanted = [("a.service", Want::Down), ("a.socket", Want::Down)];
        assert_eq!(done(&wanted, &[unit("a.service", "active"), socket("active")]), "stop a.socket, stop a.service");
        assert_eq!(done(&wanted, &[unit("a.service", "activating"), socket("failed")]), "stop a.service");
    }

    #[test]
    fn what_is_as_wanted_or_on_its_way_is_left_alone() {
        let wanted = [("a.service", Want::Up), ("b.service", Want::Any)];
        for state in ["active", "reloading", "activating"] {
            assert_eq!(done(&wanted, &[unit("a.service", state), unit("b.service", "active")]), "");
        }
        let waiting = UnitSnapshot { sub_state: "auto-restart".into(), ..unit("a.service", "activating") };
        assert_eq!(done(&wanted, &[waiting]), "reset_failed a.service, start a.service");
    }
}
