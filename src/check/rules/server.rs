//! Whether the server takes the socket that it is passed, and says when it is ready.

use crate::check::facts::{Facts, ServiceFacts, SocketFacts};
use crate::check::finding::{Hit, Severity, Spot};
use crate::check::rule::Rule;
use crate::check::server::{Launch, Taking};
use crate::check::servers::Ready;
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
    Rule {
        id: "GL045",
        severity: Severity::Info,
        title: "server that may not take the passed socket",
        why: "how it takes a socket stands in its configuration or its code, which is not read here: if it binds for itself, \
              that fails or every restart is a gap",
        find: may_bind_itself,
    },
];

fn binds_itself(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service, launch)) = launched(facts).filter(|(socket, ..)| !listens_apart(socket)) else {
        return Vec::new();
    };
    let Taking::No(advice) = taking(socket, service, &launch) else { return Vec::new() };
    let server = launch.server.map_or("", |server| server.source);
    let spot = spot(service, &launch);
    let evidence = format!("{}; known of {}: {server}", spot.evidence, launch.program);
    let (message, fix) = match advice {
        Some(advice) => (
            format!("{} does not take the socket of {}: nothing tells it to", launch.program, socket.source.name),
            advice,
        ),
        None => (
            format!("{} takes no socket from systemd", launch.program),
            "# systemd-socket-proxyd in front, or no socket unit for it",
        ),
    };
    vec![spot.seen(evidence).says(message, fix)]
}

/// Where the command names the socket's own address, or what runs does not hold the socket, the question is asked.
fn may_bind_itself(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service, launch)) = launched(facts) else { return Vec::new() };
    if taking(socket, service, &launch) != Taking::Unknown || holds(socket, service) == Some(true) {
        return Vec::new();
    }
    let fix = "# if not: let it serve descriptor 3 (LISTEN_FDS), or put systemd-socket-proxyd in front";
    let (program, name) = (&launch.program, &socket.source.name);
    if holds(socket, service) == Some(false) {
        let processes = service.live.iter().flat_map(|live| &live.processes).map(u32::to_string).collect::<Vec<_>>();
        let evidence = format!("no process of {} holds it (PID {})", service.source.name, processes.join(", "));
        let message = format!("{program} runs without the socket of {name}: what connects there waits");
        return vec![spot(service, &launch).seen(evidence).says(message, fix).weighing(Severity::Warning)];
    }
    let Some(endpoint) = endpoints(socket).find(|endpoint| launch.names(endpoint)) else { return Vec::new() };
    let message = format!("does {program} serve the socket it is passed? It is told {endpoint}, which {name} holds");
    vec![spot(service, &launch).says(message, fix)]
}

/// What is known of the server, unless the kernel shows that it took the socket.
fn taking(socket: &SocketFacts, service: &ServiceFacts, launch: &Launch) -> Taking {
    if holds(socket, service) == Some(true) {
        return Taking::Yes;
    }
    let endpoints: Vec<Endpoint> = endpoints(socket).collect();
    launch.takes(&endpoints, &service.unit.exec.environment, &service.configuration)
}

/// Whether a process of the running service holds a listener of the socket; none where that cannot be seen.
fn holds(socket: &SocketFacts, service: &ServiceFacts) -> Option<bool> {
    let (socket, service) = (socket.live.as_ref()?, service.live.as_ref()?);
    let listeners = || socket.addresses.iter().flat_map(|address| &address.listeners);
    let runs = service.unit.sub_state == "running" && !service.processes.is_empty();
    if !runs || listeners().next().is_none() {
        return None;
    }
    let holders: Option<Vec<_>> = listeners().map(|held| held.holders.as_ref()).collect();
    Some(holders?.into_iter().flatten().any(|holder| service.processes.contains(&holder.pid)))
}

/// The socket listens at nothing that a server could bind here: only systemd makes such a socket.
fn listens_apart(socket: &SocketFacts) -> bool {
    endpoints(socket).next().is_none()
}

