//! Whether the socket and the service belong together.

use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;

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
        title: "socket ordered behind its service",
        why: "systemd orders a socket before its service: the cycle is broken at boot by leaving one of them out",
        find: ordering_cycle,
    },
    Rule {
        id: "GL013",
        severity: Severity::Warning,
        title: "Accept=yes",
        why: "a process for each connection: HTTP servers expect the listening socket itself; past MaxConnections= \
              connections are reset, past the trigger limit the socket fails for good",
        find: accept,
    },
    Rule {
        id: "GL014",
        severity: Severity::Warning,
        title: "socket that cannot be enabled",
        why: "without WantedBy= nothing starts the socket at boot: after a reboot nobody listens",
        find: not_installable,
    },
    Rule {
        id: "GL015",
        severity: Severity::Warning,
        title: "restart by hand is refused",
        why: "systemctl restart fails: a deploy that restarts the service does not, and the old code keeps running",
        find: refuses_manual_start,
    },
];

fn strangers(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair() else { return Vec::new() };
    let triggered = socket.unit.triggers();
    let template = service.unit.name.template();
    if service.source.name.as_str() == triggered || template.as_deref() == Some(&triggered) {
        return Vec::new();
    }
    let name = &service.source.name;
    let message = format!("{} starts {triggered}, not {name}", socket.source.name);
    vec![socket.source.at("Socket", "Service").says(message, format!("[Socket]\nService={name}"))]
}

fn not_required(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair().filter(|(socket, _)| !socket.unit.accept) else { return Vec::new() };
    let (unit, name) = (&service.unit, &socket.source.name);
    if unit.unit.requires.contains(name) || unit.unit.binds_to.contains(name) || unit.sockets.contains(name) {
        return Vec::new();
    }
    let message = format!("{} has neither Requires= nor Sockets= for {name}", service.source.name);
    vec![service.source.at("Unit", "Requires").says(message, format!("[Unit]\nRequires={name}\nAfter={name}"))]
}

fn ordering_cycle(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair() else { return Vec::new() };
    let (socket_name, service_name) = (&socket.source.name, &service.source.name);
    let mut hits = Vec::new();
    if socket.unit.unit.after.contains(service_name) {
        let message = format!("{socket_name} is ordered behind the service it starts");
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
    let limit = socket.unit.trigger_limit.map(|(burst, interval)| {
        let per_second = f64::from(burst) / interval.as_secs_f64();
        format!(", and more than {per_second:.0} of them per second end in trigger-limit-hit")
    });
    let message = format!(
        "every connection starts an instance of {}; at most {} at a time{}",
        socket.unit.triggers(),
        socket.unit.max_connections,
        limit.unwrap_or_default()
    );
    vec![socket.source.at("Socket", "Accept").says(message, "[Socket]\nAccept=no")]
}

fn not_installable(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref() else { return Vec::new() };
    let installed =
        ["WantedBy", "RequiredBy", "Also"].iter().any(|key| socket.source.file.last("Install", key).is_some());
    // Links below *.wants may have been made by hand or by a package.
    if installed || socket.live.as_ref().is_some_and(|live| live.unit.unit_file_state != "static") {
        return Vec::new();
    }
    let message = format!("{} has no [Install] section", socket.source.name);
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
    }

    #[test]
    fn a_socket_that_nothing_starts_is_found() {
        let without = pair("[Socket]\nListenStream=127.0.0.1:80\n", EXAMPLES.service);
        tells_apart("GL014", &without, &pair(EXAMPLES.socket, EXAMPLES.service));
    }

    #[test]
    fn a_service_that_refuses_a_restart_is_found() {
        in_service("GL015", "[Unit]\nRefuseManualStart=yes", "[Unit]\nRefuseManualStart=no");
        in_service("GL015", "[Unit]\nRefuseManualStop=yes", "[Unit]\nRefuseManualStop=no");
    }
}
