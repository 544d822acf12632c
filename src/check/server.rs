//! How a service starts its server, and what that says of the socket it is passed.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::servers::{Server, Takes, Telling};
use super::shell::{base_name, unwrapped};
use super::source::read_text;
use crate::model::Endpoint;
use crate::unit_file::value::{self, TimeSpan};
use crate::unit_file::{CommandLine, ServiceUnit};

/// The command that starts a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Which server; none where its ways are not known.
    pub server: Option<&'static Server>,
    /// The program's name without its folder.
    pub program: String,
    /// The arguments behind it.
    pub arguments: Vec<String>,
    /// The line of the command, from 1.
    pub line: u32,
}

/// Whether a server takes the socket that it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It does.
    Yes,
    /// It does not: how the unit would have to say so, if it can at all.
    No(Option<&'static str>),
    /// Its configuration or its own code decides.
    Unknown,
}

impl Launch {
    /// The first command of ExecStart=.
    #[must_use]
    pub fn of(unit: &ServiceUnit) -> Option<Self> {
        let command = unit.commands.start.first()?;
        let is_known = |name: &str| Server::named(name).is_some();
        let mut words = unwrapped(arguments(unit, command), &is_known).into_iter();
        let program = base_name(&words.next()?).to_owned();
        Some(Self { server: Server::named(&program), program, arguments: words.collect(), line: command.line })
    }

