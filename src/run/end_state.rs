//! What must hold after the last step: the end state, and that the next restart would survive.

use std::collections::BTreeMap;

use super::serving::{Earlier, Served};
use crate::model::address::Listener;
use crate::model::bound::Limit;
use crate::model::{ActiveState, Bound, Endpoint, ProcessId, UnitKind, UnitName, UnitSnapshot, UnitVerb, Verdict};
use crate::record::line::StateCheck;
use crate::scenario::plan::{Action, Plan};

/// What was seen after the last step.
#[derive(Clone, Copy, Debug)]
pub struct Final<'a> {
    /// The units of the scenario.
    pub units: &'a [UnitSnapshot],
    /// Each address of the load, with the kernel's listeners there; none where it cannot be asked.
    pub targets: Option<&'a [(Endpoint, Vec<Listener>)]>,
    /// The sockets' paths that are gone from the file system.
    pub missing_paths: &'a [std::path::PathBuf],
    /// Who listens at the addresses of the load.
    pub serving: &'a [Served],
    /// What was seen before.
    pub earlier: &'a Earlier,
}

/// Checks the end state of every held unit, and looks for what would make the next restart fail.
#[must_use]
pub fn checks(plan: &Plan, seen: &Final<'_>) -> Vec<StateCheck> {
    let mut checks = Vec::new();
    for unit in seen.units {
        checks.extend(state_check(plan, seen, unit));
        if unit.is_active() && unit.socket.is_some() {
            checks.extend(listener_checks(seen, unit));
        }
    }
    checks.extend(old_processes(plan, seen));
    checks.extend(seen.earlier.fronts.iter().map(|front| front_check(front, seen)));
    checks.extend(latent_checks(plan, seen));
    checks
}

/// The unit's ActiveState against what the scenario says, or what its last step leads to.
fn state_check(plan: &Plan, seen: &Final<'_>, unit: &UnitSnapshot) -> Option<StateCheck> {
    let role = plan.units.as_ref().and_then(|units| {
        let is = |role: &Option<UnitName>| role.as_ref() == Some(&unit.unit);
        if is(&units.service) {
            Some("service")
        } else if is(&units.socket) {
            Some("socket")
        } else {
            None
        }
    });
    let said = plan.expect.end.as_ref().and_then(|end| match role? {
        "service" => end.service.clone(),
        _ => end.socket.clone(),
    });
    let actual = format!("{} ({}), result {}", unit.active_state, unit.sub_state, or_none(&unit.result));
    let (expected, holds) = match said {
        Some(state) => {
            let holds = unit.active_state == state;
            (state.to_string(), holds)
        }
        None => implied_state(plan, seen, unit)?,
    };
    let name = format!("end.{}", role.unwrap_or(unit.unit.as_str()));
    Some(StateCheck { name, expected, actual, status: status(holds) })
}

/// Processes of incarnations that a proven restart was to replace, and that still run in their unit or hold a listener
/// at an address of the load. None where nothing was replaced.
fn old_processes(plan: &Plan, seen: &Final<'_>) -> Option<StateCheck> {
    // Of a machine that can no longer be looked at, nothing is known of its processes.
    if seen.earlier.replaced.is_empty() || seen.units.iter().any(|unit| unit.is_unseen) {
        return None;
    }
    let mut left: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (unit, process) in &seen.earlier.replaced {
        if let Some(what) = what_it_does(unit, *process, seen) {
            left.entry(what).or_default().push(process.pid);
        }
    }
    let allowed = plan.expect.end.as_ref().and_then(|end| end.old_processes);
    let (bound, limit) = match allowed.unwrap_or(Bound::at_most(0.0)) {
        bound @ Bound { limit: Limit::Number(number), .. } => (bound, number),
        bound @ Bound { limit: Limit::Time(time), .. } => (bound, time.as_secs_f64()),
    };
    let count: usize = left.values().map(Vec::len).sum();
    let told: Vec<String> = left.iter().map(|(what, pids)| tell_left(pids, what)).collect();
    Some(StateCheck {
        name: "end.old_processes".to_owned(),
        expected: allowed.map_or_else(|| "none".to_owned(), |bound| format!("{bound} of a replaced incarnation")),
        actual: if left.is_empty() { "none".to_owned() } else { told.join("; ") },
        status: status(bound.comparison.holds(f64::from(u32::try_from(count).unwrap_or(u32::MAX)), limit)),
    })
}

