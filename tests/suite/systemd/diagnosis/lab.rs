//! A lab: the demo server under the real systemd, and a scenario around it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::GAPLESS;
use crate::systemd::diagnosis::findings::Diagnosis;

/// Where the service of a lab listens. Nothing else uses this port, but for the stranger that `probes` puts there in
/// another network namespace: the kernel's trace knows of none.
pub(crate) const TCP: &str = "127.0.0.1:18471";

const UNIX: &str = "/run/gapless-lab/lab.sock";

/// Where the service listens that nginx stands in front of.
const UPSTREAM: &str = "127.0.0.1:18472";

const NGINX_CONF: &str = "daemon off;\nworker_processes 1;\npid /run/gapless-lab-nginx.pid;\nerror_log stderr;\n\
    events {}\nhttp {\n  access_log off;\n  client_body_temp_path /tmp/lab-body;\n  proxy_temp_path /tmp/lab-proxy;\n\
    fastcgi_temp_path /tmp/lab-fastcgi;\n  uwsgi_temp_path /tmp/lab-uwsgi;\n  scgi_temp_path /tmp/lab-scgi;\n\
    server {\n    listen FRONT;\n    location / {\n      proxy_pass http://UPSTREAM;\n\
    proxy_read_timeout 1s;\n    }\n  }\n}\n";

/// A scenario in the making. Begins as the demo server that binds a TCP port itself, with the default load.
pub(crate) struct Lab {
    address: &'static str,
    server: String,
    service_lines: String,
    unit_lines: String,
    /// None: the service binds the address itself.
    socket_lines: Option<String>,
    target: String,
    loads: String,
    run: String,
    steps: String,
    /// `[expect]` and `[expect.end]`, where there is one.
    expect: String,
    /// The directories of programs, where they are not those of this process.
    path: Option<String>,
    /// More unit files of the run: name and text.
    units: Vec<(&'static str, String)>,
    front: Front,
}

/// What answers at the address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Front {
    /// The service.
    Service,
    /// An instance of the service for each connection: Accept=yes.
    Instances,
    /// nginx, which asks the service.
    Nginx,
}

impl Lab {
    /// The service binds its own port.
    pub(crate) fn binding_its_port() -> Self {
        Self {
            address: TCP,
            server: String::new(),
            service_lines: String::new(),
            unit_lines: String::new(),
            socket_lines: None,
            target: String::new(),
            loads: String::new(),
            run: "warmup = \"300ms\"\ncooldown = \"500ms\"\nready_timeout = \"10s\"\n".to_owned(),
            steps: String::new(),
            expect: String::new(),
            path: None,
            units: Vec::new(),
            front: Front::Service,
        }
    }

    /// The service binds its own Unix socket.
    pub(crate) fn binding_its_path() -> Self {
        Self { address: UNIX, ..Self::binding_its_port() }
    }

    /// The socket unit has a service for each connection: Accept=yes.
    pub(crate) fn with_a_service_for_each_connection() -> Self {
        Self { front: Front::Instances, ..Self::behind_a_socket() }.with_socket("Accept=yes")
    }

    /// nginx stands in front of a service that binds its own port.
    pub(crate) fn behind_nginx() -> Self {
        Self { front: Front::Nginx, ..Self::binding_its_port() }
    }

    /// The service gets its port from a socket unit.
    pub(crate) fn behind_a_socket() -> Self {
        Self { socket_lines: Some(String::new()), ..Self::binding_its_port() }
    }

    /// The service gets a Unix socket from a socket unit.
    pub(crate) fn behind_a_unix_socket() -> Self {
        Self { address: UNIX, ..Self::behind_a_socket() }
    }

    /// Options of the demo server.
    pub(crate) fn serving(mut self, options: &str) -> Self {
        write!(self.server, " {options}").expect("memory");
        self
    }

    /// A line of the service's `[Service]` section.
    pub(crate) fn with_service(mut self, line: &str) -> Self {
        writeln!(self.service_lines, "{line}").expect("memory");
        self
    }

    /// A line of the service's `[Unit]` section.
    pub(crate) fn with_unit(mut self, line: &str) -> Self {
        writeln!(self.unit_lines, "{line}").expect("memory");
        self
    }

    /// A line of the socket's `[Socket]` section.
    pub(crate) fn with_socket(mut self, line: &str) -> Self {
        let lines = self.socket_lines.as_mut().expect("a lab with a socket");
        writeln!(lines, "{line}").expect("memory");
        self
    }