fn consumed_twice(facts: &Facts) -> Vec<Hit> {
    let Some((_, service, launch)) = launched(facts) else { return Vec::new() };
    let named = launch.named_descriptors();
    if !launch.is("gunicorn") || named.is_empty() || forgets_listen_fds(service) {
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
    let never = |launch: &Launch| launch.server.is_some_and(|server| server.ready == Ready::Never);
    let launch = service.launch().filter(never);
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
    if launch.server.is_none() || matches!(taking(socket, service, &launch), Taking::Unknown) {
        return Vec::new();
    }
    let takes = taking(socket, service, &launch) == Taking::Yes;
    let paths: Vec<String> =
        endpoints(socket).filter_map(|endpoint| Some(endpoint.path()?.display().to_string())).collect();
    let Some(first) = paths.first() else { return Vec::new() };
    if let Some(own) = launch.paths().into_iter().find(|own| !takes && paths.iter().any(|path| path == own)) {
        let message = format!("{} makes {own} anew, where {} listens", launch.program, socket.source.name);
        return vec![spot(service, &launch).says(message, "# let it serve the passed socket, for example --fd 3")];
    }
    if launch.is("gunicorn") && !launch.named_descriptors().is_empty() && forgets_listen_fds(service) {
        let message = format!("gunicorn removes {first} at a graceful stop, where it may write to the folder");
        let fix = "[Service]\n# remove UnsetEnvironment=LISTEN_FDS and --bind fd://: with LISTEN_FDS gunicorn leaves the path alone";
        return vec![spot(service, &launch).says(message, fix)];
    }
    Vec::new()
}

fn ready_too_early(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let notifies = matches!(service.unit.service_type, ServiceType::Notify | ServiceType::NotifyReload);
    let Some(launch) = service.launch().filter(|launch| launch.is("gunicorn") && notifies) else {
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
            ("python3 -m uvicorn a:b", "python3 app.py"),
            ("python3 -m http.server 8008", "python3 app.py 8008"),
            ("sh -c 'exec uvicorn a:b --port 8008'", "sh -c 'exec uvicorn a:b --fd 3'"),
            ("puma -b tcp://127.0.0.1:8009", "puma -b tcp://127.0.0.1:8008"),
            ("systemd-socket-activate -l 8008 app", "systemd-socket-proxyd 127.0.0.2:8008"),
        ] {
            in_command("GL040", &format!("ExecStart=/bin/{faulty}"), &format!("ExecStart=/bin/{sound}"));
        }
    }

    #[test]
    fn a_server_that_is_not_known_is_asked_about() {
        for (faulty, sound) in [
            ("app --listen 127.0.0.1:8008", "app --listen 127.0.0.1:9"),
            ("app --port 8008", "app --port 18008"),
            ("node server.js --port=8008", "systemd-socket-proxyd 127.0.0.1:8008"),
        ] {
            in_command("GL045", &format!("ExecStart=/bin/{faulty}"), &format!("ExecStart=/bin/{sound}"));
            assert!(!found(EXAMPLES.socket, &EXAMPLES.service.replace("app --serve", faulty)).contains(&"GL040"));
        }
    }

    #[test]
    fn what_the_kernel_shows_counts_more_than_what_is_known_of_the_server() {
        let with = |command: &str, holder: u32| {
            let mut facts = alive();
            let text = EXAMPLES.service.replace("/bin/app --serve", command);
            let mut running = service(&text);
            running.live = facts.service.and_then(|service| service.live);
            running.live.as_mut().unwrap().processes = vec![42];
            facts.service = Some(running);
            let live = facts.socket.as_mut().unwrap().live.as_mut().unwrap();
            live.addresses = vec![address_held_by("127.0.0.1:8008", &[1, holder])];
            facts
        };
        tells_apart("GL045", &with("/bin/app", 43), &with("/bin/app", 42));
        tells_apart("GL040", &with("/bin/granian a:b", 43), &with("/bin/granian a:b", 42));
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
