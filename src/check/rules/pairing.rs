//! Whether the socket and the service belong together.

use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::check::source::Source;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL010",
        severity: Severity::Error,
        title: "socket and service do not belong together",
        why: "a connection starts another unit than the one that is meant, or none",
        find: strangers,
    },
    Rule {
        id: "GL011",
        severity: Severity::Warning,
        title: "service does not require its socket",
        why: "started without its socket it gets no descriptor; and a restart of the socket beside the running service is \
              refused and leaves the socket dead, so that the next restart of the service is an outage",
        find: not_required,
    },
    Rule {
        id: "GL012",
        severity: Severity::Error,
        title: "socket ordered after its service",
        why: "systemd orders a socket before its service: the cycle is broken at boot by leaving one of them out",
        find: ordering_cycle,
    },
    Rule {
        id: "GL013",
        severity: Severity::Warning,
        title: "Accept=yes",
        why: "a process for each connection: HTTP servers expect the listening socket itself; past MaxConnections= and \
              MaxConnectionsPerSource= connections are reset, past the trigger limit the socket fails for good",
        find: accept,
    },
    Rule {
        id: "GL014",
        severity: Severity::Warning,
        title: "socket that cannot be enabled",
        why: "unless another unit pulls it in, nothing starts the socket at boot: after a reboot no process is listening",
        find: not_installable,
    },
    Rule {
        id: "GL015",
        severity: Severity::Warning,
        title: "restart by hand is refused",
        why: "systemctl restart fails: a deploy that restarts the service does not, and the old code keeps running",
        find: refuses_manual_start,
    },
    Rule {
        id: "GL016",
        severity: Severity::Error,
        title: "stop or restart of the service takes the socket along",
        why: "systemd closes the listener with the service: what waits in its queue is reset, and clients are refused until the \
              socket is back",
        find: ends_with_service,
    },
];

fn strangers(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair() else { return Vec::new() };
    let triggered = socket.unit.triggers();
    let template = service.unit.name.template();
    if service.unit.name.as_str() == triggered || template.as_deref() == Some(&triggered) {
        return Vec::new();
    }
    let name = &service.source.name;
    let message = format!("{} starts {triggered}, not {name}", socket.source.name);
    vec![socket.source.at("Socket", "Service").says(message, format!("[Socket]\nService={name}"))]
}

fn not_required(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair().filter(|(socket, _)| !socket.unit.accept) else { return Vec::new() };
    let (unit, name) = (&service.unit, &socket.unit.name);
    if unit.unit.requires.contains(name) || unit.unit.binds_to.contains(name) || unit.sockets.contains(name) {
        return Vec::new();
    }
    let name = &socket.source.name;
    let message = format!("{} has neither Requires= nor Sockets= for {name}", service.source.name);
    vec![service.source.at("Unit", "Requires").says(message, format!("[Unit]\nRequires={name}\nAfter={name}"))]
}

fn ordering_cycle(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair() else { return Vec::new() };
    let (socket_name, service_name) = (&socket.unit.name, &service.unit.name);
    let mut hits = Vec::new();
    if socket.unit.unit.after.contains(service_name) {
        let message = format!("{socket_name} is ordered after the service it starts");
        hits.push(socket.source.at("Unit", "After").says(message, format!("# remove {service_name} from After=")));
    }
    if service.unit.unit.before.contains(socket_name) {
        let message = format!("{service_name} is ordered before the socket that starts it");
        hits.push(service.source.at("Unit", "Before").says(message, format!("# remove {socket_name} from Before=")));
    }
    hits
}

fn accept(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref().filter(|socket| socket.unit.accept) else { return Vec::new() };
    // From 255 on PollLimitBurst= slows activation down before the trigger limit is reached.
    let is_throttled = facts.machine.systemd.is_some_and(|systemd| systemd >= 255);
    let limit = socket.unit.trigger_limit.filter(|_| !is_throttled).map(|(burst, interval)| {
        let per_second = f64::from(burst) / interval.as_secs_f64();
        format!(", and more than {per_second:.0} of them per second end in trigger-limit-hit")
    });
    let per_source = socket.unit.max_connections_per_source;
    let per_source = if per_source > 0 { format!(", {per_source} from one address") } else { String::new() };
    let message = format!(
        "every connection starts an instance of {}; at most {} at a time{per_source}{}",
        socket.unit.triggers(),
        socket.unit.max_connections,
        limit.unwrap_or_default()
    );
    vec![socket.source.at("Socket", "Accept").says(message, "[Socket]\nAccept=no")]
}

fn not_installable(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref() else { return Vec::new() };
    let of_install = ["WantedBy", "RequiredBy", "UpheldBy", "Also"];
    let installed = |source: &Source| of_install.iter().any(|key| source.file.last("Install", key).is_some());
    let pulled_along = facts.service.as_ref().is_some_and(|service| {
        let (section, name) = (&service.unit.unit, &socket.unit.name);
        let names = [&section.requires, &section.binds_to, &section.wants, &service.unit.sockets];
        installed(&service.source) && names.iter().any(|units| units.contains(name))
    });
    // Links below *.wants may have been made by hand or by a package.
    let linked = match &socket.live {
        Some(live) => live.unit.unit_file_state != "static" || !live.unit.pulled_in_by.is_empty(),
        None => socket.source.is_linked,
    };
    if installed(&socket.source) || pulled_along || linked {
        return Vec::new();
    }
    let message = format!("{} has no [Install] section, and nothing here starts it", socket.source.name);
    vec![socket.source.at("Install", "WantedBy").says(message, "[Install]\nWantedBy=sockets.target")]
}

