//! Why a twin does not boot: what its systemd waits for, and its last words in its journal and on its console.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::console::Console;
use super::space;

/// The most lines that are shown of its journal, and of its console.
const LINES: usize = 10;

/// The most that is shown of a line.
const CHARACTERS: usize = 160;

/// The most jobs that are named.
const JOBS: usize = 5;

/// How often its systemd is asked whether it has booted.
const LOOKS: Duration = Duration::from_secs(1);

/// A systemd that does not answer is not waited for.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// What systemd is when nothing more is started: its answer to `systemctl is-system-running`.
const OVER: [&str; 3] = ["running", "degraded", "maintenance"];

/// What is left of a twin whose systemd died: these are open, and outlive it.
#[derive(Debug)]
pub(super) struct Remains {
    root: File,
    run: File,
    console: Console,
}

impl Remains {
    /// Opens them in a twin whose file system is built.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let open = |path: &str| File::open(format!("/proc/{pid}/root/{path}"));
        Ok(Self { root: open("")?, run: open("run")?, console: Console::open(pid)? })
    }

    async fn journal(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd/{}/log/journal", std::process::id(), self.run.as_raw_fd());
        let lines = format!("--lines={LINES}");
        let mut command = Command::new("journalctl");
        command.args(["--directory", &folder, "--no-pager", "--quiet", &lines, "--output=cat"]);
        answer(command).await.lines().map(str::to_owned).collect()
    }
}

/// Why a twin does not boot.
#[derive(Debug, Default)]
pub struct Failure {
    reason: String,
    /// What of the twin is full.
    shortage: Option<String>,
    /// The jobs that its systemd has begun and not ended.
    jobs: Vec<String>,
    journal: Vec<String>,
    console: Vec<String>,
}

impl Failure {
    /// Looks for it; `twin` makes the beginning of a command in the twin.
    pub(super) async fn look(reason: String, twin: &impl Fn() -> Command, remains: &Remains) -> Self {
        let root = format!("/proc/self/fd/{}", remains.root.as_raw_fd());
        Self {
            reason,
            shortage: space::shortage_in(root.as_ref()),
            jobs: jobs(twin).await,
            journal: remains.journal().await,
            console: remains.console.last_lines(LINES),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(shortage) = &self.shortage {
            write!(f, "; {shortage}")?;
        }
        if !self.jobs.is_empty() {
            write!(f, "; not done: {}", self.jobs.join(", "))?;
        }
        for (name, lines) in [("journal", &self.journal), ("console", &self.console)] {
            if !lines.is_empty() {
                write!(f, "\nthe end of its {name}:")?;
            }
            lines.iter().try_for_each(|line| write!(f, "\n  {line:.CHARACTERS$}"))?;
        }
        f.write_str(
            "\nA twin boots this machine's own basic.target, journal and bus: mend what is named above (systemctl cat UNIT shows \
             it), or give a slow machine more time with --boot-timeout.",
        )
    }
}

/// Resolves when its systemd has nothing more to start and has not told that the bus is up: what it is then.
pub(super) async fn booted_without_bus(twin: &impl Fn() -> Command, ready: &pipe::Receiver) -> String {
    loop {
        sleep(LOOKS).await;
        let mut command = twin();
        command.args(["systemctl", "is-system-running"]);
        let state = answer(command).await.trim().to_owned();
        // What tells that the bus is up has done so by then, or will not.
        if OVER.contains(&state.as_str()) && !is_readable(ready) {
            return state;
        }
    }
}

fn is_readable(ready: &pipe::Receiver) -> bool {
    poll(&mut [PollFd::new(ready, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
        .is_ok_and(|ready| ready > 0)
}

/// The jobs that are under way, not those that wait for them.
async fn jobs(twin: &impl Fn() -> Command) -> Vec<String> {
    let mut command = twin();
    command.args(["systemctl", "list-jobs", "--no-legend", "--plain", "--no-pager"]);
    let text = answer(command).await;
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let running = fields.filter_map(|fields| match fields[..] {
        [_, unit, kind, "running"] => Some(format!("{unit} ({kind})")),
        _ => None,
    });
    running.take(JOBS).collect()
}

/// What a command prints; nothing if it cannot be run or does not end.
async fn answer(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    match timeout(LONGEST_ANSWER, output).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    }
}
