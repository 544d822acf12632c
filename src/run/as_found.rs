//! How units are to be once the run is over: as they were found. And what is not.

use crate::manager::ManagerError;
use crate::manager::order::{Correction, Want, corrections};
use crate::model::address::Listener;
use crate::model::{ActiveState, ServiceState, UnitName, UnitSnapshot, UnitVerb};
use crate::scenario::plan::{Action, Plan};

/// How each unit is to be. Of those that were found down, only what the scenario started is stopped: not what traffic
/// on its socket, a timer or a path started, and not what somebody else did.
pub(super) fn goals(plan: &Plan, found: &[UnitSnapshot], now: &[UnitSnapshot]) -> Vec<(UnitName, Want)> {
    let is_now = |unit: &UnitName| now.iter().find(|snapshot| snapshot.unit == *unit);
    let goal = |was: &UnitSnapshot| {
        let triggered = |service: &ServiceState| !service.triggered_by.is_empty();
        let is_triggered = was.service.as_ref().is_some_and(triggered);
        match class(was) {
            Class::Moving => Want::Any,
            Class::Up if is_now(&was.unit).is_some_and(waits_for_its_socket) => Want::Any,
            Class::Up => Want::Up,
            Class::Down if started_by_a_step(plan, &was.unit) => Want::Down,
            Class::Down if is_triggered || !runs_commands(plan) => Want::Any,
            Class::Down => Want::Down,
        }
    };
    found.iter().map(|was| (was.unit.clone(), goal(was))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Up,
    Down,
    Moving,
}

fn class(unit: &UnitSnapshot) -> Class {
    match unit.active_state {
        ActiveState::Inactive | ActiveState::Failed => Class::Down,
        _ if unit.is_active() => Class::Up,
        _ => Class::Moving,
    }
}

/// A service that nobody but its socket may start, and that is down: the next connection brings it up.
fn waits_for_its_socket(unit: &UnitSnapshot) -> bool {
    unit.active_state == ActiveState::Inactive
        && unit.service.as_ref().is_some_and(|service| service.refuse_manual_start)
}

fn started_by_a_step(plan: &Plan, unit: &UnitName) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Unit { verb, unit: acted } => {
            acted == unit && matches!(verb, UnitVerb::Start | UnitVerb::Restart | UnitVerb::ReloadOrRestart)
        }
        _ => false,
    })
}

/// Whether it runs commands, which may have started a unit.
fn runs_commands(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step.action, Action::Exec { .. }))
}

/// A unit that is not as it was found.
#[derive(Debug)]
pub(super) struct Difference {
    unit: UnitName,
    was_up: bool,
    /// `it was active and is failed`.
    what: String,
}

impl Difference {
    pub(super) fn goal(&self) -> (UnitName, Want) {
        (self.unit.clone(), if self.was_up { Want::Up } else { Want::Down })
    }

    fn sentence(&self, failed: &[(UnitName, ManagerError)]) -> String {
        let Self { unit, what, .. } = self;
        let why = failed.iter().find(|(of, _)| of == unit).map(|(_, error)| format!(" ({error})")).unwrap_or_default();
        format!("{unit} is not as it was found: {what}{why}")
    }
}

/// All differences in one sentence, with the commands that mend them in an order that works; none without differences.
pub(super) fn complaint(
    differences: &[Difference],
    failed: &[(UnitName, ManagerError)],
    now: &[UnitSnapshot],
    systemctl: &str,
) -> Option<String> {
    let goals: Vec<_> = differences.iter().map(Difference::goal).collect();
    let mut commands: Vec<String> = corrections(&goals, now)
        .iter()
        .map(|Correction { unit, verb }| format!("{systemctl} {} {unit}", verb.name().replace('_', "-")))
        .collect();
    // What is up all the same has lost its listener.
    let is_up = |unit: &UnitName| now.iter().any(|is| is.unit == *unit && is.is_active());
    let without_listener = goals.iter().filter(|(unit, want)| *want == Want::Up && is_up(unit));
    commands.extend(without_listener.map(|(unit, _)| format!("{systemctl} restart {unit}")));
    let sentences: Vec<String> = differences.iter().map(|difference| difference.sentence(failed)).collect();
    (!sentences.is_empty()).then(|| format!("{}; mend it with: {}", sentences.join("; "), commands.join("; ")))
}

/// What is not as it was found. A service that traffic may start and stop is as found whether it is up or not.
pub(super) fn differences(plan: &Plan, found: &[UnitSnapshot], now: &[UnitSnapshot]) -> Vec<Difference> {
    let goals = goals(plan, found, now);
    let difference = |was: &UnitSnapshot| {
        let is = now.iter().find(|is| is.unit == was.unit)?;
        let may_be_either = was.service.as_ref().is_some_and(|service| !service.triggered_by.is_empty());
        let is_any = goals.iter().any(|(unit, want)| *unit == was.unit && *want == Want::Any);
        let was_up = match class(was) {
            Class::Moving => return None,
            Class::Up if is_any => return None,
            Class::Down if is_any && may_be_either => return None,
            class => class == Class::Up,
        };
        let what = match (was_up, class(is)) {
            (true, Class::Up) => lost_listener(was, is)?,
            (true, _) if is.active_state == ActiveState::Failed => {
                format!("it was {} and is failed ({})", was.active_state, is.result)
            }
            (false, Class::Down) => return None,
            _ => format!("it was {} and is {}", was.active_state, state(is)),
        };
        Some(Difference { unit: was.unit.clone(), was_up, what })
    };
    found.iter().filter_map(difference).collect()
}

