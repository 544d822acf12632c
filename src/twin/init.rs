//! The first process of a twin: it builds the file system, then becomes systemd.
//!
//! It says its PID on its standard output when all parent-death signals are armed, and goes on when it hears what to build:
//! had the keeper died before they were, it would read the end of its input instead.

use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use super::spec::Spec;
use super::{SUBCOMMAND, console, kernel, machine, network, root, units};

/// This process as `unshare` starts it.
pub(super) const ROLE: &str = "init";

/// The same, once it is in its cgroup: only a new program can be started with that as its root of all cgroups.
pub(super) const IN_CGROUP: &str = "init-in-cgroup";

/// What the first process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// What to build.
    pub(super) spec: Spec,
    /// The file behind the scratch; none for memory.
    pub(super) image: Option<PathBuf>,
    /// The machine's network settings.
    pub(super) network: Vec<(PathBuf, String)>,
}

/// Says something to the keeper. What it does not hear, nobody does.
fn tell(word: &str, text: &str) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{word} {}", text.replace('\n', " ")).and_then(|()| stdout.flush());
}

pub(super) fn main() -> ExitCode {
    // The machine's /proc still: our PID as the keeper sees it.
    let pid = std::fs::read_link("/proc/self").unwrap_or_default();
    tell("init", &pid.to_string_lossy());
    let mut word = [0; 3];
    // Byte by byte: what follows is for the next program.
    if io::Read::read_exact(&mut unbuffered_input(), &mut word).is_err() {
        return ExitCode::FAILURE;
    }
    let program = std::env::current_exe().unwrap_or_default();
    let error = Command::new("unshare").args(["--cgroup", "--"]).arg(program).args([SUBCOMMAND, IN_CGROUP]).exec();
    tell("error", &format!("cannot run unshare: {error}"));
    ExitCode::FAILURE
}

fn unbuffered_input() -> impl io::Read {
    struct Input;
    impl io::Read for Input {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
        }
    }
    Input
}

pub(super) fn main_in_cgroup() -> ExitCode {
    let mut line = String::new();
    let order = io::stdin().lock().read_line(&mut line).ok().and_then(|_| serde_json::from_str::<Order>(&line).ok());
    let Some(order) = order else { return ExitCode::FAILURE };
    match become_systemd(&order) {
        Ok(never) => match never {},
        Err(reason) => {
            tell("error", &reason);
            ExitCode::FAILURE
        }
    }
}

fn become_systemd(order: &Order) -> Result<std::convert::Infallible, String> {
    let systemd = machine::systemd().ok_or("systemd is not installed")?;
    network::loopback_up().map_err(|error| format!("cannot set the twin's loopback up: {error}"))?;
    for name in network::apply(&order.network) {
        tell(
            "note",
            &format!("the machine's setting of {name} could not be copied: the twin has the kernel's default"),
        );
    }
    rustix::system::sethostname(order.spec.host.as_bytes())
        .map_err(|error| format!("cannot name the twin: {error}"))?;
    for sentence in root::build(&order.spec, order.image.as_deref())? {
        tell("note", &sentence);
    }
    units::choose(&order.spec).map_err(|error| format!("cannot choose the twin's units: {error}"))?;
    tell("built", "");
    let mut word = String::new();
    if io::stdin().lock().read_line(&mut word).is_ok_and(|length| length == 0) {
        return Err("nobody waits for the twin".to_owned());
    }
    console::put();
    let error = Command::new("setpriv")
        .args(["--bounding-set", kernel::BOUNDING_SET, "--", systemd, "--system", "--show-status=no"])
        .arg(format!("--unit={}", units::TARGET))
        .env_clear()
        .env("container", "gapless-twin")
        .env("SYSTEMD_COLORS", "no")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .exec();
    Err(format!("cannot run setpriv: {error}"))
}