/// `2 of a replaced incarnation: PIDs 812, 813, left in rel.service`.
fn tell_left(pids: &[u32], what: &str) -> String {
    let named = pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let plural = if pids.len() == 1 { "PID" } else { "PIDs" };
    format!("{} of a replaced incarnation: {plural} {named}, {what}", pids.len())
}

/// `left in rel.service and holding the listener on 127.0.0.1:8531`; none if it is gone.
fn what_it_does(unit: &UnitName, process: ProcessId, seen: &Final<'_>) -> Option<String> {
    let of_unit = seen.units.iter().filter(|snapshot| snapshot.unit == *unit);
    let is_left = of_unit.filter_map(|it| it.service.as_ref()).any(|service| service.processes.contains(&process));
    let holds = |served: &&Served| served.holders().any(|holder| holder.process.id == process);
    let held: Vec<String> = seen.serving.iter().filter(holds).map(|served| served.address.to_string()).collect();
    let left = is_left.then(|| format!("left in {unit}"));
    let holding = (!held.is_empty()).then(|| format!("holding the listener on {}", held.join(", ")));
    let clauses: Vec<String> = left.into_iter().chain(holding).collect();
    (!clauses.is_empty()).then(|| clauses.join(" and "))
}

/// The front that was there before the first step is still there.
fn front_check(front: &Served, seen: &Final<'_>) -> StateCheck {
    let now = seen.serving.iter().find(|served| served.address == front.address);
    let is_there = now.is_some_and(|now| {
        !now.listeners.is_empty() && (front.units().is_empty() || !front.units().is_disjoint(&now.units()))
    });
    let status = if now.is_some() { status(is_there) } else { Verdict::Inconclusive };
    StateCheck {
        name: "end.front".to_owned(),
        expected: format!("{}: {}", front.address, front.who()),
        actual: now.map_or_else(|| "it cannot be looked at".to_owned(), Served::who),
        status,
    }
}

/// Inactive if it was stopped last, or active again by its socket; else active, or inactive after a success while its socket listens.
fn implied_state(plan: &Plan, seen: &Final<'_>, unit: &UnitSnapshot) -> Option<(String, bool)> {
    if last_verb(plan, &unit.unit) == Some(UnitVerb::Stop) {
        let is_down = unit.active_state.is_stopped();
        let socket = socket_of(seen, &unit.unit).filter(|socket| socket.is_active());
        return Some(match socket {
            Some(socket) => (
                format!("inactive, or started again by {}", socket.unit),
                is_down || unit.is_active() || unit.active_state == ActiveState::Activating,
            ),
            None => ("inactive".to_owned(), is_down),
        });
    }
    match unit.unit.kind() {
        UnitKind::Service if socket_of(seen, &unit.unit).is_some() => {
            let idle = unit.active_state == ActiveState::Inactive && unit.result == "success";
            let expected = "active, or inactive after a success behind a listening socket".to_owned();
            Some((
                expected,
                unit.is_active() || idle && socket_of(seen, &unit.unit).is_some_and(UnitSnapshot::is_active),
            ))
        }
        UnitKind::Service | UnitKind::Socket => Some(("active".to_owned(), unit.is_active())),
        UnitKind::Other => None,
    }
}