    /// Whether the server is the one of that name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.server.is_some_and(|server| server.names[0] == name)
    }

    /// Whether it takes a socket that listens at `endpoints`, as far as its command line, the environment of the unit and
    /// the configuration `files` say.
    #[must_use]
    pub fn takes(&self, endpoints: &[Endpoint], environment: &[String], files: &Files) -> Taking {
        match self.server.map(|server| &server.takes) {
            None | Some(Takes::Depends) => Taking::Unknown,
            Some(Takes::All) => Taking::Yes,
            Some(Takes::Never) => Taking::No(None),
            Some(Takes::Matching { options, all_with }) => {
                let bound = self.options(options);
                let named = |endpoint: &Endpoint| bound.iter().any(|address| is_same(address, endpoint));
                match () {
                    () if self.arguments.iter().any(|word| all_with.contains(&word.as_str())) => Taking::Yes,
                    () if bound.is_empty() => Taking::Unknown,
                    () if endpoints.iter().any(named) => Taking::Yes,
                    () => Taking::No(Some(
                        "# the same address in ListenStream= and in the server's own option, or --bind-to-activated-sockets",
                    )),
                }
            }
            Some(Takes::Told { by, advice }) => self.told(by, environment, files).unwrap_or(Taking::No(Some(advice))),
        }
    }

    /// Whether it is told to take a socket; none where nothing tells it.
    fn told(&self, by: &[Telling], environment: &[String], files: &Files) -> Option<Taking> {
        let mut answer = None;
        for telling in by {
            match telling {
                Telling::Option(names, prefix) => {
                    if self.options(names).iter().any(|value| value.starts_with(prefix)) {
                        return Some(Taking::Yes);
                    }
                }
                Telling::Word(prefix) => {
                    let starts = |word: &String| {
                        word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                    };
                    if self.arguments.iter().any(starts) {
                        return Some(Taking::Yes);
                    }
                }
                Telling::Environment(name) => {
                    if environment.iter().any(|set| set.split_once('=').is_some_and(|(known, _)| known == *name)) {
                        return Some(Taking::Yes);
                    }
                }
                Telling::File(.., needle) if files.contain(needle) => return Some(Taking::Yes),
                Telling::File(..) if files.unread => answer = Some(Taking::Unknown),
                Telling::File(..) => {}
            }
        }
        answer
    }

    /// The configuration files that may tell the server to take a socket.
    fn configuration(&self) -> Vec<PathBuf> {
        let Some(Takes::Told { by, .. }) = self.server.map(|server| &server.takes) else { return Vec::new() };
        let of = |telling: &Telling| match telling {
            Telling::File(options, default, _) => {
                let given: Vec<&str> = self.options(options);
                let given = if given.is_empty() && !default.is_empty() { vec![*default] } else { given };
                given.into_iter().map(PathBuf::from).collect()
            }
            _ => Vec::new(),
        };
        by.iter().flat_map(of).collect()
    }

    /// The value of the last of these options, as `--name value`, `--name=value` or `-n value`.
    #[must_use]
    pub fn option(&self, names: &[&str]) -> Option<&str> {
        self.options(names).pop()
    }

    /// The values of every one of these options.
    #[must_use]
    pub fn options(&self, names: &[&str]) -> Vec<&str> {
        let mut values = Vec::new();
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            if names.contains(&name) {
                values.extend(value.or_else(|| words.next().map(String::as_str)));
            }
        }
        values
    }

    /// The descriptors it is told to serve, as uvicorn's `--fd 3` or `--bind fd://3` do.
    #[must_use]
    pub fn named_descriptors(&self) -> Vec<&str> {
        let bound = self.options(&["--bind", "-b"]).into_iter().filter_map(|bind| bind.strip_prefix("fd://"));
        let mut named: Vec<&str> = bound.collect();
        if self.is("uvicorn") {
            named.extend(self.option(&["--fd"]));
        }
        named
    }

    /// Whether an argument names this address, as servers are told where to listen: `--port 80`, `-b :80`,
    /// `--listen=127.0.0.1:80`, `http.server 80`, `-b unix:///run/a.sock`.
    #[must_use]
    pub fn names(&self, endpoint: &Endpoint) -> bool {
        let value = |word: &'_ String| match word.split_once('=') {
            Some((name, value)) if !name.contains([':', '/']) => value.to_owned(),
            _ => word.clone(),
        };
        self.arguments.iter().any(|word| is_same(&value(word), endpoint))
    }

    /// The paths of Unix sockets it is told to make.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let bound = self.options(&["--bind", "-b"]).into_iter().filter_map(|bind| bind.strip_prefix("unix:"));
        let bound = bound.map(|path| path.strip_prefix("//").unwrap_or(path));
        bound.chain(self.options(&["--uds", "--unix", "--socket"])).collect()
    }

    /// The backlog of its own listen() call.
    #[must_use]
    pub fn backlog(&self) -> Option<u32> {
        let own = self.server?.backlog?;
        Some(self.option(&["--backlog"]).and_then(|backlog| backlog.parse().ok()).unwrap_or(own))
    }

    /// How long it waits for requests in flight when it is stopped; none where it waits for ever or that is not known.
    #[must_use]
    pub fn grace(&self) -> Option<Duration> {
        let given = self.option(&["--graceful-timeout", "--timeout-graceful-shutdown"]);
        let given = given.and_then(|given| value::time_span(given).ok()).and_then(TimeSpan::limit);
        given.or(self.server.and_then(|server| server.grace))
    }
}

/// The arguments with variables replaced; as written where a file gives variables that are not known here.
fn arguments(unit: &ServiceUnit, command: &CommandLine) -> Vec<String> {
    if !unit.exec.environment_files.is_empty() {
        return command.argv.clone();
    }
    let environment = &unit.exec.environment;
    command.arguments(|name| {
        let values = environment.iter().rev().filter_map(|assignment| assignment.split_once('='));
        values.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    })
}

/// Whether an address, as a server is told it, is the one of a listener: the port alone, or with a host that is the
/// listener's or stands for all.
fn is_same(told: &str, endpoint: &Endpoint) -> bool {
    let told = told.split_once("://").map_or(told, |(_, address)| address);
    let told = told.split(['?', '|']).next().unwrap_or_default();
    match endpoint.ip() {
        None => endpoint.name().is_some_and(|path| Path::new(told.strip_prefix("unix:").unwrap_or(told)) == path),
        Some(address) => {
            let (host, port) = told.rsplit_once(':').unwrap_or(("", told));
            let host = host.rsplit(':').next().filter(|_| !host.contains('[')).unwrap_or(host);
            port.parse() == Ok(address.port()) && is_host_of(host.trim_matches(['[', ']']), address)
        }
    }
}

