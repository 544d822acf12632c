//! Commands of the scenario's own: no shell, a stated environment, a process group of their own.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::interrupt::Interrupt;
use crate::clock;
use crate::model::MonoTime;

/// So much of what a command printed is kept, from its end.
pub const OUTPUT_LIMIT_BYTES: usize = 64 * 1024;

/// The variables that a command gets from ours; everything else is left out.
const ENVIRONMENT: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// After an interrupt, a command has so long to end by itself, and so long again after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// How a command ended.
#[derive(Debug)]
pub struct Executed {
    /// Its status.
    pub status: ExitStatus,
    /// When it ended.
    pub ended_at: MonoTime,
    /// The end of what it printed on stdout and stderr, at most [`OUTPUT_LIMIT_BYTES`].
    pub output: String,
}

/// Runs `argv` in `directory` to its end. It may be half-way through a deploy, so an interrupt does not end it at
/// once: it gets time to finish, then SIGTERM, then SIGKILL, each to its whole process group.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn execute(argv: &[String], directory: &Path, interrupt: &Interrupt) -> io::Result<Executed> {
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let mut child = Command::new(resolve(program, directory))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut tail = Tail::default();
    let status = {
        let ended = wait_with_patience(&mut child, group, interrupt);
        tokio::pin!(ended);
        let reading = read_both(stdout, stderr, &mut tail);
        tokio::pin!(reading);
        tokio::select! {
            status = &mut ended => {
                // What it wrote before it ended is still in the pipes; a child of its own may hold them open for ever.
                let _ = timeout(Duration::from_millis(100), &mut reading).await;
                status
            }
            () = &mut reading => ended.await,
        }
    }?;
    Ok(Executed { status, ended_at: clock::now(), output: tail.into_text() })
}

/// A program with a slash is taken from `directory`, one without from PATH.
#[must_use]
pub fn resolve(program: &str, directory: &Path) -> PathBuf {
    if program.contains('/') { directory.join(program) } else { PathBuf::from(program) }
}

async fn wait_with_patience(child: &mut Child, group: Option<Pid>, interrupt: &Interrupt) -> io::Result<ExitStatus> {
    if let Some(status) = interrupt.unless_raised(child.wait()).await {
        return status;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if let Ok(status) = timeout(GRACE, child.wait()).await {
            return status;
        }
        if let Some(group) = group {
            // ESRCH: it ended just now.
            let _ = kill_process_group(group, signal);
        }
    }
    child.wait().await
}

async fn read_both(stdout: Option<impl AsyncRead + Unpin>, stderr: Option<impl AsyncRead + Unpin>, tail: &mut Tail) {
    let (mut stdout, mut stderr) = (stdout, stderr);
    let (mut from_stdout, mut from_stderr) = ([0; 4096], [0; 4096]);
    while stdout.is_some() || stderr.is_some() {
        tokio::select! {
            count = read(&mut stdout, &mut from_stdout), if stdout.is_some() => match count {
                0 => stdout = None,
                count => tail.push(&from_stdout[..count]),
            },
            count = read(&mut stderr, &mut from_stderr), if stderr.is_some() => match count {
                0 => stderr = None,
                count => tail.push(&from_stderr[..count]),
            },
        }
    }
}

async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match from {
        Some(reader) => reader.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(OUTPUT_LIMIT_BYTES);
        self.0.drain(..excess);
    }

    fn into_text(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.0)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, interrupt: &Interrupt) -> Executed {
        let argv = ["sh", "-c", script].map(str::to_owned);
        execute(&argv, Path::new("/"), interrupt).await.unwrap()
    }

    #[tokio::test]
    async fn a_command_leaves_its_status_and_both_of_its_outputs() {
        let (_source, interrupt) = Interrupt::pair();
        let executed = sh("echo out; echo err >&2; exit 7", &interrupt).await;
        assert_eq!(executed.status.code(), Some(7));
        assert!(executed.output.contains("out\n") && executed.output.contains("err\n"), "{}", executed.output);
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_output_is_kept() {
        let (_source, interrupt) = Interrupt::pair();
        let executed = sh("head -c 100000 /dev/zero | tr '\\0' a; echo the end", &interrupt).await;
        assert_eq!(executed.output.len(), OUTPUT_LIMIT_BYTES);
        assert!(executed.output.ends_with("the end\n"));
    }

    #[tokio::test]
    async fn a_command_gets_only_the_stated_environment() {
        let (_source, interrupt) = Interrupt::pair();
        let executed = sh("env", &interrupt).await;
        let names = executed.output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        // A shell sets these itself.
        let of_the_shell = ["PWD", "SHLVL", "_", "OLDPWD"];
        let strangers: Vec<&str> =
            names.filter(|name| !ENVIRONMENT.contains(name) && !of_the_shell.contains(name)).collect();
        assert_eq!(strangers, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn an_interrupt_lets_a_command_finish() {
        let (source, interrupt) = Interrupt::pair();
        source.raise();
        assert_eq!(sh("exit 5", &interrupt).await.status.code(), Some(5));
    }
}