/// The kernel listens at every address of an active socket unit, and nobody else where the load goes to one of them.
fn listener_checks(seen: &Final<'_>, unit: &UnitSnapshot) -> Vec<StateCheck> {
    let Some(socket) = &unit.socket else { return Vec::new() };
    let Some(targets) = seen.targets else { return Vec::new() };
    let missing: Vec<String> = socket
        .listen
        .iter()
        .filter(|endpoint| !socket.listeners.iter().any(|listener| listener.endpoint.takes(endpoint)))
        .map(ToString::to_string)
        .collect();
    let mut checks = vec![StateCheck {
        name: format!("latent.listener.{}", unit.unit),
        expected: "the kernel listens at every address of the unit".to_owned(),
        actual: if missing.is_empty() {
            "it does".to_owned()
        } else {
            format!("no process is listening on {}", missing.join(", "))
        },
        status: status(missing.is_empty()),
    }];
    let own = |listener: &Listener| socket.listeners.iter().any(|held| held.inode == listener.inode);
    let is_its = |(address, listeners): &&(Endpoint, Vec<Listener>)| {
        listeners.iter().any(own) || socket.listen.iter().any(|listen| listen.takes(address))
    };
    let its_targets: Vec<_> = targets.iter().filter(is_its).collect();
    if !its_targets.is_empty() {
        let strangers =
            its_targets.iter().flat_map(|(_, listeners)| listeners).filter(|listener| !own(listener)).count();
        let are_all_held = its_targets.iter().all(|(_, listeners)| listeners.iter().any(own));
        checks.push(StateCheck {
            name: "end.listener".to_owned(),
            expected: format!("the listener at the target's address is the one of {}", unit.unit),
            actual: match (are_all_held, strangers) {
                (true, 0) => "it is".to_owned(),
                (true, _) => format!("{strangers} more listen there"),
                (false, 0) => "no process is listening there".to_owned(),
                (false, _) => "somebody else listens there".to_owned(),
            },
            status: status(are_all_held && strangers == 0),
        });
    }
    checks
}

/// What no request has felt yet, but the next restart would.
fn latent_checks(plan: &Plan, seen: &Final<'_>) -> Vec<StateCheck> {
    let mut checks = Vec::new();
    for service in seen.units.iter().filter(|unit| unit.service.is_some()) {
        if let Some(socket) = socket_of(seen, &service.unit)
            && last_verb(plan, &socket.unit) != Some(UnitVerb::Stop)
        {
            checks.push(StateCheck {
                name: format!("latent.socket_down.{}", socket.unit),
                expected: format!("{} is active, so that the next restart of {} survives", socket.unit, service.unit),
                actual: format!("{} ({})", socket.active_state, socket.sub_state),
                status: status(socket.is_active()),
            });
        }
        if last_verb(plan, &service.unit) != Some(UnitVerb::Stop) {
            let is_starting = matches!(service.active_state, ActiveState::Activating | ActiveState::Deactivating);
            let looping = is_starting || !service.is_active() && service.result == "timeout";
            checks.push(StateCheck {
                name: format!("latent.never_ready.{}", service.unit),
                expected: "the service has finished starting".to_owned(),
                actual: format!("{} ({})", service.active_state, service.sub_state),
                status: status(!looping),
            });
        }
    }
    // A socket that is down may well have taken its path along (RemoveOnStop=); that it is down is said above.
    let active = seen.units.iter().filter(|unit| unit.is_active() && !unit.is_unseen);
    let paths = active.filter_map(|unit| unit.socket.as_ref()).flat_map(|socket| &socket.listen);
    for path in paths.filter_map(Endpoint::path) {
        let missing = seen.missing_paths.iter().any(|missing| missing == path);
        checks.push(StateCheck {
            name: "latent.path_unlinked".to_owned(),
            expected: format!("{} exists", path.display()),
            actual: if missing { "it is gone".to_owned() } else { "it exists".to_owned() },
            status: status(!missing),
        });
    }
    checks
}

/// The socket of the scenario that triggers `service`, or that the service names.
fn socket_of<'a>(seen: &Final<'a>, service: &UnitName) -> Option<&'a UnitSnapshot> {
    seen.units.iter().find(|unit| unit.socket.as_ref().is_some_and(|socket| socket.triggers.contains(service)))
}

