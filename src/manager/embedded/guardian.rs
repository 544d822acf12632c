//! The guardian: a process that outlives the manager by the moment it takes to end what the manager started.
//!
//! It reads a pipe from the manager. The pipe ends when the manager does, however that happens; then the
//! guardian kills every process that belongs to the run, and removes the run's private directory and the files of
//! its sockets.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::exec::SUBCOMMAND;
use super::processes::Family;

/// The argument that makes the helper a guardian.
pub(super) const ROLE: &str = "guard";

/// How long the guardian goes on killing. What is left then is stuck in the kernel.
const PATIENCE: Duration = Duration::from_secs(10);

/// The manager's end, shared by what starts processes and what ends the run.
#[derive(Clone, Debug)]
pub(super) struct Guardian(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    child: Child,
    /// None once the run is over.
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts the guardian of the run called `run`, whose private directory is `directory`.
    pub(super) fn start(helper: &Path, run: &str, directory: &Path) -> io::Result<Self> {
        let mut child = Command::new(helper)
            .args([SUBCOMMAND, ROLE, run])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C on the terminal is for the manager.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        Ok(Self(Arc::new(Mutex::new(Line { child, pipe }))))
    }

    /// Tells it of a session that a process of the run leads. Needed for processes that overwrite their
    /// environment, where the mark of the run is.
    pub(super) fn add_session(&self, session: u32) {
        self.tell(&format!("+{session}\n"));
    }

    /// Tells it that nothing is left of a session, so that its number may come to mean another.
    pub(super) fn forget_session(&self, session: u32) {
        self.tell(&format!("-{session}\n"));
    }

    /// Tells it of a path that a socket is about to be bound to.
    pub(super) fn add_socket(&self, path: &Path) {
        // A path that is not one line of text cannot be told, and stays behind should the manager be killed.
        if let Some(path) = path.to_str().filter(|path| !path.contains('\n')) {
            self.tell(&format!("={path}\n"));
        }
    }

    /// Whether the run is over: nothing may be started any more.
    pub(super) fn is_over(&self) -> bool {
        self.lock().pipe.is_none()
    }

    /// Ends every process of the run, and waits until that is done.
    pub(super) fn end(&self) {
        let mut line = self.lock();
        drop(line.pipe.take());
        // It ends by itself, after `PATIENCE` at the latest; if it was killed, there is nothing to wait for.
        let _ = line.child.wait();
    }

    fn tell(&self, message: &str) {
        if let Some(pipe) = &mut self.lock().pipe {
            // A guardian that was killed cannot be told anything; the parent-death signals remain.
            let _ = pipe.write_all(message.as_bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The guardian's process.
pub(super) fn main(run: &str, directory: &Path) -> ExitCode {
    // So that `killall gapless` leaves it alone to do its work.
    let _ = std::fs::write("/proc/self/comm", "unit-guardian");
    let mut family = Family::of_run(run);
    let mut sockets = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (sign, what) = line.split_at_checked(1).unwrap_or(("", ""));
        match (sign, what.parse()) {
            ("=", _) => drop(sockets.insert(PathBuf::from(what))),
            ("+", Ok(session)) => family.add_session(session),
            ("-", Ok(session)) => family.forget_session(session),
            _ => {}
        }
    }
    end_family(&mut family);
    sockets.iter().filter(|path| is_stale(path)).for_each(|path| {
        let _ = std::fs::remove_file(path);
    });
    // It may be gone already: the manager removes it when it can.
    let _ = std::fs::remove_dir_all(directory);
    ExitCode::SUCCESS
}

/// Kills until nobody is left.
fn end_family(family: &mut Family) {
    let until = Instant::now() + PATIENCE;
    loop {
        let members = family.members();
        if members.is_empty() || Instant::now() > until {
            break;
        }
        for member in members {
            member.kill(crate::model::Signal::KILL);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether there is a socket at the path that no process is listening on: not one that somebody else has bound since.
fn is_stale(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
