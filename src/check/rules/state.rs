//! What systemd and the kernel say of units that are there.

use crate::check::facts::{Facts, SocketFacts};
use crate::check::finding::{Hit, Severity};
use crate::check::live_facts::{Address, LiveSocket, LiveUnit};
use crate::check::rule::Rule;
use crate::check::source::Source;
use crate::model::ActiveState;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL060",
        severity: Severity::Error,
        title: "socket is not active",
        why: "systemd holds nothing: while the service is down, nobody listens, and the next restart is a full outage",
        find: socket_inactive,
    },
    Rule {
        id: "GL061",
        severity: Severity::Warning,
        title: "socket is not enabled",
        why: "after a reboot nobody listens",
        find: not_enabled,
    },
    Rule {
        id: "GL062",
        severity: Severity::Warning,
        title: "unit files changed since they were loaded",
        why: "what runs is not what the files say; a changed ListenStream= shows only at the next restart, as an outage",
        find: needs_reload,
    },
    Rule {
        id: "GL063",
        severity: Severity::Error,
        title: "nobody listens at the socket's address",
        why: "every client is refused, or finds no path, while both units look well",
        find: nobody_listens,
    },
    Rule {
        id: "GL064",
        severity: Severity::Error,
        title: "the listener is not systemd's",
        why: "it goes with the process that holds it: the restart has a gap that the socket unit was to close",
        find: held_by_another,
    },
    Rule {
        id: "GL065",
        severity: Severity::Error,
        title: "service has failed",
        why: "a restart starts from a service that is down",
        find: service_failed,
    },
    Rule {
        id: "GL066",
        severity: Severity::Error,
        title: "no such service",
        why: "a connection starts nothing: the socket fails with the first of them",
        find: service_missing,
    },
];

fn live(facts: &Facts) -> Option<(&SocketFacts, &LiveSocket)> {
    let socket = facts.socket.as_ref()?;
    Some((socket, socket.live.as_ref()?))
}

fn socket_inactive(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts).filter(|(_, live)| !live.unit.is_active()) else { return Vec::new() };
    let name = &socket.source.name;
    let serves =
        facts.service.as_ref().and_then(|service| service.live.as_ref()).is_some_and(|live| live.unit.is_active());
    let is_masked = live.unit.load_state == "masked";
    let message = match (&live.unit.active_state, serves) {
        _ if is_masked => format!("{name} is masked: systemd refuses to start it"),
        (ActiveState::Failed, _) => format!("{name} has failed: {}", live.unit.result),
        (state, true) => format!("{name} is {state} while its service runs"),
        (state, false) => format!("{name} is {state}"),
    };
    let fix = match (live.unit.result.as_str(), serves) {
        _ if is_masked => format!("systemctl unmask {name} && systemctl start {name}"),
        (_, true) => format!(
            "# systemd refuses a socket beside its running service\nsystemctl stop {service} && systemctl start {name}",
            service = socket.unit.triggers()
        ),
        ("service-start-limit-hit" | "trigger-limit-hit", _) => {
            format!("systemctl reset-failed {} {name} && systemctl start {name}", socket.unit.triggers())
        }
        _ => format!("systemctl start {name}"),
    };
    vec![socket.source.whole(states(&live.unit)).says(message, fix)]
}

fn not_enabled(facts: &Facts) -> Vec<Hit> {
    let not_enabled = |state: &str| matches!(state, "disabled" | "linked" | "linked-runtime" | "enabled-runtime");
    let Some((socket, live)) = live(facts).filter(|(_, live)| not_enabled(&live.unit.unit_file_state)) else {
        return Vec::new();
    };
    let name = &socket.source.name;
    // A service that is started at boot pulls the socket along that it requires.
    let pulled_along = facts.service.as_ref().is_some_and(|service| {
        let enabled = service.live.as_ref().is_some_and(|live| live.unit.unit_file_state == "enabled");
        enabled && (service.unit.unit.requires.contains(name) || service.unit.unit.binds_to.contains(name))
    });
    if pulled_along {
        return Vec::new();
    }
    let spot = socket.source.whole(format!("UnitFileState={}", live.unit.unit_file_state));
    let state = live.unit.unit_file_state.as_str();
    let but = if state == "disabled" { "" } else { ", but not enabled" };
    vec![spot.says(format!("{name} is {state}{but}"), format!("systemctl enable {name}"))]
}