fn last_verb(plan: &Plan, unit: &UnitName) -> Option<UnitVerb> {
    plan.steps.iter().rev().find_map(|step| match &step.action {
        Action::Unit { verb, unit: acted } if acted == unit => Some(*verb),
        _ => None,
    })
}

fn status(holds: bool) -> Verdict {
    if holds { Verdict::Passed } else { Verdict::Failed }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SocketState;
    use crate::run::testing::plan;

    /// A socket unit that is to listen there, and does with the sockets of these numbers.
    fn socket_unit(active_state: &str, listen: Endpoint, inodes: &[u64]) -> UnitSnapshot {
        let listeners = inodes.iter().map(|&inode| listener(&listen, inode)).collect();
        UnitSnapshot {
            socket: Some(SocketState { listen: vec![listen], listeners, ..SocketState::default() }),
            ..UnitSnapshot::in_state("a.socket", active_state)
        }
    }

    fn listener(endpoint: &Endpoint, inode: u64) -> Listener {
        Listener { endpoint: endpoint.clone(), inode, queued: 0, backlog: 128, cookie: None, drops: None }
    }

    fn latent_names(active_state: &str) -> Vec<String> {
        let path = std::path::PathBuf::from("/run/a.sock");
        let socket = socket_unit(active_state, Endpoint::Unix(path.clone()), &[7]);
        let seen = Final {
            units: &[socket],
            targets: None,
            missing_paths: &[path],
            serving: &[],
            earlier: &Earlier::default(),
        };
        let failed = latent_checks(&plan(""), &seen).into_iter().filter(|check| check.status == Verdict::Failed);
        failed.map(|check| check.name).collect()
    }

    #[test]
    fn the_kernel_is_to_know_the_units_own_listener_and_no_other_at_each_address_of_the_load() {
        let [direct, proxy] = [8008, 80].map(|port| Endpoint::Tcp(([127, 0, 0, 1], port).into()));
        let found = |held: &[u64], targets: &[(&Endpoint, &[u64])]| -> Vec<(String, String)> {
            let socket = socket_unit("active", direct.clone(), held);
            let of = |(at, inodes): &(&Endpoint, &[u64])| {
                ((*at).clone(), inodes.iter().map(|&inode| listener(at, inode)).collect())
            };
            let targets: Vec<_> = targets.iter().map(of).collect();
            let seen = Final {
                units: std::slice::from_ref(&socket),
                targets: Some(&targets),
                missing_paths: &[],
                serving: &[],
                earlier: &Earlier::default(),
            };
            let checks = listener_checks(&seen, &socket).into_iter();
            checks.map(|check| (check.name, format!("{}: {}", check.status, check.actual))).collect()
        };
        let latent = |told: &str| ("latent.listener.a.socket".to_owned(), told.to_owned());
        let end = |told: &str| ("end.listener".to_owned(), told.to_owned());
        let fine = || latent("passed: it does");
        assert_eq!(found(&[7], &[(&direct, &[7])]), [fine(), end("passed: it is")]);
        assert_eq!(found(&[7], &[(&direct, &[7, 8])]), [fine(), end("failed: 1 more listen there")]);
        let both: &[(&Endpoint, &[u64])] = &[(&proxy, &[3]), (&direct, &[7, 8])];
        assert_eq!(found(&[7], both), [fine(), end("failed: 1 more listen there")], "whichever cohort comes first");
        assert_eq!(found(&[7], &[(&direct, &[8])]), [fine(), end("failed: somebody else listens there")]);
        assert_eq!(found(&[7], &[(&direct, &[])]), [fine(), end("failed: no process is listening there")]);
        assert_eq!(found(&[7], &[(&proxy, &[3])]), [fine()], "a proxy's listener is its own affair");
        let gone = latent("failed: no process is listening on 127.0.0.1:8008");
        assert_eq!(found(&[], &[(&direct, &[8])]), [gone, end("failed: somebody else listens there")]);
    }

    #[test]
    fn each_address_of_a_port_is_missed_for_itself() {
        let [first, second] = [1, 2].map(|last| Endpoint::Tcp(([127, 0, 0, last], 8008).into()));
        let mut unit = socket_unit("active", first, &[7]);
        let socket = unit.socket.as_mut().expect("it is one");
        socket.listen.push(second);
        let seen =
            Final { units: &[], targets: Some(&[]), missing_paths: &[], serving: &[], earlier: &Earlier::default() };
        let told: Vec<String> = listener_checks(&seen, &unit).into_iter().map(|check| check.actual).collect();
        assert_eq!(told, ["no process is listening on 127.0.0.2:8008"]);
    }

    #[test]
    fn a_path_is_missed_only_where_its_socket_is_active() {
        assert_eq!(latent_names("active"), ["latent.path_unlinked"]);
        assert_eq!(latent_names("failed"), Vec::<String>::new());
    }

    mod old_processes {
        use super::*;
        use crate::host::scripted::process;
        use crate::model::ServiceState;
        use crate::model::holder::Holder;
        use crate::run::serving::Held;

        /// What is said at the end, where PIDs 10 and 11 were replaced, these are in the unit, and these hold the
        /// listener.
        fn told(in_unit: &[u32], holding: &[u32], allowed: Option<Bound>) -> Option<(Verdict, String)> {
            let name = || UnitName::new("a.service").unwrap();
            let ids = |pids: &[u32]| pids.iter().map(|&pid| process(pid, "/a.service").id).collect::<Vec<_>>();
            let state = ServiceState { processes: ids(in_unit), ..ServiceState::default() };
            let idle = socket_unit("active", Endpoint::Unix("/x".into()), &[]);
            let unit = UnitSnapshot { unit: name(), socket: None, service: Some(state), ..idle };
            let holder =
                |&pid: &u32| Holder { process: process(pid, "/a.service"), accepted: 0, also_listens: Vec::new() };
            let listener = Held { inode: 7, holders: holding.iter().map(holder).collect() };
            let address = Endpoint::Tcp(([127, 0, 0, 1], 80).into());
            let serving = [Served { address, is_front: false, listeners: vec![listener] }];
            let replaced = ids(&[10, 11]).into_iter().map(|process| (name(), process)).collect();
            let earlier = Earlier { replaced, fronts: Vec::new() };
            let seen =
                Final { units: &[unit], targets: None, missing_paths: &[], serving: &serving, earlier: &earlier };
            let mut plan = plan("");
            let end = crate::scenario::plan::EndExpectation { old_processes: allowed, ..Default::default() };
            plan.expect.end = Some(end);
            old_processes(&plan, &seen).map(|check| (check.status, check.actual))
        }

        #[test]
        fn that_are_left_in_the_unit_or_hold_its_listener_fail_the_run() {
            assert_eq!(told(&[12], &[12], None), Some((Verdict::Passed, "none".to_owned())));
            let both =
                "2 of a replaced incarnation: PIDs 10, 11, left in a.service and holding the listener on 127.0.0.1:80";
            assert_eq!(told(&[10, 11, 12], &[10, 11, 12], None), Some((Verdict::Failed, both.to_owned())));
            let left = "1 of a replaced incarnation: PID 10, left in a.service";
            assert_eq!(told(&[10, 12], &[12], None), Some((Verdict::Failed, left.to_owned())));
            let escaped = "1 of a replaced incarnation: PID 11, holding the listener on 127.0.0.1:80";
            assert_eq!(told(&[12], &[11, 12], None), Some((Verdict::Failed, escaped.to_owned())));
        }

        #[test]
        fn may_be_allowed_by_the_scenario() {
            assert_eq!(told(&[10, 12], &[12], Some(Bound::at_most(1.0))).unwrap().0, Verdict::Passed);
            assert_eq!(told(&[10, 11], &[12], Some(Bound::at_most(1.0))).unwrap().0, Verdict::Failed);
        }
    }
}