fn refuses_manual_start(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let unit = &service.unit.unit;
    let refused = [("RefuseManualStart", unit.refuse_manual_start), ("RefuseManualStop", unit.refuse_manual_stop)];
    let refused = refused.into_iter().filter(|(_, refused)| *refused);
    let message = format!("{} cannot be restarted by hand", service.source.name);
    refused.map(|(key, _)| service.source.at("Unit", key).says(&message, format!("[Unit]\n{key}=no"))).collect()
}

/// What of two units has a stop or a restart of the service reach the socket, systemd.unit(5): `UNIT_ATOM_PROPAGATE_STOP`
/// and `UNIT_ATOM_PROPAGATE_RESTART` in systemd's unit-dependency-atom.c.
fn ends_with_service(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair().filter(|(socket, _)| !socket.unit.accept) else { return Vec::new() };
    let (of_socket, of_service) = (&socket.unit.unit, &service.unit.unit);
    let (socket_name, service_name) = (&socket.unit.name, &service.unit.name);
    let by_both = [
        ("PartOf", &of_socket.part_of),
        ("BindsTo", &of_socket.binds_to),
        ("Requires", &of_socket.requires),
        ("Requisite", &of_socket.requisite),
    ];
    let mut hits = Vec::new();
    for (key, units) in by_both {
        if units.contains(service_name) {
            let message = format!("every stop or restart of {service_name} closes the listener of {socket_name}");
            let fix = format!("# remove {service_name} from {key}= of {socket_name}, then: systemctl daemon-reload");
            hits.push(socket.source.at("Unit", key).says(message, fix));
        }
    }
    let by_stop = [
        (&socket.source, "StopPropagatedFrom", of_socket.stop_propagated_from.contains(service_name), service_name),
        (&service.source, "PropagatesStopTo", of_service.propagates_stop_to.contains(socket_name), socket_name),
    ];
    for (source, key, _, other) in by_stop.into_iter().filter(|row| row.2) {
        let message = format!("every stop of {service_name} closes the listener of {socket_name}; a restart does not");
        let fix = format!("# remove {other} from {key}= of {}, then: systemctl daemon-reload", source.name);
        hits.push(source.at("Unit", key).says(message, fix).weighing(Severity::Warning));
    }
    hits
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;

    #[test]
    fn a_socket_that_starts_another_service_is_found() {
        in_socket("GL010", "Service=b.service", "Service=a.service");
    }

    #[test]
    fn a_service_that_does_not_ask_for_its_socket_is_found() {
        let sound = |line: &str| pair(EXAMPLES.socket, &format!("{line}\n[Service]\nExecStart=/bin/app\n"));
        for line in ["[Unit]\nRequires=a.socket", "[Unit]\nBindsTo=a.socket", "[Service]\nSockets=a.socket"] {
            tells_apart("GL011", &sound("[Unit]\nWants=a.socket"), &sound(line));
        }
    }

    #[test]
    fn a_cycle_is_found_from_either_end() {
        in_socket("GL012", "[Unit]\nAfter=a.service\n[Socket]", "[Unit]\nAfter=b.service\n[Socket]");
        in_service("GL012", "[Unit]\nBefore=a.socket", "[Unit]\nAfter=a.socket");
    }

    #[test]
    fn a_process_for_each_connection_is_found() {
        in_socket("GL013", "Accept=yes", "Accept=no");
        let message = |line: &str, systemd| {
            let mut facts = pair(
                &EXAMPLES.socket.replace("[Socket]\n", &format!("[Socket]\nAccept=yes\n{line}\n")),
                EXAMPLES.service,
            );
            facts.machine.systemd = Some(systemd);
            crate::check::check(&facts, &[]).into_iter().find(|finding| finding.id == "GL013").unwrap().message
        };
        assert!(
            message("MaxConnectionsPerSource=4", 252).contains("64 at a time, 4 from one address, and more than 100")
        );
        assert!(!message("", 257).contains("trigger-limit-hit"));
    }

    #[test]
    fn a_socket_that_nothing_starts_is_found() {
        let without = pair("[Socket]\nListenStream=127.0.0.1:80\n", EXAMPLES.service);
        tells_apart("GL014", &without, &pair(EXAMPLES.socket, EXAMPLES.service));
        let enabled = format!("{}[Install]\nWantedBy=multi-user.target\n", EXAMPLES.service);
        tells_apart("GL014", &without, &pair("[Socket]\nListenStream=127.0.0.1:80\n", &enabled));
    }

    #[test]
    fn a_socket_that_ends_with_its_service_is_found() {
        let unit = |line: &str| format!("[Unit]\n{line}\n[Socket]");
        for key in ["PartOf", "BindsTo", "Requires", "Requisite"] {
            in_socket("GL016", &unit(&format!("{key}=a.service")), &unit(&format!("{key}=b.service")));
        }
        in_socket("GL016", &unit("StopPropagatedFrom=a.service"), &unit("Wants=a.service"));
        in_service("GL016", "[Unit]\nPropagatesStopTo=a.socket", "[Unit]\nPropagatesReloadTo=a.socket");
        in_service("GL016", "[Unit]\nPropagatesStopTo=a.socket", "[Unit]\nPartOf=a.socket");
    }

    #[test]
    fn a_service_that_refuses_a_restart_is_found() {
        in_service("GL015", "[Unit]\nRefuseManualStart=yes", "[Unit]\nRefuseManualStart=no");
        in_service("GL015", "[Unit]\nRefuseManualStop=yes", "[Unit]\nRefuseManualStop=no");
    }
}
