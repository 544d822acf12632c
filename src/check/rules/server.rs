//! Whether the server takes the socket that it is passed, and says when it is ready.

use crate::check::facts::{Facts, ServiceFacts, SocketFacts};
use crate::check::finding::{Hit, Severity, Spot};
use crate::check::rule::Rule;
use crate::check::server::{Launch, Server};
use crate::model::{ActiveState, Endpoint};
use crate::unit_file::service_choices::ServiceType;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL040",
        severity: Severity::Error,
        title: "server does not take the passed socket",
        why: "it binds for itself: that fails because systemd holds the address, or it listens elsewhere and every restart \
              is a gap, while what comes to the socket is never answered",
        find: binds_itself,
    },
    Rule {
        id: "GL041",
        severity: Severity::Error,
        title: "descriptor consumed twice",
        why: "gunicorn takes descriptor 3 from --bind fd://3 and again from LISTEN_FDS, and dies with EBADF",
        find: consumed_twice,
    },
    Rule {
        id: "GL042",
        severity: Severity::Error,
        title: "Type=notify without a READY=1",
        why: "systemd kills the service after TimeoutStartSec= and starts it again, for ever; the socket hides it, since \
              every request is answered in between",
        find: never_notifies,
    },
    Rule {
        id: "GL043",
        severity: Severity::Error,
        title: "server unlinks the socket's path",
        why: "at its stop the server removes the path it serves: both units look well and every client gets ENOENT",
        find: unlinks_path,
    },
    Rule {
        id: "GL044",
        severity: Severity::Info,
        title: "ready before the application is loaded",
        why: "gunicorn says READY=1 when its arbiter is up: a worker that fails to load fails after the restart counts as done",
        find: ready_too_early,
    },
];

fn binds_itself(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service, launch)) = launched(facts) else { return Vec::new() };
    let passed = || spot(service, &launch);
    let (program, ports) = (&launch.program, tcp_ports(socket));
    let takes_by_name = !launch.named_descriptors().is_empty();
    let hit = match launch.server {
        Server::Uvicorn if !takes_by_name => {
            passed().says("uvicorn serves a passed socket only with --fd", "ExecStart=... uvicorn ... --fd 3")
        }
        Server::Hypercorn if !takes_by_name => passed().says(
            "hypercorn serves a passed socket only with --bind fd://",
            "ExecStart=... hypercorn ... --bind fd://3",
        ),
        Server::Nginx if !service.unit.exec.environment.iter().any(|set| set.starts_with("NGINX=")) => {
            let fix = "# systemd-socket-proxyd in front, or no socket unit for nginx: its own reload loses nothing";
            passed().says("nginx takes no socket from systemd", fix)
        }
        Server::Unknown => {
            let Some(port) = ports.iter().find(|port| launch.names_port(**port)) else { return Vec::new() };
            let message = format!("{program} is told to bind port {port}, which {} holds", socket.source.name);
            passed().says(message, "# let it serve descriptor 3 (LISTEN_FDS), or put systemd-socket-proxyd in front")
        }
        _ => return Vec::new(),
    };
    vec![hit]
}

fn consumed_twice(facts: &Facts) -> Vec<Hit> {
    let Some((_, service, launch)) = launched(facts) else { return Vec::new() };
    let named = launch.named_descriptors();
    if launch.server != Server::Gunicorn || named.is_empty() || forgets_listen_fds(service) {
        return Vec::new();
    }
    let message = format!("gunicorn takes descriptor {} from --bind and from LISTEN_FDS", named[0]);
    vec![spot(service, &launch).says(message, "# drop --bind: gunicorn finds the socket by LISTEN_FDS alone")]
}

fn never_notifies(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    if !matches!(service.unit.service_type, ServiceType::Notify | ServiceType::NotifyReload) {
        return Vec::new();
    }
    let spot = service.source.at("Service", "Type");
    let fix = "[Service]\nType=exec";
    let launch = service.launch().filter(|launch| launch.server.never_notifies());
    // Seen from its state: it was started again by itself and waits once more, or its last start ran out of time.
    let live = service.live.as_ref().filter(|live| {
        live.unit.active_state == ActiveState::Activating
            && (live.restarts > 0 || live.unit.result == "timeout")
            && live.main_pid.is_some()
    });
    match (launch, live) {
        (Some(launch), _) => {
            let evidence = format!("{}, ExecStart= runs {}", spot.evidence, launch.program);
            vec![spot.seen(evidence).says(format!("{} never says READY=1", launch.program), fix)]
        }
        (None, Some(live)) => {
            let evidence =
                format!("activating after {} automatic restarts, Result={}", live.restarts, live.unit.result);
            vec![spot.seen(evidence).says("the server runs, but has not said READY=1", fix)]
        }
        (None, None) => Vec::new(),
    }
}

fn unlinks_path(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service, launch)) = launched(facts) else { return Vec::new() };
    let paths: Vec<String> = endpoints(socket)
        .filter_map(|endpoint| match endpoint {
            Endpoint::Unix(path) => Some(path.display().to_string()),
            Endpoint::Tcp(_) => None,
        })
        .collect();
    let Some(first) = paths.first() else { return Vec::new() };
    if let Some(own) = launch.paths().into_iter().find(|own| paths.iter().any(|path| path == own)) {
        let message = format!("{} makes {own} anew, where {} listens", launch.program, socket.source.name);
        return vec![spot(service, &launch).says(message, "# let it serve the passed socket, for example --fd 3")];
    }
    if launch.server == Server::Gunicorn && !launch.named_descriptors().is_empty() && forgets_listen_fds(service) {
        let message = format!("gunicorn removes {first} at a graceful stop, where it may write to the folder");
        let fix = "[Service]\n# remove UnsetEnvironment=LISTEN_FDS and --bind fd://: with LISTEN_FDS gunicorn leaves the path alone";
        return vec![spot(service, &launch).says(message, fix)];
    }
    Vec::new()
}