fn is_host_of(host: &str, address: SocketAddr) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified(),
        // A name, or none: it may be this host.
        Err(_) => true,
    }
}

/// Configuration files of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    texts: Vec<String>,
    /// One of them cannot be read from here.
    unread: bool,
}

impl Files {
    /// Reads those that may tell the server of `unit` to take a socket.
    #[must_use]
    pub fn of(unit: &ServiceUnit) -> Self {
        Self::paths(unit).into_iter().map(|path| read_text(&path).ok().filter(|_| path.is_absolute())).collect()
    }

    /// Where these are.
    pub(super) fn paths(unit: &ServiceUnit) -> Vec<std::path::PathBuf> {
        Launch::of(unit).map(|launch| launch.configuration()).unwrap_or_default()
    }

    /// Whether a line other than a comment contains the text.
    fn contain(&self, needle: &str) -> bool {
        let mut lines = self.texts.iter().flat_map(|text| text.lines());
        lines.any(|line| !line.trim_start().starts_with(['#', ';']) && line.contains(needle))
    }
}

impl FromIterator<Option<String>> for Files {
    /// Of texts; none for one that cannot be read.
    fn from_iter<T: IntoIterator<Item = Option<String>>>(texts: T) -> Self {
        let mut files = Self::default();
        for text in texts {
            files.unread |= text.is_none();
            files.texts.extend(text);
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::service;
    use super::*;

    fn launch(text: &str) -> Launch {
        service(&format!("[Service]\n{text}\n")).launch().unwrap()
    }

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(address.parse().unwrap())
    }

    fn takes(text: &str, endpoint: &Endpoint) -> Taking {
        let service = service(&format!("[Service]\n{text}\n"));
        let launch = service.launch().unwrap();
        launch.takes(std::slice::from_ref(endpoint), &service.unit.exec.environment, &service.configuration)
    }

    #[test]
    fn a_server_is_known_behind_what_starts_it() {
        for text in [
            "/venv/bin/uvicorn app:app",
            "/usr/bin/python3 -m uvicorn app:app",
            "/usr/bin/env A=1 uvicorn app:app",
            "/bin/sh -c 'cd /srv && A=1 exec uvicorn app:app 2>&1'",
        ] {
            let launch = launch(&format!("ExecStart={text}"));
            assert_eq!((launch.is("uvicorn"), launch.arguments), (true, vec!["app:app".to_owned()]), "{text}");
        }
        assert_eq!(launch("ExecStart=/bin/uvicorn2").server, None);
        let launch = launch("ExecStart=/bin/bash -ec 'exec app --listen 127.0.0.1:${PORT:-8008}'");
        assert!(launch.names(&tcp("127.0.0.1:8008")), "{launch:?}");
    }

    #[test]
    fn an_address_is_the_listeners_only_with_its_host() {
        let names = |words: &str, endpoint: &Endpoint| launch(&format!("ExecStart=/bin/app {words}")).names(endpoint);
        let endpoint = tcp("127.0.0.1:8443");
        for words in ["--port 8443", "-b :8443", "--listen=127.0.0.1:8443", "tcp://0.0.0.0:8443", "localhost:8443"] {
            assert!(names(words, &endpoint), "{words}");
        }
        for words in ["127.0.0.2:8443", "18443", "-b tcp://10.0.0.1:8443", "[::1]:8443", "127.0.0.1:84"] {
            assert!(!names(words, &endpoint), "{words}");
        }
        assert!(names("[::1]:8443", &tcp("[::]:8443")));
        assert!(names("-b unix:///run/a.sock?mode=0660", &Endpoint::Unix("/run/a.sock".into())));
    }

    #[test]
    fn each_server_takes_a_socket_in_its_own_way() {
        let endpoint = tcp("127.0.0.1:9392");
        for (text, taking) in [
            ("ExecStart=/bin/puma -b tcp://127.0.0.1:9392 hello.ru", Taking::Yes),
            ("ExecStart=/bin/puma --bind-to-activated-sockets only -p 1", Taking::Yes),
            ("ExecStart=/bin/puma", Taking::Unknown),
            ("ExecStart=/bin/daphne --fd 3 a:b", Taking::Yes),
            ("ExecStart=/bin/daphne -e systemd:domain=INET:index=0 a:b", Taking::Yes),
            ("ExecStart=/bin/uwsgi --ini x.ini", Taking::Yes),
            ("Environment=NGINX=3;\nExecStart=/sbin/nginx", Taking::Yes),
            ("ExecStart=/bin/granian --port 9392 a:b", Taking::No(None)),
            ("ExecStart=/sbin/haproxy -f /nowhere/haproxy.cfg", Taking::Unknown),
            ("ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.2:9392", Taking::Yes),
            ("ExecStart=/sbin/dockerd -H fd://", Taking::Yes),
            ("ExecStart=/bin/socat ACCEPT-FD:3,fork TCP:127.0.0.1:80", Taking::Yes),
            ("ExecStart=/usr/bin/node server.js", Taking::Unknown),
            ("ExecStart=/bin/app --port 9392", Taking::Unknown),
        ] {
            assert_eq!(takes(text, &endpoint), taking, "{text}");
        }
        for text in ["/bin/puma -b tcp://127.0.0.1:9399 hello.ru", "/bin/uvicorn a:b", "/bin/socat TCP-LISTEN:9392 -"] {
            assert!(matches!(takes(&format!("ExecStart={text}"), &endpoint), Taking::No(Some(_))), "{text}");
        }
    }

    #[test]
    fn a_configuration_file_can_tell_a_server_to_take_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        let text = format!("ExecStart=/sbin/haproxy -Ws -f {}", file.display());
        let with = |line: &str| {
            std::fs::write(&file, format!("frontend web\n    {line}\n")).unwrap();
            takes(&text, &tcp("127.0.0.1:80"))
        };
        assert_eq!(with("bind fd@3"), Taking::Yes);
        for line in ["bind :80", "# bind fd@3"] {
            assert!(matches!(with(line), Taking::No(Some(_))), "{line}");
        }
    }