/// `activating (auto-restart)`, where the second word says more.
fn state(unit: &UnitSnapshot) -> String {
    match class(unit) {
        Class::Moving => format!("{} ({})", unit.active_state, unit.sub_state),
        _ => unit.active_state.to_string(),
    }
}

/// A socket unit that is up may have lost an address that it listened at. Where its machine can no longer be looked at, that
/// is not known.
fn lost_listener(was: &UnitSnapshot, is: &UnitSnapshot) -> Option<String> {
    if is.is_unseen {
        return None;
    }
    let (was, is) = (was.socket.as_ref()?, is.socket.as_ref()?);
    let is_lost = |was: &&Listener| is.listeners.iter().all(|is| is.endpoint != was.endpoint);
    let lost = was.listeners.iter().find(is_lost)?;
    Some(format!("it listened at {} and no longer does", lost.endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, MonoTime, SocketState};
    use crate::run::testing::plan;

    fn unit(name: &str, active_state: &str) -> UnitSnapshot {
        UnitSnapshot {
            at: MonoTime::from_micros(100_000_000),
            result: "exit-code".into(),
            service: name.ends_with(".service").then(ServiceState::default),
            ..UnitSnapshot::in_state(name, active_state)
        }
    }

    fn behind_a_socket(state: &str) -> UnitSnapshot {
        let triggered_by = vec![UnitName::new("a.socket").unwrap()];
        UnitSnapshot {
            service: Some(ServiceState { triggered_by, ..ServiceState::default() }),
            ..unit("a.service", state)
        }
    }

    fn goal(plan: &Plan, was: UnitSnapshot, is: UnitSnapshot) -> Want {
        goals(plan, &[was], &[is])[0].1
    }

    fn said(was: UnitSnapshot, is: UnitSnapshot) -> Vec<String> {
        let now = [is];
        complaint(&differences(&plan(""), &[was], &now), &[], &now, "systemctl").into_iter().collect()
    }

    #[test]
    fn of_what_was_found_down_only_what_the_scenario_started_is_stopped() {
        let (down, up) = (unit("a.service", "inactive"), unit("a.service", "active"));
        assert_eq!(goal(&plan("start"), down.clone(), up.clone()), Want::Down);
        assert_eq!(goal(&plan(""), down.clone(), up.clone()), Want::Any, "somebody else did");
        let mut with_a_command = plan("start");
        with_a_command.steps[0].action = Action::Exec { argv: vec!["./deploy.sh".into()], replaces: None };
        assert_eq!(goal(&with_a_command, down, up), Want::Down);
        let (down, up) = (behind_a_socket("inactive"), behind_a_socket("active"));
        assert_eq!(goal(&with_a_command, down.clone(), up.clone()), Want::Any, "its socket's traffic did");
        assert_eq!(goal(&plan("restart"), down, up), Want::Down);
    }

    #[test]
    fn what_is_not_as_found_is_told_with_the_commands_that_mend_it() {
        assert_eq!(
            said(unit("a.service", "active"), unit("a.service", "failed")),
            ["a.service is not as it was found: it was active and is failed (exit-code); mend it with: \
              systemctl reset-failed a.service; systemctl start a.service"]
        );
        assert_eq!(
            said(unit("a.service", "failed"), unit("a.service", "active")),
            ["a.service is not as it was found: it was failed and is active; mend it with: systemctl stop a.service"]
        );
        let looping = UnitSnapshot { sub_state: "auto-restart".into(), ..unit("a.service", "activating") };
        let sentences = said(unit("a.service", "active"), looping);
        assert!(sentences[0].contains("it was active and is activating (auto-restart)"), "{sentences:?}");
    }

    #[test]
    fn a_socket_that_is_up_and_no_longer_listens_is_not_as_found() {
        let address: Endpoint = Endpoint::Tcp("127.0.0.1:80".parse().unwrap());
        let socket = |listeners: Vec<Listener>| UnitSnapshot {
            socket: Some(SocketState { listeners, ..SocketState::default() }),
            ..unit("a.socket", "active")
        };
        let listener = Listener { endpoint: address, inode: 7, queued: 0, backlog: 0, cookie: None, drops: None };
        let sentences = said(socket(vec![listener.clone()]), socket(Vec::new()));
        assert!(
            sentences[0].contains("it listened at 127.0.0.1:80 and no longer does; mend it with: systemctl restart")
        );
        assert_eq!(said(socket(Vec::new()), socket(Vec::new())), Vec::<String>::new(), "the kernel cannot be asked");
        let lost = UnitSnapshot { is_unseen: true, ..socket(Vec::new()) };
        assert_eq!(said(socket(vec![listener]), lost), Vec::<String>::new(), "its machine was lost");
    }

    #[test]
    fn what_traffic_may_start_and_stop_is_as_found_either_way() {
        assert_eq!(said(behind_a_socket("inactive"), behind_a_socket("active")), Vec::<String>::new());
        assert_eq!(said(behind_a_socket("active"), behind_a_socket("inactive")).len(), 1, "it ran before");
        let mut refuses = behind_a_socket("inactive");
        refuses.service.as_mut().unwrap().refuse_manual_start = true;
        assert_eq!(
            said(behind_a_socket("active"), refuses),
            Vec::<String>::new(),
            "nobody but its socket may start it"
        );
    }
}
