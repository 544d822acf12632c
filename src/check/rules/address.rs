//! Where the socket listens, and who gets there.

use std::path::{Path, PathBuf};

use crate::check::facts::{Facts, ServiceFacts, SocketFacts};
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::unit_file::ListenAddress;
use crate::unit_file::account::{Account, group_name};
use crate::unit_file::service_choices::Preserve;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL020",
        severity: Severity::Warning,
        title: "open to all addresses",
        why: "whoever reaches the machine reaches the service, unless a firewall forbids it, past any proxy in front",
        find: open_to_all,
    },
    Rule {
        id: "GL021",
        severity: Severity::Error,
        title: "socket path inside the service's own RuntimeDirectory=",
        why: "systemd removes the directory when the service stops, and the path with it: both units look well, the \
              kernel still has the listener, and every client gets ENOENT",
        find: inside_runtime_directory,
    },
    Rule {
        id: "GL022",
        severity: Severity::Warning,
        title: "ReusePort=yes without tcp_migrate_req",
        why: "with several listeners on the port, connections queued at one that closes are reset",
        find: reuse_port,
    },
    Rule {
        id: "GL023",
        severity: Severity::Warning,
        title: "socket that only root may connect to",
        why: "a client or proxy under any other user gets EACCES",
        find: locked_out,
    },
    Rule {
        id: "GL024",
        severity: Severity::Warning,
        title: "FlushPending=yes",
        why: "connections that wait in the queue while the service is down are closed instead of served: a stop, or a \
              SIGKILL with Restart=, resets them",
        find: flush_pending,
    },
    Rule {
        id: "GL025",
        severity: Severity::Warning,
        title: "RemoveOnStop=yes",
        why: "between stop and start of the socket clients get ENOENT instead of a refusal that they may retry, and a \
              proxy that watches the path loses it",
        find: remove_on_stop,
    },
    Rule {
        id: "GL026",
        severity: Severity::Error,
        title: "socket that the client may not connect to",
        why: "connect(2) needs write permission on the socket: every request of that user fails with EACCES",
        find: client_locked_out,
    },
    Rule {
        id: "GL027",
        severity: Severity::Info,
        title: "listener that gapless has no target for",
        why: "netlink, message queues, special files and USB functions take no messages of clients over a socket or a FIFO, \
              so that no load can be put on them",
        find: unspoken,
    },
];

fn unspoken(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = &facts.socket else { return Vec::new() };
    let hit = |(setting, line): &(String, u32)| {
        let fix =
            "# load the service where clients reach it (gapless watch URL -- systemctl restart ...), or use exec steps";
        socket.source.line(*line, setting.clone()).says(format!("gapless cannot load {setting}"), fix)
    };
    socket.unit.unspoken.iter().map(hit).collect()
}

fn open_to_all(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref().filter(|socket| !socket.unit.is_kept_inside()) else { return Vec::new() };
    let place = |address: &'_ ListenAddress| match address {
        ListenAddress::OfType(_, place) => (**place).clone(),
        place => place.clone(),
    };
    let open = socket.unit.listen.iter().filter_map(|(address, line)| match place(address) {
        ListenAddress::Port(port) => Some((address, port, *line)),
        ListenAddress::Ip(ip) if ip.ip().is_unspecified() => Some((address, ip.port(), *line)),
        _ => None,
    });
    open.map(|(address, port, line)| {
        let directive = address.directive();
        let spot = socket.source.line(line, format!("{directive}={address}"));
        let fix = format!("[Socket]\n{directive}=\n{directive}=127.0.0.1:{port}");
        spot.says(format!("port {port} is open on every address of the machine"), fix)
    })
    .collect()
}

fn inside_runtime_directory(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair() else { return Vec::new() };
    let exec = &service.unit.exec;
    if exec.runtime_directory_preserve == Preserve::Yes {
        return Vec::new();
    }
    let when = if exec.runtime_directory_preserve == Preserve::Restart { "stop" } else { "stop or restart" };
    let runtime = runtime_directory(socket, service);
    let inside = paths(socket).filter_map(|(path, line)| {
        let directory = exec.runtime_directories.iter().find(|name| path.starts_with(runtime.join(name)))?;
        Some((path, line, directory))
    });
    inside
        .map(|(path, line, directory)| {
            let message = format!("every {when} of {} removes {}", service.source.name, path.display());
            let spot =
                socket.source.line(line, format!("ListenStream={} and RuntimeDirectory={directory}", path.display()));
            let file = path.file_name().unwrap_or_default().display().to_string();
            spot.says(message, format!("[Socket]\nListenStream=\nListenStream={}", runtime.join(file).display()))
        })
        .collect()
}