fn needs_reload(facts: &Facts) -> Vec<Hit> {
    let socket = live(facts).map(|(socket, live)| (&socket.source, &live.unit));
    let service = facts.service.as_ref().and_then(|service| Some((&service.source, &service.live.as_ref()?.unit)));
    let changed = socket.into_iter().chain(service).filter(|(_, unit)| unit.need_daemon_reload);
    let hit = |(source, _): (&Source, _)| {
        let message = format!("the files of {} are newer than what systemd has loaded", source.name);
        source.whole("NeedDaemonReload=yes").says(message, "systemctl daemon-reload")
    };
    changed.map(hit).collect()
}

fn nobody_listens(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts).filter(|(_, live)| live.unit.is_active()) else { return Vec::new() };
    let name = &socket.source.name;
    let hit = |address: &Address| {
        let endpoint = &address.endpoint;
        let (message, evidence) = match (address.listeners.is_empty(), address.is_reachable) {
            (true, _) => (format!("nobody listens at {endpoint}"), format!("the kernel has no listener at {endpoint}")),
            (false, false) => {
                (format!("{endpoint} is gone from the file system"), "its listener is still there".to_owned())
            }
            (false, true) => return None,
        };
        let fix = format!("systemctl stop {service} && systemctl restart {name}", service = socket.unit.triggers());
        Some(socket.source.whole(format!("{}; {evidence}", states(&live.unit))).says(message, fix))
    };
    live.addresses.iter().filter_map(hit).collect()
}

fn held_by_another(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts) else { return Vec::new() };
    let strangers = live.addresses.iter().flat_map(|address| &address.listeners).filter(|held| !held.held_by_systemd);
    let hit = |held: &crate::check::live_facts::HeldListener| {
        let holders = held.holders.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let holders = if holders.is_empty() { "another process".to_owned() } else { holders };
        let message = format!("{} is held by {holders}, not by systemd", held.listener.endpoint);
        let spot = socket.source.whole(format!("inode {} is open in {holders}", held.listener.inode));
        spot.says(
            message,
            format!("# let the service take descriptor 3 instead of binding\nsystemctl restart {}", socket.source.name),
        )
    };
    strangers.map(hit).collect()
}

fn service_failed(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let Some(live) = service.live.as_ref().filter(|live| live.unit.active_state == ActiveState::Failed) else {
        return Vec::new();
    };
    let name = &service.source.name;
    let message = format!("{name} has failed: {}", live.unit.result);
    let fix = format!("journalctl -u {name} -n 50\nsystemctl reset-failed {name}");
    vec![service.source.whole(states(&live.unit)).says(message, fix)]
}

fn service_missing(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts).filter(|(socket, _)| !socket.unit.accept) else { return Vec::new() };
    let missing = facts
        .service
        .as_ref()
        .and_then(|service| service.live.as_ref())
        .is_some_and(|live| live.unit.load_state == "not-found");
    if !missing {
        return Vec::new();
    }
    let names: Vec<_> = live.triggers.iter().map(ToString::to_string).collect();
    let message = format!("{} starts {}, which is not there", socket.source.name, socket.unit.triggers());
    let spot = socket.source.at("Socket", "Service").seen(format!("Triggers={}, LoadState=not-found", names.join(" ")));
    vec![spot.says(message, "[Socket]\nService=THE-RIGHT-ONE.service")]
}