fn ready_too_early(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let notifies = matches!(service.unit.service_type, ServiceType::Notify | ServiceType::NotifyReload);
    let Some(launch) = service.launch().filter(|launch| launch.server == Server::Gunicorn && notifies) else {
        return Vec::new();
    };
    if launch.arguments.iter().any(|argument| argument == "--preload") {
        return Vec::new();
    }
    let message = "gunicorn says READY=1 before its workers have loaded the application";
    vec![spot(service, &launch).says(message, "ExecStart=... gunicorn --preload ...")]
}

/// The pair and its server, where the server is to take the listening socket.
fn launched(facts: &Facts) -> Option<(&SocketFacts, &ServiceFacts, Launch)> {
    let (socket, service) = facts.pair().filter(|(socket, _)| !socket.unit.accept)?;
    Some((socket, service, service.launch()?))
}

fn spot(service: &ServiceFacts, launch: &Launch) -> Spot {
    let entry = service.source.file.entries("Service", "ExecStart").find(|entry| entry.line == launch.line);
    entry.map_or_else(|| service.source.at("Service", "ExecStart"), |entry| service.source.entry(entry))
}

fn forgets_listen_fds(service: &ServiceFacts) -> bool {
    service.unit.exec.unset_environment.iter().any(|name| name == "LISTEN_FDS")
}

fn endpoints(socket: &SocketFacts) -> impl Iterator<Item = Endpoint> {
    socket.unit.listen.iter().filter_map(|(address, _)| address.endpoint())
}

fn tcp_ports(socket: &SocketFacts) -> Vec<u16> {
    endpoints(socket)
        .filter_map(|endpoint| if let Endpoint::Tcp(address) = endpoint { Some(address.port()) } else { None })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;
    use crate::model::ActiveState;

    #[test]
    fn a_server_that_binds_for_itself_is_found() {
        for (faulty, sound) in [
            ("uvicorn a:b --port 8008", "uvicorn a:b --fd 3"),
            ("hypercorn a:b", "hypercorn a:b --bind fd://3"),
            ("nginx", "gunicorn a:b"),
            ("app --listen 127.0.0.1:8008", "app --listen 127.0.0.1:9"),
            ("python3 -m uvicorn a:b", "python3 app.py"),
            ("python3 -m http.server 8008", "python3 app.py 18008"),
            ("sh -c 'exec uvicorn a:b --port 8008'", "sh -c 'exec uvicorn a:b --fd 3'"),
        ] {
            in_command("GL040", &format!("ExecStart=/bin/{faulty}"), &format!("ExecStart=/bin/{sound}"));
        }
    }

    #[test]
    fn a_descriptor_that_is_taken_twice_is_found() {
        let sound = "ExecStart=/bin/gunicorn a:b -b fd://3\nUnsetEnvironment=LISTEN_FDS";
        in_command("GL041", "ExecStart=/bin/gunicorn a:b -b fd://3", sound);
        in_command("GL041", "ExecStart=/bin/gunicorn a:b -b fd://3", "ExecStart=/bin/gunicorn a:b");
    }

    #[test]
    fn a_server_that_never_notifies_is_found_by_its_name_and_by_its_state() {
        in_command(
            "GL042",
            "Type=notify\nExecStart=/bin/uvicorn a:b --fd 3",
            "Type=exec\nExecStart=/bin/uvicorn a:b --fd 3",
        );
        in_command(
            "GL042",
            "Type=notify\nExecStart=/bin/uvicorn a:b --fd 3",
            "Type=notify\nExecStart=/bin/gunicorn a:b",
        );
        let mut starting = alive();
        let service = starting.service.as_mut().unwrap();
        service.unit.service_type = crate::unit_file::service_choices::ServiceType::Notify;
        service.live.as_mut().unwrap().unit.active_state = ActiveState::Activating;
        let mut looping = starting.clone();
        looping.service.as_mut().unwrap().live.as_mut().unwrap().restarts = 1;
        tells_apart("GL042", &looping, &starting);
    }

    #[test]
    fn a_server_that_removes_the_path_is_found() {
        let with = |command: &str| {
            let socket = "[Socket]\nListenStream=/run/a.sock\n";
            pair(socket, &EXAMPLES.service.replace("/bin/app --serve", command))
        };
        tells_apart("GL043", &with("/bin/uvicorn a:b --uds /run/a.sock"), &with("/bin/uvicorn a:b --fd 3"));
        let unset = "/bin/gunicorn a:b -b fd://3\nUnsetEnvironment=LISTEN_FDS";
        tells_apart("GL043", &with(unset), &with("/bin/gunicorn a:b"));
    }

    #[test]
    fn a_server_that_is_ready_before_its_application_is_found() {
        let (early, late) = ("/bin/gunicorn a:b", "/bin/gunicorn --preload a:b");
        in_command("GL044", &format!("Type=notify\nExecStart={early}"), &format!("Type=notify\nExecStart={late}"));
    }
}
