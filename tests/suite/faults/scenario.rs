//! A scenario in a folder of its own: the demo server behind a Unix socket in that folder, or at a TCP address.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::GAPLESS;

/// One scenario. Its units are called after it.
pub(crate) struct Scenario {
    folder: TempDir,
    name: String,
    target: String,
    run: String,
    steps: String,
    /// Its units are there before and after it.
    is_found: bool,
}

impl Scenario {
    /// The service is socket-activated on a Unix socket.
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let path = folder.path().join("app.sock");
        let scenario = Self {
            folder,
            name: name.to_owned(),
            target: format!("url = \"http://app/\"\nunix = \"{}\"\n", path.display()),
            run: "warmup = \"200ms\"\ncooldown = \"200ms\"\nready_timeout = \"10s\"\n".to_owned(),
            steps: String::new(),
            is_found: false,
        };
        let socket = format!("[Socket]\nListenStream={}\nRemoveOnStop=yes\n", path.display());
        fs::write(scenario.file("socket"), socket).expect("written");
        let service = format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n"
        );
        fs::write(scenario.file("service"), service).expect("written");
        scenario
    }

    /// Its service is another one: the text of the file.
    pub(crate) fn with_service(self, text: &str) -> Self {
        fs::write(self.file("service"), text).expect("written");
        self
    }

    /// The target is elsewhere, and no unit is needed.
    pub(crate) fn without_units(name: &str, url: &str) -> Self {
        let mut scenario = Self::new(name);
        scenario.target = format!("url = \"{url}\"\n");
        for kind in ["socket", "service"] {
            fs::remove_file(scenario.file(kind)).expect("written before");
        }
        scenario
    }

    /// Its units are systemd's, there and running before the run, which brings none.
    pub(crate) fn found(mut self) -> Self {
        self.is_found = true;
        for kind in ["socket", "service"] {
            fs::copy(self.file(kind), self.installed(kind)).expect("we are root");
        }
        systemctl(&["daemon-reload"]);
        systemctl(&["start", &self.unit("socket")]);
        systemctl(&["start", &self.unit("service")]);
        self
    }

    /// Other lines for its service, which starts what `command` says; before [`Self::found`].
    pub(crate) fn served_by(self, lines: &str) -> Self {
        fs::write(self.file("service"), lines).expect("written");
        self
    }

    /// A line of `[run]`.
    pub(crate) fn with_run(mut self, line: &str) -> Self {
        writeln!(self.run, "{line}").expect("memory");
        self
    }

    /// A line of `[target]`.
    pub(crate) fn with_target(mut self, line: &str) -> Self {
        writeln!(self.target, "{line}").expect("memory");
        self
    }

    /// A step: its lines.
    pub(crate) fn then(mut self, lines: &str) -> Self {
        write!(self.steps, "[[steps]]\n{lines}\n\n").expect("memory");
        self
    }

    /// Restarts the service, once a second.
    pub(crate) fn restarted(self, times: u32) -> Self {
        self.then(&format!("restart = \"service\"\ntimes = {times}\nevery = \"1s\""))
    }

    /// Its name, which is the one of its record.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What its last run said on stderr.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder().join("stderr")).unwrap_or_default()
    }

    /// The socket's path.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.folder().join("app.sock")
    }

    /// The name of its `service` or `socket`.
    pub(crate) fn unit(&self, kind: &str) -> String {
        format!("{}.{kind}", self.name)
    }

    /// Where systemd has its `service` or `socket` while it is installed.
    pub(crate) fn installed(&self, kind: &str) -> PathBuf {
        Path::new("/run/systemd/system").join(self.unit(kind))
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.folder().join(self.unit(kind))
    }

    /// Writes the file: its path.
    pub(crate) fn write(&self) -> PathBuf {
        let units = if self.file("service").exists() {
            let (service, socket) = (self.unit("service"), self.unit("socket"));
            let files = if self.is_found { String::new() } else { format!("files = [\"{socket}\", \"{service}\"]\n") };
            format!("[units]\nservice = \"{service}\"\nsocket = \"{socket}\"\n{files}")
        } else {
            String::new()
        };
        let text = format!(
            "name = \"{}\"\n\n[target]\n{}\n{units}\n[run]\n{}\n{}",
            self.name, self.target, self.run, self.steps
        );
        let path = self.folder().join("scenario.toml");
        fs::write(&path, text).expect("written");
        path
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if self.is_found {
            for unit in [self.unit("socket"), self.unit("service")] {
                let _ = Command::new("systemctl").args(["stop", &unit]).stderr(Stdio::null()).status();
            }
            for kind in ["socket", "service"] {
                let _ = fs::remove_file(self.installed(kind));
            }
            let _ = Command::new("systemctl").arg("daemon-reload").status();
        }
    }
}

/// A property of a unit, as systemctl tells it.
#[track_caller]
pub(crate) fn show(unit: &str, property: &str) -> String {
    let output = Command::new("systemctl").args(["show", "--value", "--property", property, unit]).output();
    String::from_utf8(output.expect("it is there").stdout).expect("UTF-8").trim().to_owned()
}

/// The files that runs have left for the next one.
pub(crate) fn ledgers() -> Vec<String> {
    let entries = fs::read_dir("/run/gapless").into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// Runs systemctl, which must succeed.
#[track_caller]
pub(crate) fn systemctl(arguments: &[&str]) {
    run("systemctl", arguments);
}

/// Runs a command, which must succeed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("it is there");
    assert!(status.success(), "{program} {arguments:?}");
}