fn states(unit: &LiveUnit) -> String {
    format!("ActiveState={} SubState={} Result={}", unit.active_state, unit.sub_state, unit.result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::live_facts::HeldListener;
    use crate::check::testing::*;
    use crate::host::holder::Holder;
    use crate::model::Endpoint;
    use crate::model::address::Listener;

    fn with_socket(change: impl FnOnce(&mut LiveSocket)) -> Facts {
        let mut facts = alive();
        change(facts.socket.as_mut().unwrap().live.as_mut().unwrap());
        facts
    }

    fn with_service(change: impl FnOnce(&mut LiveUnit)) -> Facts {
        let mut facts = alive();
        change(&mut facts.service.as_mut().unwrap().live.as_mut().unwrap().unit);
        facts
    }

    fn address(held_by_systemd: bool) -> Address {
        let endpoint = Endpoint::Tcp("127.0.0.1:8008".parse().unwrap());
        let listener = Listener { endpoint: endpoint.clone(), inode: 7, queued: 0, backlog: 1024, cookie: None };
        let holders = Some(vec![Holder { pid: 9, name: "app".to_owned() }]);
        Address { endpoint, is_reachable: true, listeners: vec![HeldListener { listener, holders, held_by_systemd }] }
    }

    #[test]
    fn units_that_are_well_have_no_finding() {
        let facts = with_socket(|live| live.addresses = vec![address(true)]);
        assert_eq!(ids(&facts), Vec::<&str>::new());
    }

    #[test]
    fn a_socket_that_is_down_is_found() {
        tells_apart("GL060", &with_socket(|live| live.unit.active_state = ActiveState::Failed), &alive());
        tells_apart("GL060", &with_socket(|live| live.unit.active_state = ActiveState::Inactive), &alive());
    }

    #[test]
    fn a_masked_socket_is_to_be_unmasked_first() {
        let masked = with_socket(|live| {
            "masked".clone_into(&mut live.unit.load_state);
            live.unit.active_state = ActiveState::Inactive;
        });
        let findings = crate::check::check(&masked, &[]);
        let inactive = findings.iter().find(|finding| finding.id == "GL060").unwrap();
        assert!(inactive.fix.starts_with("systemctl unmask a.socket"), "{}", inactive.fix);
    }

    #[test]
    fn a_socket_that_is_not_enabled_is_found() {
        let disabled = with_socket(|live| live.unit.unit_file_state = "disabled".to_owned());
        tells_apart("GL061", &disabled, &alive());
        let mut pulled_along = disabled.clone();
        let service = pulled_along.service.as_mut().unwrap().live.as_mut().unwrap();
        "enabled".clone_into(&mut service.unit.unit_file_state);
        tells_apart("GL061", &disabled, &pulled_along);
    }

    #[test]
    fn files_that_are_newer_are_found_of_either_unit() {
        tells_apart("GL062", &with_socket(|live| live.unit.need_daemon_reload = true), &alive());
        tells_apart("GL062", &with_service(|unit| unit.need_daemon_reload = true), &alive());
    }

    #[test]
    fn an_address_without_a_listener_or_a_path_is_found() {
        let sound = with_socket(|live| live.addresses = vec![address(true)]);
        let nobody = with_socket(|live| live.addresses = vec![Address { listeners: Vec::new(), ..address(true) }]);
        tells_apart("GL063", &nobody, &sound);
        let unlinked = with_socket(|live| live.addresses = vec![Address { is_reachable: false, ..address(true) }]);
        tells_apart("GL063", &unlinked, &sound);
    }

    #[test]
    fn a_listener_of_somebody_else_is_found() {
        let with = |held| with_socket(|live| live.addresses = vec![address(held)]);
        tells_apart("GL064", &with(false), &with(true));
    }

    #[test]
    fn a_service_that_has_failed_or_is_not_there_is_found() {
        tells_apart("GL065", &with_service(|unit| unit.active_state = ActiveState::Failed), &alive());
        tells_apart("GL066", &with_service(|unit| unit.load_state = "not-found".to_owned()), &alive());
    }
}
