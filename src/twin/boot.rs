//! Makes a twin, runs commands in it, and ends it.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::failure::{self, Failure, Remains};
use super::spec::Spec;
use super::{SUBCOMMAND, enter, keeper, machine, units};
use crate::run::Interrupt;

/// The keeper waits for the last process and the cgroup for at most 10 s.
const LONGEST_END: Duration = Duration::from_secs(30);

/// Why there is no twin.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// The keeper could not be started, or is gone.
    #[error("cannot make a twin: {0}")]
    Process(#[from] io::Error),
    /// What the keeper says.
    #[error("cannot make a twin: {0}")]
    Built(String),
    /// Its systemd does not come up.
    #[error("the twin does not boot: {0}")]
    Booted(Failure),
    /// The user interrupted it.
    #[error("interrupted while the twin booted")]
    Interrupted,
}

/// A throw-away copy of this machine that has booted.
#[derive(Debug)]
pub struct Twin {
    keeper: Child,
    /// When this closes, the keeper ends the twin.
    input: Option<ChildStdin>,
    pid: i32,
    program: std::path::PathBuf,
    /// What of the machine is not in it, a sentence each.
    pub notes: Vec<String>,
}

impl Twin {
    /// Makes one and waits until its bus is up.
    ///
    /// # Errors
    /// When it cannot be made or does not boot. Nothing of it is left then.
    pub async fn boot(spec: &Spec, interrupt: &Interrupt) -> Result<Self, TwinError> {
        let mut keeper = start_keeper(&spec.program)?;
        let mut input = keeper.stdin.take();
        let mut said = keeper.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let booted = async {
            let (Some(input), Some(said)) = (&mut input, &mut said) else { return Err(gone().into()) };
            let mut line = serde_json::to_string(spec).map_err(io::Error::other)?;
            line.push('\n');
            input.write_all(line.as_bytes()).await?;
            let (pid, notes) = built(said).await?;
            wait_until_ready(spec, pid, input, said).await?;
            Ok((pid, notes))
        };
        let booted = interrupt.unless_raised(booted).await.unwrap_or(Err(TwinError::Interrupted));
        match booted {
            Ok((pid, notes)) => Ok(Self { keeper, input, pid, program: spec.program.clone(), notes }),
            Err(error) => {
                drop(input);
                drop(said);
                end(keeper, &spec.program).await?;
                Err(error)
            }
        }
    }

    /// Runs a command in it, in that directory, until it ends; an interrupt goes on to it, each time it is raised.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, command: &[OsString], directory: &Path, interrupt: &Interrupt) -> io::Result<ExitStatus> {
        // In a group of its own, it gets each signal once: from us. From there it could not read from a terminal.
        let input = if io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
        let mut child = self.enter(directory).args(command).stdin(input).process_group(0).spawn()?;
        let pid = child.id();
        for times in 1.. {
            tokio::select! {
                status = child.wait() => return status,
                () = interrupt.raised_times(times) => pid.into_iter().for_each(interrupt_children),
            }
        }
        child.wait().await
    }

    fn enter(&self, directory: &Path) -> Command {
        entering(&self.program, self.pid, directory)
    }

    /// The command that a user enters it with.
    #[must_use]
    pub fn how_to_enter(&self) -> String {
        enter::namespaces(&self.pid.to_string()).join(" ")
    }

    /// The PID of its first process, as seen from here: with it, everything of the twin ends.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends it, and waits until nothing of it is left.
    ///
    /// # Errors
    /// When something may be left.
    pub async fn end(mut self) -> io::Result<()> {
        drop(self.input.take());
        end(self.keeper, &self.program).await
    }

    /// Lets it outlive us.
    ///
    /// # Errors
    /// When the keeper does not hear of it.
    pub async fn keep(mut self) -> io::Result<()> {
        let Some(mut input) = self.input.take() else { return Err(gone()) };
        input.write_all(format!("{}\n", keeper::KEEP).as_bytes()).await?;
        input.flush().await
    }
}

fn gone() -> io::Error {
    io::Error::other("its keeper is gone")
}

/// In a mount namespace of its own, and a process group of its own: Ctrl-C is ours to handle.
fn start_keeper(program: &Path) -> io::Result<Child> {
    Command::new("unshare")
        .args(["--mount", "--"])
        .arg(program)
        .args([SUBCOMMAND, keeper::ROLE])
        .env("PATH", machine::path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may outlive us, and who reads what we say waits for the end of it.
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn entering(program: &Path, pid: i32, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([SUBCOMMAND, enter::ROLE, &pid.to_string()]).arg(directory);
    command
}

/// Hears the keeper until the file system is built.
async fn built(said: &mut Lines<BufReader<ChildStdout>>) -> Result<(i32, Vec<String>), TwinError> {
    let (mut pid, mut notes) = (None, Vec::new());
    while let Some(line) = said.next_line().await? {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("init", number) => pid = number.parse().ok(),
            ("note", sentence) => notes.push(sentence.to_owned()),
            ("error", reason) => return Err(TwinError::Built(reason.to_owned())),
            ("built", _) => return Ok((pid.ok_or_else(gone)?, notes)),
            _ => {}
        }
    }
    Err(gone().into())
}

/// Waits until the twin's bus is up. Whatever is wrong with it, the wait ends: when its systemd dies, when that says that it
/// has booted and the bus is not up, and after the longest time that is allowed.
async fn wait_until_ready(
    spec: &Spec,
    pid: i32,
    input: &mut ChildStdin,
    said: &mut Lines<BufReader<ChildStdout>>,
) -> Result<(), TwinError> {
    let remains = Remains::of(pid)?;
    let path = format!("/proc/{pid}/root{}", units::READY);
    // Open for writing as well: else it would be at its end before anybody has written.
    let ready = pipe::OpenOptions::new().read_write(true).open_receiver(path)?;
    input.write_all(format!("{}\n", keeper::BOOT).as_bytes()).await?;
    let twin = || entering(&spec.program, pid, Path::new("/"));
    let reason = tokio::select! {
        answer = ready.readable() => return Ok(answer?),
        ended = said.next_line() => match ended? {
            Some(line) => line,
            None => "its systemd died".to_owned(),
        },
        state = failure::booted_without_bus(&twin, &ready) => format!("its systemd is {state}, and its system bus is not up"),
        () = sleep(spec.longest_boot) => format!("its system bus is not up after {} s", spec.longest_boot.as_secs()),
    };
    Err(TwinError::Booted(Failure::look(reason, &twin, &remains).await))
}

/// Waits for the keeper, whose input is closed. Should it have been killed, what it would have removed is swept up.
async fn end(mut keeper: Child, program: &Path) -> io::Result<()> {
    match timeout(LONGEST_END, keeper.wait()).await {
        Ok(status) if status.as_ref().is_ok_and(|status| status.code().is_some()) => Ok(()),
        Ok(_) => sweep(program).await,
        Err(_) => Err(io::Error::other("the twin does not end")),
    }
}

async fn sweep(program: &Path) -> io::Result<()> {
    let mut sweeper = start_keeper(program)?;
    if let Some(mut input) = sweeper.stdin.take() {
        input.write_all(format!("{}\n", keeper::SWEEP).as_bytes()).await?;
    }
    sweeper.wait().await.map(drop)
}

/// Interrupts the command that an `nsenter` waits for. The `nsenter` must outlive it, or its status were lost.
fn interrupt_children(nsenter: u32) {
    let children = std::fs::read_to_string(format!("/proc/{nsenter}/task/{nsenter}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)) {
        let _ = kill_process(child, Signal::INT);
    }
}
