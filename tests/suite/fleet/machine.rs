//! A machine of the fleet as a test sees it: by an ssh of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::GAPLESS;

/// Conditions are awaited for this long.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One of the machines, with the units that this test brought.
pub(super) struct Machine {
    pub(super) name: &'static str,
    units: Vec<String>,
    pub(super) folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, units: Vec::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// What `gapless` is given.
    pub(super) fn destination(&self) -> String {
        format!("root@{}", self.name)
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        let nth: u32 = self.name.trim_start_matches('h').parse().expect("hN");
        format!("10.99.0.{}", 10 + nth)
    }

    /// What a command prints there.
    pub(super) fn ssh(&self, line: &str) -> String {
        let output = Command::new("ssh").args([&self.destination(), line]).stdin(Stdio::null()).output().expect("ssh");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Where what a unit of that name counts ends up, as seen from both sides.
    pub(super) fn counts(&self, service: &str) -> PathBuf {
        Path::new(&std::env::var("GAPLESS_FLEET_DIR").expect("runs in tests/fleet")).join(self.name).join(service)
    }

    /// Installs a unit there.
    pub(super) fn unit(&mut self, name: &str, text: &str) {
        let status = Command::new("ssh")
            .args([&self.destination(), &format!("cat >/run/systemd/system/{name} <<'UNIT'\n{text}\nUNIT")])
            .stdin(Stdio::null())
            .status()
            .expect("ssh");
        assert!(status.success());
        self.units.push(name.to_owned());
    }

    /// A service that holds its own port, started.
    pub(super) fn own_port(&mut self, service: &str, port: u16, options: &str) {
        let text = format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\n\
             ExecStart={GAPLESS} demo-server --listen 0.0.0.0:{port} {options}"
        );
        self.unit(service, &text);
        self.ssh(&format!("systemctl daemon-reload; systemctl start {service}"));
        assert_eq!(self.state(service), "active");
    }

    /// A service behind a socket unit of its name, started.
    pub(super) fn behind_socket(&mut self, name: &str, port: u16, options: &str) {
        self.unit(&format!("{name}.socket"), &format!("[Socket]\nListenStream={port}\nBacklog=200"));
        let text = format!(
            "[Unit]\nStartLimitIntervalSec=0\nRequires={name}.socket\n[Service]\nType=notify\n\
             ExecStart={GAPLESS} demo-server --idle-grace 300ms {options}"
        );
        self.unit(&format!("{name}.service"), &text);
        self.ssh(&format!("systemctl daemon-reload; systemctl start {name}.socket {name}.service"));
        assert_eq!(self.state(&format!("{name}.service")), "active");
    }

    /// ActiveState, as systemctl there says.
    pub(super) fn state(&self, unit: &str) -> String {
        self.ssh(&format!("systemctl is-active {unit}"))
    }

    pub(super) fn incarnation(&self, unit: &str) -> String {
        self.ssh(&format!("systemctl show --value --property InvocationID {unit}"))
    }

    /// The ledgers that are left there.
    pub(super) fn ledgers(&self) -> String {
        self.ssh("ls /run/gapless 2>/dev/null")
    }

    /// `gapless` in a folder of its own.
    pub(super) fn gapless(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(GAPLESS);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// `gapless try --host`, without a question.
    pub(super) fn try_unit(&self, unit: &str, more: &[&str]) -> Command {
        let destination = self.destination();
        let mut arguments = vec!["try", "--host", &destination, unit, "--yes", "--out", "out", "--format", "json"];
        arguments.extend(more);
        let _ = std::fs::remove_dir_all(self.folder.path().join("out"));
        self.gapless(&arguments)
    }

    /// The same, started; what it says of itself is kept. Its result is in its folder: nobody reads a pipe meanwhile.
    pub(super) fn start_try(&self, unit: &str, more: &[&str]) -> Child {
        let mut command = self.try_unit(unit, more);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it is built")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let units = self.units.join(" ");
        let files: Vec<String> = self.units.iter().map(|unit| format!("/run/systemd/system/{unit}")).collect();
        self.ssh(&format!(
            "systemctl stop {units}; rm -f {}; systemctl daemon-reload; systemctl reset-failed",
            files.join(" ")
        ));
    }
}

/// What was printed on both.
pub(super) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The result on stdout.
pub(super) fn result(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", shown(output)))
}

/// Waits until it holds.
pub(super) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for a process to end, and fails where it goes on for ever.
pub(super) fn ended(mut child: Child, limit: Duration) -> Output {
    let begun = Instant::now();
    while child.try_wait().expect("ours").is_none() {
        if begun.elapsed() > limit {
            let _ = child.kill();
            panic!("it does not end within {limit:?}: {}", shown(&child.wait_with_output().expect("ended")));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    child.wait_with_output().expect("ended")
}

/// The processes below one, with their command lines.
pub(super) fn children(pid: u32) -> Vec<(u32, String)> {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let children = read(format!("/proc/{pid}/task/{pid}/children"));
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.map(|pid: u32| (pid, read(format!("/proc/{pid}/cmdline")).replace('\0', " "))).collect()
}
