//! The process that ends a twin and clears up after it, whatever becomes of `gapless rehearse`. It runs in a mount namespace
//! and a process group of its own.
//!
//! It reads the spec from its standard input as one line, then when to boot, and ends the twin when that input ends, unless it
//! is told to keep it. It says on its standard output, a line each: `init PID`, `note TEXT`, `built`, `error TEXT`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::cgroup::{self, Cgroup};
use super::init::{self, Order};
use super::scratch::Image;
use super::spec::Spec;
use super::{SUBCOMMAND, machine, network};
use crate::host::reach;

/// This process.
pub(super) const ROLE: &str = "keeper";

/// What it is told to sweep up what others left, and nothing else.
pub(super) const SWEEP: &str = "sweep";

/// What it is told to let systemd boot, once whoever tells it sees the twin's file system.
pub(super) const BOOT: &str = "boot";

/// What it is told to let the twin outlive `gapless rehearse`.
pub(super) const KEEP: &str = "keep";

fn tell(line: &str) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{}", line.trim_end()).and_then(|()| stdout.flush());
}

pub(super) fn main() -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    if input.read_line(&mut line).is_err() {
        return ExitCode::FAILURE;
    }
    if line.trim() == SWEEP {
        return if cgroup::sweep().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Ok(spec) = serde_json::from_str::<Spec>(&line) else { return ExitCode::FAILURE };
    match keep(spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tell(&format!("error {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// Makes the twin, waits for its end, and clears up.
fn keep(spec: Spec) -> Result<(), String> {
    let cgroup = Cgroup::create()
        .map_err(|error| format!("cannot make a cgroup for the twin: {error}; cgroup2 must be there and writable"))?;
    let ended = with_scratch(spec, &cgroup);
    // The kernel's trace is one for all: what a run in the twin had of it is left if it was killed.
    let _ = mount("tracefs", reach::tracing(), "tracefs", MountFlags::empty(), None);
    reach::sweep();
    let removed = cgroup.remove().map_err(|error| format!("cannot remove the twin's cgroup: {error}"));
    ended.and(removed)
}

fn with_scratch(spec: Spec, cgroup: &Cgroup) -> Result<(), String> {
    // Removes its file when this ends.
    let image = Image::create(&spec.scratch)?;
    let order =
        Order { spec, image: image.as_ref().map(|image| image.path().to_owned()), network: network::settings() };
    let mut first = start(&order.spec).map_err(|error| format!("cannot run unshare: {error}"))?;
    let told = build(&mut first, &order, cgroup);
    if told.is_ok() && wait_for_the_end(&first) {
        let how = first.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        tell(&format!("its systemd ended: {how}"));
    }
    // The first process takes every other with it when unshare, its parent, ends.
    let _ = first.kill();
    let _ = first.wait();
    told
}

fn start(spec: &Spec) -> io::Result<Child> {
    // The environment of whoever rehearses may make signals be ignored, and systemd would hand that on to every service.
    Command::new("env")
        .args(["--default-signal", "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--ipc"])
        .args(["--uts", "--net", "--kill-child=KILL", "--"])
        .arg(&spec.program)
        .args([SUBCOMMAND, init::ROLE])
        .env("PATH", machine::path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Moves the first process into its cgroup and has it build the twin.
fn build(first: &mut Child, order: &Order, cgroup: &Cgroup) -> Result<(), String> {
    let mut lines = first.stdout.take().map(|stdout| BufReader::new(stdout).lines()).ok_or("unshare has no output")?;
    let pid = match next(&mut lines) {
        Some(line) => line.strip_prefix("init ").and_then(|pid| pid.parse::<i32>().ok()),
        None => None,
    };
    let Some(pid) = pid else { return Err(format!("cannot make namespaces: {}", complaint(first))) };
    cgroup.take(pid).map_err(|error| format!("cannot move the twin into its cgroup: {error}"))?;
    let order = serde_json::to_string(order).map_err(|error| error.to_string())?;
    let mut input = first.stdin.take().ok_or("unshare has no input")?;
    writeln!(input, "go\n{order}").map_err(|error| format!("the twin's first process is gone: {error}"))?;
    tell(&format!("init {pid}"));
    while let Some(line) = next(&mut lines) {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("error", reason) => return Err(reason.to_owned()),
            ("built", _) => {
                tell("built");
                if !hears(BOOT) {
                    return Err("nobody waits for the twin".to_owned());
                }
                return writeln!(input, "{BOOT}").map_err(|error| format!("the twin's first process is gone: {error}"));
            }
            _ => tell(&line),
        }
    }
    Err("the twin's first process died before its file system was built".to_owned())
}

/// What unshare says is wrong. It has ended.
fn complaint(first: &mut Child) -> String {
    let mut said = String::new();
    if let Some(mut stderr) = first.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let said = said.trim();
    if said.is_empty() { "unshare gives no reason".to_owned() } else { said.to_owned() }
}

fn next(lines: &mut io::Lines<BufReader<ChildStdout>>) -> Option<String> {
    lines.next().and_then(Result::ok)
}

/// Waits until the twin ends by itself, or whoever wanted it is gone and has not said to keep it. Whether it ended by itself.
fn wait_for_the_end(first: &Child) -> bool {
    let pid = i32::try_from(first.id()).ok().and_then(Pid::from_raw);
    let Some(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return false };
    let mut is_kept = false;
    loop {
        let stdin = rustix::stdio::stdin();
        let mut sources = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if !is_kept {
            sources.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        match poll(&mut sources, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) if !sources[0].revents().is_empty() => return true,
            Ok(_) => {}
        }
        if !hears(KEEP) {
            return false;
        }
        is_kept = true;
    }
}

/// Waits for a word on the standard input: whether it is this one, and not the end.
fn hears(expected: &str) -> bool {
    let mut word = [0; 64];
    rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut word))
        .is_ok_and(|length| word[..length].starts_with(expected.as_bytes()))
}
