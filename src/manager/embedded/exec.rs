//! The helper: a process that prepares itself as a service wants it and then becomes the service.
//!
//! The manager cannot set LISTEN_PID for a process it has not forked yet, so each process of a service starts
//! as a small re-exec of our own binary, which sets what only the process itself can and calls exec(2).
//!
//! It is handed: the reporting pipe as stdin, the passed socket (if the service wants one as a stream) as
//! stdout, the pipe that stands for the journal as stderr, and the passed sockets from descriptor 3. The
//! reporting pipe is closed by a successful exec(2); else it carries one sentence.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::Mode;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal, setsid, umask};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize};

use super::guardian;

/// The first argument that makes our binary call [`main`].
pub const SUBCOMMAND: &str = "__exec-service";

/// Where plain program names are looked up, as systemd does: never in the caller's PATH.
pub(super) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the helper is to become.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecSpec {
    /// The manager: when it is gone, the service must not start.
    pub parent_pid: u32,
    /// An absolute path, or a plain name.
    pub program: String,
    /// The arguments, the program's own name first.
    pub argv: Vec<String>,
    /// Sockets passed from descriptor 3.
    pub listen_fds: u32,
    /// Standard input.
    pub stdin: Stream,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// Where it runs, and whether that may be missing.
    pub working_directory: Option<(PathBuf, bool)>,
    /// UMask=.
    pub umask: u32,
}

/// What a standard stream is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stream {
    /// `/dev/null`.
    Null,
    /// The passed socket.
    Socket,
    /// The pipe that stands for the journal.
    Captured,
    /// A file to read.
    Read(PathBuf),
    /// A file to write from its start.
    Write(PathBuf),
    /// A file to append to.
    Append(PathBuf),
    /// A file to empty and write.
    Truncate(PathBuf),
}

/// Why the helper could not become the service: the exit code of systemd.exec(5) "PROCESS EXIT CODES", what
/// was being done, and the error.
struct Failure {
    exit_code: u8,
    action: String,
    error: io::Error,
}

/// Runs the helper. `args` are those behind [`SUBCOMMAND`]. Does not return when all goes well.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Option<Vec<String>> = args.into_iter().map(|arg| arg.into_string().ok()).collect();
    match args.as_deref() {
        Some([role, run, directory]) if role == guardian::ROLE => guardian::main(run, Path::new(directory)),
        Some([spec]) => match serde_json::from_str(spec) {
            Ok(spec) => become_service(&spec),
            Err(_) => ExitCode::from(2),
        },
        _ => ExitCode::from(2),
    }
}

fn become_service(spec: &ExecSpec) -> ExitCode {
    let Ok(report) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Err(failure) = prepare(spec).and_then(|()| execute(spec));
    // Nobody reads the report of a helper whose manager is gone.
    let _ = File::from(report).write_all(format!("cannot {}: {}", failure.action, failure.error).as_bytes());
    ExitCode::from(failure.exit_code)
}

fn failed(exit_code: u8, action: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let action = action.into();
    move |error| Failure { exit_code, action, error }
}

fn prepare(spec: &ExecSpec) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)
        .map_err(failed(1, "follow its parent"))?;
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(spec.parent_pid) {
        return Err(failed(1, "start without its parent")(io::ErrorKind::NotFound.into()));
    }
    // EPERM says that it leads a session already, which is what is wanted.
    let _ = setsid();
    umask(Mode::from_raw_mode(spec.umask));
    connect_streams(spec)?;
    if let Some((path, may_be_missing)) = &spec.working_directory {
        let changed = std::env::set_current_dir(path);
        if !may_be_missing {
            changed.map_err(failed(200, format!("change to the directory {}", path.display())))?;
        }
    }
    Ok(())
}

fn connect_streams(spec: &ExecSpec) -> Result<(), Failure> {
    let clone = |fd: io::Result<OwnedFd>| fd.map_err(failed(1, "duplicate a descriptor"));
    let socket = clone(io::stdout().as_fd().try_clone_to_owned())?;
    let captured = clone(io::stderr().as_fd().try_clone_to_owned())?;
    let open = |stream: &Stream| match stream {
        Stream::Socket => socket.try_clone(),
        Stream::Captured => captured.try_clone(),
        other => open_file(other).map(OwnedFd::from),
    };
    let at = |exit_code, stream| failed(exit_code, format!("connect a standard stream to {stream:?}"));
    open(&spec.stdin).and_then(|fd| Ok(dup2_stdin(fd)?)).map_err(at(208, &spec.stdin))?;
    open(&spec.stdout).and_then(|fd| Ok(dup2_stdout(fd)?)).map_err(at(209, &spec.stdout))?;
    open(&spec.stderr).and_then(|fd| Ok(dup2_stderr(fd)?)).map_err(at(222, &spec.stderr))
}

fn open_file(stream: &Stream) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match stream {
        Stream::Read(path) => options.read(true).open(path),
        Stream::Write(path) => options.write(true).create(true).truncate(false).open(path),
        Stream::Append(path) => options.append(true).create(true).open(path),
        Stream::Truncate(path) => options.write(true).create(true).truncate(true).open(path),
        Stream::Null | Stream::Socket | Stream::Captured => options.read(true).write(true).open("/dev/null"),
    }
}

fn execute(spec: &ExecSpec) -> Result<std::convert::Infallible, Failure> {
    let fail = |error| failed(203, format!("execute {}", spec.program))(error);
    let program = find_program(&spec.program).ok_or_else(|| fail(io::ErrorKind::NotFound.into()))?;
    let mut command = Command::new(program);
    if let Some((name, arguments)) = spec.argv.split_first() {
        command.arg0(name).args(arguments);
    }
    let pid = getpid().as_raw_nonzero().to_string();
    if spec.listen_fds > 0 {
        command.env("LISTEN_PID", &pid);
    }
    command.env("SYSTEMD_EXEC_PID", &pid);
    Err(fail(command.exec()))
}

fn find_program(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    SEARCH_PATH.split(':').map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}
