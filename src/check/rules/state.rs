//! What systemd and the kernel say of units that are there.

use crate::check::facts::{Facts, ServiceFacts, SocketFacts};
use crate::check::finding::{Hit, Severity};
use crate::check::live_facts::{Address, LiveSocket, LiveUnit};
use crate::check::rule::Rule;
use crate::check::source::Source;
use crate::model::{ActiveState, Endpoint, UnitKind};
use crate::unit_file::service_choices::ServiceType;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL060",
        severity: Severity::Error,
        title: "socket is not active",
        why: "systemd holds nothing: while the service is down, no process is listening, and the next restart is a full outage",
        find: socket_inactive,
    },
    Rule {
        id: "GL061",
        severity: Severity::Warning,
        title: "socket is not enabled",
        why: "after a reboot no process is listening",
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
        title: "no process is listening at the socket's address",
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
    Rule {
        id: "GL067",
        severity: Severity::Info,
        title: "service holds its own port",
        why: "from its stop until its next listen() no process is listening: every restart refuses clients",
        find: own_port,
    },
];

fn live(facts: &Facts) -> Option<(&SocketFacts, &LiveSocket)> {
    let socket = facts.socket.as_ref()?;
    Some((socket, socket.live.as_ref()?))
}

fn socket_inactive(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts).filter(|(_, live)| !live.unit.is_active()) else { return Vec::new() };
    let (name, unit) = (&socket.source.name, &live.unit);
    let spot = socket.source.whole(states(unit));
    if live.is_unused {
        let message = format!("{name} is not in use: it is neither active nor enabled, and no unit pulls it in");
        let fix = format!("# to use it, where its service takes a passed socket:\nsystemctl enable {name}");
        return vec![spot.says(message, fix).weighing(Severity::Info)];
    }
    if unit.was_skipped && unit.active_state == ActiveState::Inactive {
        let message = format!("{name} was not started: a condition of it does not hold on this machine");
        return vec![spot.says(message, format!("systemctl status {name}")).weighing(Severity::Info)];
    }
    let serves =
        facts.service.as_ref().filter(|service| service.live.as_ref().is_some_and(|live| live.unit.is_active()));
    let message = match &unit.active_state {
        _ if unit.load_state == "masked" => format!("{name} is masked: systemd refuses to start it"),
        ActiveState::Failed => format!("{name} has failed: {}", unit.result),
        state if serves.is_some() => format!("{name} is {state} while its service runs"),
        state => format!("{name} is {state}"),
    };
    vec![spot.says(message, start(socket, unit, serves, facts.machine.is_users))]
}

/// The commands that bring a socket up.
fn start(socket: &SocketFacts, unit: &LiveUnit, serves: Option<&ServiceFacts>, is_users: bool) -> String {
    let folder = if is_users { "user" } else { "system" };
    let (name, triggered) = (&socket.source.name, socket.unit.triggers());
    let unmask = if unit.load_state == "masked" { format!("systemctl unmask {name}\n") } else { String::new() };
    let Some(service) = serves else {
        return match unit.result.as_str() {
            "service-start-limit-hit" | "trigger-limit-hit" => {
                format!("{unmask}systemctl reset-failed {triggered} {name} && systemctl start {name}")
            }
            _ => format!("{unmask}systemctl start {name}"),
        };
    };
    let section = &service.unit.unit;
    let is_required = section.requires.contains(name) || section.binds_to.contains(name);
    let requires = if is_required {
        String::new()
    } else {
        format!(
            "mkdir -p /etc/systemd/{folder}/{triggered}.d\n\
             printf '[Unit]\\nRequires={name}\\n' > /etc/systemd/{folder}/{triggered}.d/{name}.conf\n\
             systemctl daemon-reload\n"
        )
    };
    format!(
        "# systemd refuses to start a socket while its service runs; a restart of the service starts the sockets that\n\
         # it requires before it. Until then clients of {name} are refused; other sockets of {triggered} stay.\n\
         {unmask}{requires}systemctl restart {triggered}"
    )
}