    /// One more unit of the run.
    pub(crate) fn with_unit_file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.units.push((name, text.into()));
        self
    }

    /// A line of `[target]`.
    pub(crate) fn with_target(mut self, line: &str) -> Self {
        writeln!(self.target, "{line}").expect("memory");
        self
    }

    /// A line of `[run]`.
    pub(crate) fn with_run(mut self, line: &str) -> Self {
        writeln!(self.run, "{line}").expect("memory");
        self
    }

    /// One cohort that keeps its connections, in place of the default load.
    pub(crate) fn under_kept_connections(self, rate: u32) -> Self {
        self.under(&format!("name = \"kept\"\nrate = {rate}\nconnections = 8\n"))
    }

    /// One cohort that connects anew for every request, in place of the default load.
    pub(crate) fn under_new_connections(self, rate: u32) -> Self {
        self.under(&format!("name = \"new\"\nrate = {rate}\nreuse = false\n"))
    }

    /// A cohort that connects, and sends its request this much later.
    pub(crate) fn under_hesitant_connections(self, rate: u32, delay: &str) -> Self {
        self.under(&format!("name = \"hesitant\"\nrate = {rate}\nreuse = false\nconnect_delay = \"{delay}\"\n"))
    }

    fn under(mut self, cohort: &str) -> Self {
        write!(self.loads, "[[load]]\n{cohort}\n").expect("memory");
        self
    }

    /// A step: its lines.
    pub(crate) fn then(mut self, lines: &str) -> Self {
        write!(self.steps, "[[steps]]\n{lines}\n\n").expect("memory");
        self
    }

    /// A line of `[expect.end]`.
    pub(crate) fn expecting_at_the_end(mut self, line: &str) -> Self {
        write!(self.expect, "[expect.end]\n{line}\n").expect("memory");
        self
    }

    /// Lines of `[expect]`.
    pub(crate) fn expecting(mut self, lines: &str) -> Self {
        write!(self.expect, "[expect]\n{lines}\n").expect("memory");
        self
    }

    /// The first request counts.
    pub(crate) fn without_warmup(mut self) -> Self {
        self.run = self.run.replace("300ms", "0s");
        self
    }

    /// gapless itself finds programs here only.
    pub(crate) fn finding_programs_in(mut self, folder: &Path) -> Self {
        self.path = Some(folder.to_str().expect("text").to_owned());
        self
    }

    /// Restarts the service once.
    pub(crate) fn restarted(self) -> Self {
        self.then("restart = \"service\"")
    }

    /// Runs it through systemd.
    pub(crate) fn diagnosis(self) -> Diagnosis {
        let place = tempfile::tempdir_in("/var/tmp").expect("a place for files");
        let scenario = self.write_to(place.path());
        let out = place.path().join("out");
        let mut gapless = Command::new(GAPLESS);
        gapless.args(["run", "--manager", "system", "--out"]).args([&out, &scenario]);
        gapless.envs(self.path.iter().map(|path| ("PATH", path)));
        let output = gapless.output().expect("gapless runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Diagnosis::read(&out, said)
    }

    fn write_to(&self, place: &Path) -> PathBuf {
        let mut units = self.units.clone();
        let mut roles = String::new();
        if self.front == Front::Instances {
            units.push(("lab@.service", self.service_text()));
        } else {
            roles.push_str("service = \"lab.service\"\n");
            units.push(("lab.service", self.service_text()));
        }
        if let Some(lines) = &self.socket_lines {
            let address = self.address;
            units.push(("lab.socket", format!("[Socket]\nListenStream={address}\nRemoveOnStop=yes\n{lines}")));
            roles.push_str("socket = \"lab.socket\"\n");
        }
        if self.front == Front::Nginx {
            let conf = place.join("nginx.conf");
            fs::write(&conf, NGINX_CONF.replace("FRONT", self.address).replace("UPSTREAM", UPSTREAM)).expect("written");
            units.push(("lab-nginx.service", format!("[Service]\nExecStart=nginx -c {}\n", conf.display())));
        }
        for (name, text) in &units {
            fs::write(place.join(name), text).expect("written");
        }
        let files: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let target = match self.address {
            UNIX => format!("url = \"http://lab/\"\nunix = \"{UNIX}\"\n"),
            tcp => format!("url = \"http://{tcp}/\"\n"),
        };
        let text = format!(
            "name = \"lab\"\n\n[target]\n{target}{}\n{}[units]\n{roles}files = {files:?}\n\n[run]\n{}\n{}{}",
            self.target, self.loads, self.run, self.steps, self.expect,
        );
        let path = place.join("lab.toml");
        fs::write(&path, text).expect("written");
        path
    }

    fn service_text(&self) -> String {
        let listen = match (self.front, self.address) {
            _ if self.socket_lines.is_some() => String::new(),
            (Front::Nginx, _) => format!(" --listen {UPSTREAM}"),
            (_, UNIX) => format!(" --listen unix:{UNIX}"),
            (_, tcp) => format!(" --listen {tcp}"),
        };
        format!(
            "[Unit]\nDescription=A server to be diagnosed\n{}\n[Service]\nType=notify\nExecStart={GAPLESS} demo-server{listen}{}\n{}",
            self.unit_lines, self.server, self.service_lines,
        )
    }
}