/// `/run`, or the user's: what the socket's paths begin with tells which.
fn runtime_directory(socket: &SocketFacts, service: &ServiceFacts) -> PathBuf {
    let user = paths(socket).find_map(|(path, _)| {
        let mut parts = path.strip_prefix("/run/user").ok()?.components();
        Some(Path::new("/run/user").join(parts.next()?))
    });
    let asked = || service.unit.exec.runtime_directories.iter().any(|name| !name.is_empty());
    user.filter(|_| asked()).unwrap_or_else(|| PathBuf::from("/run"))
}

fn reuse_port(facts: &Facts) -> Vec<Hit> {
    let migrates = facts.machine.tcp_migrate_req == Some(true);
    let Some(socket) = facts.socket.as_ref().filter(|socket| socket.unit.reuse_port && !migrates) else {
        return Vec::new();
    };
    let known = if facts.machine.tcp_migrate_req.is_some() { "is 0" } else { "is 0 unless it was set" };
    let spot = socket.source.at("Socket", "ReusePort").seen(format!("ReusePort=yes; net.ipv4.tcp_migrate_req {known}"));
    let message = "queued connections are lost with the listener they wait at";
    vec![spot.says(message, "[Socket]\nReusePort=no\n# or: sysctl -w net.ipv4.tcp_migrate_req=1")]
}

fn locked_out(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = &facts.socket else { return Vec::new() };
    let (mode, (user, group)) = (socket.unit.socket_mode, &socket.unit.owner);
    // Below /run/user the owner is the user whose systemd it is.
    let is_users = facts.machine.is_users || paths(socket).all(|(path, _)| path.starts_with("/run/user"));
    let user_gets_in = (user.is_some() || is_users) && mode & 0o200 != 0;
    let group_gets_in = group.is_some() && mode & 0o020 != 0;
    if mode & 0o002 != 0 || user_gets_in || group_gets_in || paths(socket).next().is_none() {
        return Vec::new();
    }
    let message = format!("SocketMode={mode:04o} with neither SocketUser= nor SocketGroup= that it lets in");
    let fix = "[Socket]\nSocketMode=0660\nSocketGroup=www-data";
    vec![socket.source.at("Socket", "SocketMode").says(message, fix)]
}

fn client_locked_out(facts: &Facts) -> Vec<Hit> {
    let (Some(socket), Some(client)) = (&facts.socket, &facts.clients.user) else { return Vec::new() };
    if paths(socket).next().is_none() || client.is_root {
        return Vec::new();
    }
    let (mode, (user, group)) = (socket.unit.socket_mode, &socket.unit.owner);
    let owner = user.as_deref().unwrap_or("root");
    // Without SocketGroup= the group is the primary one of the owner, which is known of this machine's users only.
    let primary = || Account::find(owner).and_then(|account| group_name(account.gid));
    let group = group.clone().or_else(primary).unwrap_or_else(|| owner.to_owned());
    let (who, bit) = match () {
        () if owner == client.name => ("its owner", 0o200),
        () if client.groups.contains(&group) => ("its group", 0o020),
        () => ("others", 0o002),
    };
    if mode & bit != 0 {
        return Vec::new();
    }
    let evidence = format!("SocketMode={mode:04o}, owner {owner}, group {group}; {who} may not write");
    let message = format!("{} (in {}) may not connect", client.name, client.groups.join(", "));
    let own_group = client.groups.first().unwrap_or(&client.name);
    let fix = format!("[Socket]\nSocketMode=0660\nSocketGroup={own_group}");
    vec![socket.source.at("Socket", "SocketMode").seen(evidence).says(message, fix)]
}

fn flush_pending(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref().filter(|socket| socket.unit.flush_pending) else { return Vec::new() };
    let message = "what waits in the queue is dropped when the service ends";
    vec![socket.source.at("Socket", "FlushPending").says(message, "[Socket]\nFlushPending=no")]
}

fn remove_on_stop(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref().filter(|socket| socket.unit.remove_on_stop) else { return Vec::new() };
    let Some((path, _)) = paths(socket).next() else { return Vec::new() };
    let message = format!("{} is removed whenever the socket stops", path.display());
    vec![socket.source.at("Socket", "RemoveOnStop").says(message, "[Socket]\nRemoveOnStop=no")]
}