    #[test]
    fn options_are_read_in_every_form() {
        let launch = launch("ExecStart=/bin/gunicorn -b :80 --bind=fd://3 --bind unix:/run/a --graceful-timeout 40s");
        assert_eq!((launch.named_descriptors(), launch.paths()), (vec!["3"], vec!["/run/a"]));
        assert!(launch.names(&tcp("127.0.0.1:80")) && !launch.names(&tcp("127.0.0.1:8")));
        assert_eq!(launch.grace(), Some(Duration::from_secs(40)));
    }

    #[test]
    fn variables_are_replaced_where_all_are_known() {
        assert!(launch("Environment=PORT=80\nExecStart=/bin/app --port ${PORT}").names(&tcp("127.0.0.1:80")));
        let unknown = launch("Environment=PORT=80\nEnvironmentFile=/x\nExecStart=/bin/app --port ${PORT}");
        assert!(!unknown.names(&tcp("127.0.0.1:80")));
    }

    #[test]
    fn a_server_has_its_own_backlog_and_grace_unless_told_otherwise() {
        let gunicorn = launch("ExecStart=/bin/gunicorn app");
        assert_eq!((gunicorn.backlog(), gunicorn.grace()), (Some(2048), Some(Duration::from_secs(30))));
        assert_eq!(launch("ExecStart=/bin/uvicorn --backlog 64 a:b").backlog(), Some(64));
    }
}
