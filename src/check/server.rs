//! How a service starts its server, and what is known of that server.
//!
//! How uvicorn and gunicorn take a socket, notify and listen was measured (uvicorn 0.35, gunicorn 27). The rest is
//! what the servers' manuals say, and was not tried.

use std::time::Duration;

use crate::unit_file::value::{self, TimeSpan};
use crate::unit_file::{CommandLine, ServiceUnit, word};

/// A server whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// uvicorn: takes a socket by `--fd`, ignores LISTEN_FDS, never says READY=1.
    Uvicorn,
    /// gunicorn: takes all of LISTEN_FDS, says READY=1 when its arbiter is up.
    Gunicorn,
    /// hypercorn: takes a socket by `--bind fd://`, ignores LISTEN_FDS, never says READY=1.
    Hypercorn,
    /// nginx: takes no socket of systemd's, never says READY=1.
    Nginx,
    /// Any other.
    Unknown,
}

impl Server {
    fn named(name: &str) -> Self {
        match name {
            "uvicorn" => Self::Uvicorn,
            "gunicorn" => Self::Gunicorn,
            "hypercorn" => Self::Hypercorn,
            "nginx" => Self::Nginx,
            _ => Self::Unknown,
        }
    }

    /// Whether it is known never to say READY=1.
    #[must_use]
    pub const fn never_notifies(self) -> bool {
        matches!(self, Self::Uvicorn | Self::Hypercorn | Self::Nginx)
    }

    /// The backlog of its own listen() call, which it makes on a passed socket too.
    #[must_use]
    pub const fn own_backlog(self) -> Option<u32> {
        match self {
            Self::Uvicorn | Self::Gunicorn => Some(2048),
            _ => None,
        }
    }

    /// How long it waits for requests in flight when it is stopped, unless it is told otherwise.
    const fn default_grace(self) -> Option<Duration> {
        match self {
            Self::Gunicorn => Some(Duration::from_secs(30)),
            Self::Hypercorn => Some(Duration::from_secs(3)),
            _ => None,
        }
    }
}

/// The command that starts a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Which server.
    pub server: Server,
    /// The program's name without its folder.
    pub program: String,
    /// The arguments behind it.
    pub arguments: Vec<String>,
    /// The line of the command, from 1.
    pub line: u32,
}

impl Launch {
    /// The first command of ExecStart=.
    #[must_use]
    pub fn of(unit: &ServiceUnit) -> Option<Self> {
        let command = unit.commands.start.first()?;
        let mut words = arguments(unit, command);
        if let [shell, option, script, ..] = &words[..]
            && is_shell(shell)
            && option.starts_with('-')
            && option.ends_with('c')
        {
            words = commanded(script);
        }
        let mut words = words.into_iter().peekable();
        let mut program = words.next()?;
        if base_name(&program) == "env" {
            while words.next_if(|word| word.contains('=') || word.starts_with('-')).is_some() {}
            program = words.next()?;
        }
        if base_name(&program).starts_with("python") && words.next_if(|word| word == "-m").is_some() {
            program = words.next()?;
        }
        let program = base_name(&program).to_owned();
        Some(Self { server: Server::named(&program), program, arguments: words.collect(), line: command.line })
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
        if self.server == Server::Uvicorn {
            named.extend(self.option(&["--fd"]));
        }
        named
    }

    /// Whether an argument names this port: by itself, behind a colon or behind an equals sign, as servers are told
    /// where to listen (`--port 80`, `-b :80`, `--listen=127.0.0.1:80`, `http.server 80`).
    #[must_use]
    pub fn names_port(&self, port: u16) -> bool {
        let port = port.to_string();
        self.arguments.iter().any(|word| word.rsplit([':', '=']).next() == Some(port.as_str()))
    }