/// The paths the socket listens at, with the line of each.
fn paths(socket: &SocketFacts) -> impl Iterator<Item = (PathBuf, u32)> {
    socket.unit.listen.iter().filter_map(|(address, line)| Some((address.endpoint()?.path()?.to_owned(), *line)))
}

#[cfg(test)]
mod tests {
    use crate::check::facts::ClientUser;
    use crate::check::testing::*;

    #[test]
    fn a_listener_on_every_address_is_found() {
        for faulty in ["8080", "0.0.0.0:8080", "[::]:8080"] {
            in_socket("GL020", &format!("ListenStream={faulty}"), "ListenStream=127.0.0.1:8080");
        }
        for inside in ["BindToDevice=lo", "IPAddressDeny=any\nIPAddressAllow=localhost", "PrivateNetwork=yes"] {
            in_socket("GL020", "ListenStream=8080", &format!("ListenStream=8080\n{inside}"));
        }
        in_socket("GL020", "ListenStream=8080\nBindToDevice=eth0", "ListenStream=8080\nBindToDevice=lo");
    }

    #[test]
    fn a_path_that_goes_with_the_service_is_found() {
        let units = |path: &str, more: &str| {
            let service = format!("{}RuntimeDirectory=app\n{more}\n", EXAMPLES.service);
            pair(&format!("[Socket]\nListenStream={path}\n"), &service)
        };
        tells_apart("GL021", &units("/run/app/x.sock", ""), &units("/run/app.sock", ""));
        let kept = units("/run/app/x.sock", "RuntimeDirectoryPreserve=yes");
        tells_apart("GL021", &units("/run/app/x.sock", "RuntimeDirectoryPreserve=restart"), &kept);
        tells_apart("GL021", &units("/run/user/1000/app/x.sock", ""), &units("/run/user/1000/x.sock", ""));
    }

    #[test]
    fn a_shared_port_is_found_unless_the_kernel_migrates() {
        in_socket("GL022", "ReusePort=yes", "ReusePort=no");
        let shared = pair(&EXAMPLES.socket.replace("[Socket]\n", "[Socket]\nReusePort=yes\n"), EXAMPLES.service);
        let mut migrating = shared.clone();
        migrating.machine.tcp_migrate_req = Some(true);
        tells_apart("GL022", &shared, &migrating);
    }

    #[test]
    fn a_socket_for_root_alone_is_found() {
        let with = |lines: &str| format!("ListenStream=/run/x.sock\n{lines}");
        for sound in ["SocketMode=0666", "SocketMode=0660\nSocketGroup=www", "SocketMode=0600\nSocketUser=www"] {
            in_socket("GL023", &with("SocketMode=0660"), &with(sound));
        }
        in_socket("GL023", &with("SocketMode=0600\nSocketGroup=www"), "SocketMode=0600");
        in_socket("GL023", &with("SocketMode=0600"), "ListenStream=/run/user/1000/x.sock\nSocketMode=0600");
    }

    #[test]
    fn a_client_is_locked_out_by_what_applies_to_it() {
        let with = |lines: &str| {
            let socket = format!("[Socket]\nListenStream=/run/x.sock\n{lines}\n[Install]\nWantedBy=sockets.target\n");
            let mut facts = pair(&socket, EXAMPLES.service);
            let groups = vec!["web".to_owned(), "proxies".to_owned()];
            facts.clients.user = Some(ClientUser { name: "web".to_owned(), is_root: false, groups });
            facts
        };
        let let_in = with("SocketMode=0660\nSocketUser=app\nSocketGroup=proxies");
        tells_apart("GL026", &with("SocketMode=0660\nSocketUser=app\nSocketGroup=app"), &let_in);
        tells_apart("GL026", &with("SocketMode=0060\nSocketUser=web"), &with("SocketMode=0200\nSocketUser=web"));
        tells_apart("GL026", &with("SocketMode=0606\nSocketGroup=web"), &with("SocketMode=0666"));
        let mut root = with("SocketMode=0600");
        root.clients.user.as_mut().unwrap().is_root = true;
        tells_apart("GL026", &with("SocketMode=0600"), &root);
    }

    #[test]
    fn a_queue_that_is_flushed_and_a_path_that_is_removed_are_found() {
        in_socket("GL024", "FlushPending=yes", "FlushPending=no");
        in_socket("GL025", "ListenStream=/run/x.sock\nRemoveOnStop=yes", "RemoveOnStop=yes");
    }
}
