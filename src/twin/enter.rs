//! Starts a command in a twin: `__twin enter PID DIRECTORY COMMAND...`, which becomes that command's `nsenter`.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::{kernel, machine};

/// This process.
pub(super) const ROLE: &str = "enter";

/// Its status where the command could not be started, as env(1) has it.
pub(super) const NOT_STARTED: u8 = 125;

/// The cgroup of commands, in the twin's own.
const CGROUP: &str = "gapless-rehearsal";

/// What speaks of the machine's own service manager and files, which are not there.
const FOREIGN: [&str; 11] = [
    "GITHUB_STEP_SUMMARY",
    "GITHUB_OUTPUT",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
];

pub(super) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(pid), Some(directory)) = (args.next(), args.next()) else { return ExitCode::from(NOT_STARTED) };
    let root = Path::new("/proc").join(&pid).join("root");
    if let Err(error) = join_cgroup(&root.join("sys/fs/cgroup").join(CGROUP)) {
        return fail(&format!("cannot enter the twin's cgroup: {error}"));
    }
    let mut command = Command::new("setpriv");
    FOREIGN.iter().for_each(|name| {
        command.env_remove(name);
    });
    let error = command
        .args(["--bounding-set", kernel::BOUNDING_SET, "--"])
        .args(namespaces(&pid.to_string_lossy()))
        .arg(format!("--wd={}", root.join(relative(Path::new(&directory))).display()))
        .arg("--")
        .args(args)
        .env("PATH", machine::path())
        .exec();
    fail(&format!("cannot run setpriv: {error}"))
}

/// `nsenter`, for all of a twin's namespaces.
pub(super) fn namespaces(pid: &str) -> Vec<String> {
    let words = ["nsenter", "--target", pid, "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup"];
    words.map(str::to_owned).to_vec()
}

/// Moves this process there. It has to be done from outside: a cgroup namespace lets nobody in.
fn join_cgroup(cgroup: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(cgroup) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?.write_all(b"0")
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[expect(clippy::print_stderr, reason = "this process has no other way to say it")]
fn fail(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::from(NOT_STARTED)
}