    /// The paths of Unix sockets it is told to make.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let bound = self.options(&["--bind", "-b"]).into_iter().filter_map(|bind| bind.strip_prefix("unix:"));
        bound.chain(self.options(&["--uds", "--unix", "--socket"])).collect()
    }

    /// The backlog of its own listen() call.
    #[must_use]
    pub fn backlog(&self) -> Option<u32> {
        let own = self.server.own_backlog()?;
        Some(self.option(&["--backlog"]).and_then(|backlog| backlog.parse().ok()).unwrap_or(own))
    }

    /// How long it waits for requests in flight when it is stopped; none where it waits for ever or that is not known.
    #[must_use]
    pub fn grace(&self) -> Option<Duration> {
        let given = self.option(&["--graceful-timeout", "--timeout-graceful-shutdown"]);
        let given = given.and_then(|given| value::time_span(given).ok()).and_then(TimeSpan::limit);
        given.or(self.server.default_grace())
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

/// Whether it is a shell, which runs what it is told to and replaces what systemd does not.
pub(super) fn is_shell(program: &str) -> bool {
    matches!(base_name(program), "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash")
}

/// The words of the last command of a shell's script, as well as they can be told without running it: variables stay,
/// their defaults taken.
fn commanded(script: &str) -> Vec<String> {
    let command = script.rsplit([';', '&', '|', '\n']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let words = word::split(command).unwrap_or_else(|_| command.split_whitespace().map(str::to_owned).collect());
    words.into_iter().skip_while(|word| word == "exec" || word.contains('=')).map(|word| with_default(&word)).collect()
}

/// `8008` for `${PORT:-8008}`.
fn with_default(word: &str) -> String {
    let default = word.strip_suffix('}').and_then(|open| Some((open.split_once("${")?.0, open.rsplit_once(":-")?.1)));
    default.map_or_else(|| word.to_owned(), |(before, default)| format!("{before}{default}"))
}

fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::service;
    use super::*;

    fn launch(text: &str) -> Launch {
        service(&format!("[Service]\n{text}\n")).launch().unwrap()
    }

    #[test]
    fn a_server_is_known_behind_python_and_env() {
        for text in
            ["/venv/bin/uvicorn app:app", "/usr/bin/python3 -m uvicorn app:app", "/usr/bin/env A=1 uvicorn app:app"]
        {
            let launch = launch(&format!("ExecStart={text}"));
            assert_eq!((launch.server, launch.arguments), (Server::Uvicorn, vec!["app:app".to_owned()]), "{text}");
        }
        assert_eq!(launch("ExecStart=/bin/uvicorn2").server, Server::Unknown);
    }

    #[test]
    fn a_server_is_known_behind_a_shell() {
        for script in ["exec uvicorn app:app", "cd /srv; A=1 uvicorn app:app", "cd /srv && uvicorn app:app"] {
            let launch = launch(&format!("ExecStart=/bin/sh -c '{script}'"));
            assert_eq!((launch.server, launch.arguments), (Server::Uvicorn, vec!["app:app".to_owned()]), "{script}");
        }
        let launch = launch("ExecStart=/bin/bash -ec 'exec app --listen 127.0.0.1:${PORT:-8008}'");
        assert!(launch.names_port(8008), "{launch:?}");
    }

    #[test]
    fn options_are_read_in_every_form() {
        let launch = launch("ExecStart=/bin/gunicorn -b :80 --bind=fd://3 --bind unix:/run/a --graceful-timeout 40s");
        assert_eq!((launch.named_descriptors(), launch.paths()), (vec!["3"], vec!["/run/a"]));
        assert!(launch.names_port(80) && !launch.names_port(8));
        assert_eq!(launch.grace(), Some(Duration::from_secs(40)));
    }

    #[test]
    fn variables_are_replaced_where_all_are_known() {
        assert!(launch("Environment=PORT=80\nExecStart=/bin/app --port ${PORT}").names_port(80));
        let unknown = launch("Environment=PORT=80\nEnvironmentFile=/x\nExecStart=/bin/app --port ${PORT}");
        assert!(!unknown.names_port(80));
    }

    #[test]
    fn a_server_has_its_own_backlog_and_grace_unless_told_otherwise() {
        let gunicorn = launch("ExecStart=/bin/gunicorn app");
        assert_eq!((gunicorn.backlog(), gunicorn.grace()), (Some(2048), Some(Duration::from_secs(30))));
        assert_eq!(launch("ExecStart=/bin/uvicorn --backlog 64 a:b").backlog(), Some(64));
    }
}