fn not_enabled(facts: &Facts) -> Vec<Hit> {
    let not_enabled = |state: &str| matches!(state, "disabled" | "linked" | "linked-runtime" | "enabled-runtime");
    let lasts = |live: &LiveSocket| !not_enabled(&live.unit.unit_file_state) || is_pulled_in(&live.unit);
    let Some((socket, live)) = live(facts).filter(|(_, live)| !lasts(live)) else {
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

/// Whether another unit starts it at boot: a target by a link of the vendor, say. What only a service does is asked of
/// that service.
fn is_pulled_in(unit: &LiveUnit) -> bool {
    unit.pulled_in_by.iter().any(|other| other.kind() != UnitKind::Service)
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
            (true, _) => {
                (format!("no process is listening at {endpoint}"), format!("the kernel has no listener at {endpoint}"))
            }
            (false, false) => {
                let evidence = "its listener still exists; the path was removed, or another file has taken its place";
                (format!("{endpoint} does not lead to its listener"), evidence.to_owned())
            }
            (false, true) => return None,
        };
        let fix = format!("systemctl stop {service} && systemctl restart {name}", service = socket.unit.triggers());
        Some(socket.source.whole(format!("{}; {evidence}", states(&live.unit))).says(message, fix))
    };
    live.addresses.iter().filter_map(hit).collect()
}

