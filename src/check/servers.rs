//! Servers whose ways are known: how each takes a passed socket, says that it is ready, listens and ends.
//!
//! One row a server, with where it is written down: `strings` stands for the program of Debian 12, in which LISTEN_FDS
//! or sd_listen_fds is found, or is not. What was measured says so. A server without a row is asked about, never blamed.

use std::time::Duration;

use crate::model::Signal;

/// A server.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// Names of its program or module. One that ends in `*` is the beginning of a name.
    pub names: &'static [&'static str],
    /// How it takes a passed socket.
    pub takes: Takes,
    /// When it says READY=1.
    pub ready: Ready,
    /// The backlog of its own listen() call, which it makes on a passed socket too.
    pub backlog: Option<u32>,
    /// How long it waits for requests in flight when it is stopped, unless it is told otherwise.
    pub grace: Option<Duration>,
    /// The signals at which it finishes what it has accepted; empty where that is not known.
    pub graceful: &'static [Signal],
    /// Where that is written down.
    pub source: &'static str,
}

/// How a server takes a passed socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Takes {
    /// All of LISTEN_FDS, whatever it is told to bind.
    All,
    /// Those of LISTEN_FDS that are bound to the very address it is told to bind; with one of `all_with`, all.
    Matching {
        /// Options that name an address or a port.
        options: &'static [&'static str],
        /// Options with which it takes every one.
        all_with: &'static [&'static str],
    },
    /// Only when it is told to.
    Told {
        /// Each way to tell it.
        by: &'static [Telling],
        /// What to write.
        advice: &'static str,
    },
    /// Never.
    Never,
    /// Its configuration or the program it runs decides, and that is not read here.
    Depends,
}

/// A way to tell a server to take a passed socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Telling {
    /// An option whose value begins so.
    Option(&'static [&'static str], &'static str),
    /// A word of the command line that begins so, in any case.
    Word(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// A configuration file, given by one of the options or at the path, that contains the text.
    File(&'static [&'static str], &'static str, &'static str),
}

/// When a server says READY=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// When it serves.
    Says,
    /// Before the application is loaded.
    SaysEarly,
    /// Never.
    Never,
    /// Not known.
    Unknown,
}

use Telling::{Environment, File, Option as Opt, Word};

const TERM: &[Signal] = &[Signal::TERM];
const TERM_OR_INT: &[Signal] = &[Signal::TERM, Signal::INT];
const QUIT: &[Signal] = &[Signal::QUIT];

const fn server(names: &'static [&'static str], takes: Takes, ready: Ready, source: &'static str) -> Server {
    Server { names, takes, ready, backlog: None, grace: None, graceful: &[], source }
}

const fn told(by: &'static [Telling], advice: &'static str) -> Takes {
    Takes::Told { by, advice }
}