fn held_by_another(facts: &Facts) -> Vec<Hit> {
    let Some((socket, live)) = live(facts).filter(|(_, live)| live.unit.is_active()) else { return Vec::new() };
    let strangers = live.addresses.iter().flat_map(|address| &address.listeners).filter(|held| !held.held_by_systemd);
    let hit = |held: &crate::check::live_facts::HeldListener| {
        let holders = held.holders.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let holders = if holders.is_empty() { "another process".to_owned() } else { holders };
        let message = format!("{} is held by {holders}, not by systemd", held.listener.endpoint);
        let spot = socket.source.whole(format!("inode {} is open in {holders}", held.listener.inode));
        // systemd starts no socket while its service runs.
        let (name, service) = (&socket.source.name, socket.unit.triggers());
        let fix = "# let the service take descriptor 3 instead of binding, then:";
        spot.says(message, format!("{fix}\nsystemctl stop {service} && systemctl restart {name}"))
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

fn own_port(facts: &Facts) -> Vec<Hit> {
    let (Some(service), None) = (&facts.service, &facts.socket) else { return Vec::new() };
    let Some(live) = service.live.as_ref().filter(|live| live.unit.is_active()) else { return Vec::new() };
    let told = |does: &str, at: &[Endpoint]| {
        let addresses: Vec<String> = at.iter().map(ToString::to_string).collect();
        (!at.is_empty()).then(|| format!("{does} at {}", addresses.join(", ")))
    };
    let does = [told("listens", &live.listens_at), told("takes messages", &live.receives_at)];
    let does: Vec<String> = does.into_iter().flatten().collect();
    if does.is_empty() {
        return Vec::new();
    }
    let name = &service.source.name;
    let message = format!("{name} {} by itself: each restart has a gap", does.join(" and "));
    let took = live.start_took.map_or_else(String::new, |took| {
        let says_ready = matches!(
            service.unit.service_type,
            ServiceType::Notify | ServiceType::NotifyReload | ServiceType::Forking | ServiceType::Dbus
        );
        let until = if says_ready {
            "until it said that it was ready"
        } else {
            "until it was executed, and some time more until it listened"
        };
        format!("; its last start took {took:?} {until}")
    });
    let unused: Vec<String> =
        live.unused_sockets.iter().map(|socket| format!("; {socket} exists and is not in use")).collect();
    let unused = unused.concat();
    let evidence = format!("no socket of systemd's is there{took}{unused}");
    let request = request_options(live.listens_at.iter().chain(&live.receives_at));
    let fix = format!(
        "# measure it: gapless try {name}{request}\n# close it, where the server takes a passed socket: a .socket unit of this name"
    );
    vec![service.source.whole(evidence).says(message, fix)]
}

/// What `try` has to be told of a service that takes nothing but messages.
fn request_options<'a>(mut endpoints: impl Iterator<Item = &'a Endpoint> + Clone) -> &'static str {
    if endpoints.clone().any(|endpoint| matches!(endpoint, Endpoint::Tcp(_) | Endpoint::Unix(_))) {
        return "";
    }
    let has_answers = endpoints.any(|endpoint| !matches!(endpoint, Endpoint::Fifo(_)));
    if has_answers { " --body MESSAGE --expect-body REGEX" } else { " --body MESSAGE" }
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
        let listener =
            Listener { endpoint: endpoint.clone(), inode: 7, queued: 0, backlog: 1024, cookie: None, drops: None };
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
        assert!(inactive.fix.contains("systemctl unmask a.socket\nsystemctl restart a.service"), "{}", inactive.fix);
    }

    #[test]
    fn a_socket_beside_its_running_service_is_started_by_a_restart_that_requires_it() {
        let fix = |service: &str| {
            let mut facts = with_socket(|live| live.unit.active_state = ActiveState::Inactive);
            let live = facts.service.and_then(|service| service.live);
            facts.service = Some(ServiceFacts { live, ..crate::check::testing::service(service) });
            crate::check::check(&facts, &[]).into_iter().find(|finding| finding.id == "GL060").unwrap().fix
        };
        assert!(!fix(EXAMPLES.service).contains("Requires="));
        assert!(fix("[Service]\nExecStart=/bin/app\n").contains("Requires=a.socket"));
    }

    #[test]
    fn a_socket_that_is_there_for_who_wants_it_is_no_fault() {
        let weight = |change: fn(&mut LiveSocket)| {
            let facts = with_socket(|live| {
                live.unit.active_state = ActiveState::Inactive;
                change(live);
            });
            let findings = crate::check::check(&facts, &[]);
            findings.iter().find(|finding| finding.id == "GL060").map(|finding| finding.severity)
        };
        assert_eq!(weight(|_| {}), Some(Severity::Error));
        assert_eq!(weight(|live| live.is_unused = true), Some(Severity::Info));
        assert_eq!(weight(|live| live.unit.was_skipped = true), Some(Severity::Info));
    }

    #[test]
    fn a_unit_is_left_alone_when_nothing_will_start_it() {
        let unit = LiveUnit {
            active_state: ActiveState::Inactive,
            unit_file_state: "disabled".to_owned(),
            ..LiveUnit::default()
        };
        assert!(unit.is_left_alone());
        let target = || vec![crate::model::UnitName::new("sockets.target").unwrap()];
        for other in [
            LiveUnit { unit_file_state: "enabled".to_owned(), ..unit.clone() },
            LiveUnit { pulled_in_by: target(), ..unit.clone() },
            LiveUnit { active_state: ActiveState::Failed, ..unit.clone() },
            LiveUnit { active_state: ActiveState::Active, ..unit },
        ] {
            assert!(!other.is_left_alone(), "{other:?}");
        }
    }

    #[test]
    fn a_service_that_holds_its_own_port_is_told_with_its_last_start() {
        let mut facts = alive();
        facts.socket = None;
        let own = |facts: &mut Facts, endpoints: Vec<Endpoint>| {
            facts.service.as_mut().unwrap().live.as_mut().unwrap().listens_at = endpoints;
        };
        let mut without = facts.clone();
        own(&mut without, Vec::new());
        own(&mut facts, vec![Endpoint::Tcp("127.0.0.1:80".parse().unwrap())]);
        facts.service.as_mut().unwrap().live.as_mut().unwrap().start_took = Some(std::time::Duration::from_millis(310));
        tells_apart("GL067", &facts, &without);
        let mut over_udp = without.clone();
        let udp = vec![Endpoint::Udp("127.0.0.1:53".parse().unwrap())];
        over_udp.service.as_mut().unwrap().live.as_mut().unwrap().receives_at.clone_from(&udp);
        tells_apart("GL067", &over_udp, &without);
        let mut perhaps = without.clone();
        perhaps.service.as_mut().unwrap().live.as_mut().unwrap().may_receive_at = udp;
        tells_apart("GL067", &over_udp, &perhaps);
        let finding = &crate::check::check(&facts, &[])[0];
        assert_eq!(finding.severity, Severity::Info);
        assert!(finding.evidence.contains("310ms"), "{}", finding.evidence);
    }

    #[test]
    fn a_socket_that_is_not_enabled_is_found() {
        let disabled = with_socket(|live| live.unit.unit_file_state = "disabled".to_owned());
        tells_apart("GL061", &disabled, &alive());
        let mut pulled_along = disabled.clone();
        let service = pulled_along.service.as_mut().unwrap().live.as_mut().unwrap();
        "enabled".clone_into(&mut service.unit.unit_file_state);
        tells_apart("GL061", &disabled, &pulled_along);
        let mut linked = disabled.clone();
        let live = linked.socket.as_mut().unwrap().live.as_mut().unwrap();
        live.unit.pulled_in_by = vec![crate::model::UnitName::new("sockets.target").unwrap()];
        tells_apart("GL061", &disabled, &linked);
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