/// The table.
pub static SERVERS: &[Server] = &[
    // Python
    Server {
        backlog: Some(2048),
        graceful: TERM_OR_INT,
        ..server(
            &["uvicorn"],
            told(&[Opt(&["--fd"], ""), Environment("UVICORN_FD")], "ExecStart=... uvicorn ... --fd 3"),
            Ready::Never,
            "measured with uvicorn 0.35 and 0.54; uvicorn/main.py",
        )
    },
    Server {
        backlog: Some(2048),
        grace: Some(Duration::from_secs(30)),
        graceful: TERM,
        ..server(
            &["gunicorn", "gunicorn3"],
            Takes::All,
            Ready::SaysEarly,
            "measured with gunicorn 27; gunicorn/arbiter.py",
        )
    },
    Server {
        grace: Some(Duration::from_secs(3)),
        graceful: TERM_OR_INT,
        ..server(
            &["hypercorn"],
            told(
                &[Opt(&["--bind", "-b", "--insecure-bind"], "fd://"), File(&["--config", "-c"], "", "fd://")],
                "ExecStart=... hypercorn ... --bind fd://3",
            ),
            Ready::Never,
            "hypercorn/config.py",
        )
    },
    server(&["granian"], Takes::Never, Ready::Never, "granian/server: binds --host and --port, or --uds"),
    server(
        &["daphne"],
        told(
            &[Opt(&["--fd"], ""), Opt(&["-e", "--endpoint"], "fd:"), Opt(&["-e", "--endpoint"], "systemd:")],
            "ExecStart=... daphne --fd 3 ...",
        ),
        Ready::Never,
        "daphne/cli.py, daphne/endpoints.py",
    ),
    server(
        &["waitress-serve", "waitress"],
        Takes::Never,
        Ready::Never,
        "waitress/runner.py: no option for a descriptor",
    ),
    server(
        &["twistd"],
        told(
            &[Word("systemd:"), Word("--listen=systemd:"), Word("--port=systemd:")],
            "twistd web --listen systemd:domain=INET:index=0",
        ),
        Ready::Unknown,
        "twisted/internet/endpoints.py",
    ),
    server(&["http.server", "SimpleHTTPServer"], Takes::Never, Ready::Never, "Lib/http/server.py"),
    // Ruby
    server(
        &["puma", "pumactl"],
        Takes::Matching { options: &["-b", "--bind", "-p", "--port"], all_with: &["--bind-to-activated-sockets"] },
        Ready::Unknown,
        "puma/binder.rb, docs/systemd.md",
    ),
    server(
        &["unicorn", "unicorn_rails", "pitchfork"],
        Takes::All,
        Ready::Unknown,
        "unicorn/http_server.rb, inherit_listeners!",
    ),
    server(
        &["passenger", "rainbows", "thin", "rackup", "rails", "falcon", "iodine"],
        Takes::Depends,
        Ready::Unknown,
        "not read",
    ),
    // Other application servers
    server(&["uwsgi*"], Takes::All, Ready::Says, "core/uwsgi.c, uwsgi_setup_systemd; strings"),
    Server {
        graceful: QUIT,
        ..server(
            &["php-fpm*"],
            told(
                &[Environment("FPM_SOCKETS")],
                "# systemd-socket-proxyd in front: php-fpm reads FPM_SOCKETS, not LISTEN_FDS",
            ),
            Ready::Says,
            "sapi/fpm/fpm/fpm_sockets.c; strings",
        )
    },
    server(
        &["node", "nodejs", "deno", "bun", "java", "dotnet", "pm2"],
        Takes::Depends,
        Ready::Unknown,
        "the program decides",
    ),
    server(&["fcgiwrap", "epmd", "lldpd"], Takes::All, Ready::Unknown, "strings"),
    // Web servers and proxies
    Server {
        graceful: QUIT,
        ..server(
            &["nginx", "openresty", "angie", "freenginx"],
            told(
                &[Environment("NGINX")],
                "# systemd-socket-proxyd in front, or no socket unit for nginx: its own reload loses nothing",
            ),
            Ready::Never,
            "src/core/nginx.c, ngx_add_inherited_sockets: the variable NGINX alone; strings",
        )
    },
    server(
        &["haproxy"],
        told(&[File(&["-f"], "/etc/haproxy/haproxy.cfg", "fd@")], "# haproxy.cfg, in the frontend:\nbind fd@3"),
        Ready::Says,
        "HAProxy Configuration Manual, bind: fd@<n>",
    ),
    server(
        &["caddy"],
        told(
            &[File(&["--config", "-c"], "/etc/caddy/Caddyfile", "fd/")],
            "# Caddyfile (from 2.9 on), in the site:\nbind fd/3",
        ),
        Ready::Says,
        "Caddy documentation, Conventions: network addresses",
    ),
    server(
        &["traefik"],
        Takes::Depends,
        Ready::Says,
        "Traefik documentation, EntryPoints: systemd socket activation by name",
    ),
    server(
        &["apache2", "httpd", "apachectl", "apache2ctl"],
        Takes::Depends,
        Ready::Unknown,
        "mod_systemd of 2.5 and of distributions",
    ),
    server(&["lighttpd"], Takes::Depends, Ready::Unknown, "server.systemd-socket-activation; strings"),
    server(
        &["varnishd", "squid", "hitch", "h2o", "stunnel*", "envoy", "trafficserver"],
        Takes::Depends,
        Ready::Unknown,
        "not read",
    ),
    server(&["systemd-socket-proxyd"], Takes::All, Ready::Says, "systemd-socket-proxyd(8)"),
    server(
        &["systemd-socket-activate"],
        Takes::Never,
        Ready::Unknown,
        "systemd-socket-activate(1): listens for itself",
    ),
    server(
        &["socat", "socat1"],
        told(&[Word("fd:"), Word("accept-fd:")], "# socat 1.8: ExecStart=socat ACCEPT-FD:3,fork ..."),
        Ready::Never,
        "socat(1), ACCEPT-FD and FD",
    ),
    server(
        &["prometheus*", "*_exporter"],
        told(&[Word("--web.systemd-socket")], "ExecStart=... --web.systemd-socket"),
        Ready::Unknown,
        "prometheus/exporter-toolkit, web/tls_config.go",
    ),
    // Containers
    server(
        &["dockerd"],
        told(
            &[Opt(&["-H", "--host"], "fd://"), File(&["--config-file"], "/etc/docker/daemon.json", "fd://")],
            "ExecStart=/usr/sbin/dockerd -H fd://",
        ),
        Ready::Says,
        "dockerd(8), Daemon socket option; strings",
    ),
    server(&["containerd", "buildkitd"], Takes::Depends, Ready::Says, "strings: no LISTEN_FDS in containerd"),
    server(
        &["podman", "docker"],
        Takes::Depends,
        Ready::Says,
        "podman-system-service(1) takes it, podman-run(1) hands it on",
    ),
    server(
        &["virt*d", "libvirtd"],
        Takes::All,
        Ready::Says,
        "libvirt's daemon documentation, systemd socket activation",
    ),
    // Databases and caches
    server(
        &["redis-server", "valkey-server", "keydb-server"],
        Takes::Never,
        Ready::Says,
        "redis.conf, supervised; strings: no LISTEN_FDS",
    ),
    server(&["memcached"], Takes::Never, Ready::Never, "strings"),
    server(&["postgres", "pg_ctl", "pg_ctlcluster"], Takes::Never, Ready::Unknown, "strings"),
    server(&["mariadbd", "mysqld"], Takes::Depends, Ready::Says, "MariaDB from 10.6 on; strings"),
    server(&["pgbouncer"], Takes::All, Ready::Says, "PgBouncer documentation, Socket activation; strings"),
    // Of the distribution
    server(&["dovecot"], Takes::Depends, Ready::Says, "those of LISTEN_FDS that dovecot.conf listens at; strings"),
    server(&["thd"], Takes::All, Ready::Says, "triggerhappy; strings"),
    server(&["cupsd"], Takes::All, Ready::Says, "scheduler/main.c, service_checkin; strings"),
    server(&["cockpit-tls", "cockpit-ws"], Takes::All, Ready::Unknown, "cockpit-ws(8); strings"),
    server(&["sshd"], Takes::Depends, Ready::Says, "Debian 13's sshd takes LISTEN_FDS, others bind or take -i"),
    server(
        &["dbus-daemon", "dbus-broker-launch"],
        Takes::All,
        Ready::Says,
        "dbus-daemon(1), --systemd-activation; strings",
    ),
    server(
        &[
            "avahi-daemon",
            "rpcbind",
            "gpsd",
            "pcscd",
            "uuidd",
            "iscsid",
            "clamd",
            "unbound",
            "rsyslogd",
            "syslog-ng",
            "multipathd",
            "rspamd",
        ],
        Takes::All,
        Ready::Unknown,
        "strings",
    ),
    server(&["systemd-*"], Takes::All, Ready::Unknown, "systemd's own"),
];

impl Server {
    /// The server whose program has this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let exact = SERVERS.iter().find(|server| server.names.contains(&name));
        let is_like = |pattern: &&&str| match pattern.split_once('*') {
            Some((before, behind)) => {
                name.len() >= before.len() + behind.len() && name.starts_with(before) && name.ends_with(behind)
            }
            None => false,
        };
        exact.or_else(|| SERVERS.iter().find(|server| server.names.iter().any(|pattern| is_like(&pattern))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_source_and_every_name_one_row() {
        let mut names = BTreeSet::new();
        for server in SERVERS {
            assert!(!server.source.is_empty(), "{:?}", server.names);
            assert!(server.names.iter().all(|name| names.insert(*name)), "{:?}", server.names);
        }
    }

    #[test]
    fn a_name_is_exact_unless_it_says_otherwise() {
        let first = |name| Server::named(name).map(|server| server.names[0]);
        assert_eq!(first("php-fpm8.2"), Some("php-fpm*"));
        assert_eq!(first("systemd-socket-proxyd"), Some("systemd-socket-proxyd"));
        assert_eq!(first("virtqemud"), Some("virt*d"));
        assert_eq!((first("uvicorn2"), first("app")), (None, None));
    }
}
