//! Commands: those of a scenario, and the user's own of `gapless watch`. No shell; their output is shown and kept.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::interrupt::Interrupt;
use super::marks;
use crate::clock;
use crate::model::MonoTime;

/// Bytes kept of what a command printed, from its end.
pub const OUTPUT_LIMIT_BYTES: usize = 64 * 1024;

/// A longer word at a cut is not taken for one.
const LONGEST_WORD_BYTES: usize = 1024;

/// The variables that a command of a scenario gets from ours; everything else is left out.
const ENVIRONMENT: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// After an interrupt, a command has this long to end by itself, and this long again after SIGTERM; less where the
/// interrupt is repeated.
const GRACE: Duration = Duration::from_secs(10);

/// Once a command has ended, this long is left for what it wrote before and is still in the pipes.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a command gets of ours, and who sees what it prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surroundings {
    /// A command of a scenario: a stated environment, no input; what it prints goes to the record alone. An
    /// interrupt lets it finish, for it may be half-way through a deploy that nobody watches.
    #[default]
    Stated,
    /// The user's own command: our environment and input, and the user sees what it prints. An interrupt is passed
    /// on to it.
    Users {
        /// Show its stdout on our stderr: our stdout is for a program to read.
        stdout_to_stderr: bool,
        /// Where it may write its marks, for as long as this process lives.
        marks: Option<&'static Path>,
        /// Our input brings the marks, and is none of its own.
        input_is_marks: bool,
    },
}

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

/// Runs `argv` in `directory` to its end. After an interrupt it gets time to finish, then SIGTERM, then SIGKILL,
/// each to all of its processes.
///
/// What it leaves running may go on writing to the pipes it inherited: they are read until the run is over.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn execute(
    argv: &[String],
    directory: &Path,
    surroundings: Surroundings,
    interrupt: &Interrupt,
) -> io::Result<Executed> {
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let mut command = Command::new(resolve(program, directory));
    command.args(arguments).current_dir(directory).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let processes = surroundings.prepare(&mut command);
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let tail = Arc::<Mutex<Tail>>::default();
    let (for_stdout, for_stderr) = surroundings.shown_on();
    let readers = [
        child.stdout.take().map(|stdout| tokio::spawn(read(stdout, Arc::clone(&tail), for_stdout))),
        child.stderr.take().map(|stderr| tokio::spawn(read(stderr, Arc::clone(&tail), for_stderr))),
    ];
    let status = wait_with_patience(&mut child, interrupt, |signal| processes.signal(pid, signal)).await?;
    let ended_at = clock::now();
    // A process that it leaves behind may hold the pipes open for ever.
    let _ = timeout(LAST_WORDS, futures_util::future::join_all(readers.into_iter().flatten())).await;
    let output = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    Ok(Executed { status, ended_at, output })
}

/// A program with a slash is taken from `directory`, one without from PATH.
#[must_use]
pub fn resolve(program: &str, directory: &Path) -> PathBuf {
    if program.contains('/') { directory.join(program) } else { PathBuf::from(program) }
}

/// Where a stream of a command is shown; none if it is not.
type Shown = Option<Box<dyn AsyncWrite + Send + Unpin>>;

impl Surroundings {
    fn prepare(self, command: &mut Command) -> Processes {
        match self {
            Self::Stated => {
                command.env_clear();
                command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
                command.stdin(Stdio::null()).process_group(0);
                Processes::Patiently
            }
            Self::Users { marks, input_is_marks, .. } => {
                command.envs(marks.map(|pipe| (marks::VARIABLE, pipe)));
                if input_is_marks {
                    command.stdin(Stdio::null());
                } else if io::stdin().is_terminal() {
                    // Only processes of the terminal's foreground group may read from it, and Ctrl-C reaches that whole
                    // group.
                    return Processes::Foreground;
                }
                command.process_group(0);
                Processes::PassingOn
            }
        }
    }

    /// Where the command's stdout and stderr are shown.
    fn shown_on(self) -> (Shown, Shown) {
        let stderr = || -> Shown { Some(Box::new(tokio::io::stderr())) };
        match self {
            Self::Stated => (None, None),
            Self::Users { stdout_to_stderr: true, .. } => (stderr(), stderr()),
            Self::Users { stdout_to_stderr: false, .. } => (Some(Box::new(tokio::io::stdout())), stderr()),
        }
    }
}

/// Which processes a command's are, and how they learn of an interrupt.
#[derive(Clone, Copy, Debug)]
enum Processes {
    /// A group of their own; they may finish first.
    Patiently,
    /// A group of their own; they are told at once.
    PassingOn,
    /// Our own group, which the terminal has told.
    Foreground,
}

impl Processes {
    fn signal(self, pid: Option<Pid>, signal: Signal) {
        let Some(pid) = pid else { return };
        // ESRCH: it ended just now.
        let _ = match (self, signal) {
            (Self::Patiently | Self::Foreground, Signal::INT) => Ok(()),
            (Self::Foreground, _) => kill_process(pid, signal),
            (Self::Patiently | Self::PassingOn, _) => kill_process_group(pid, signal),
        };
    }
}

async fn wait_with_patience(child: &mut Child, interrupt: &Interrupt, send: impl Fn(Signal)) -> io::Result<ExitStatus> {
    if let Some(status) = interrupt.unless_raised(child.wait()).await {
        return status;
    }
    send(Signal::INT);
    for (signal, asked) in [(Signal::TERM, 2), (Signal::KILL, 3)] {
        tokio::select! {
            status = timeout(GRACE, child.wait()) => if let Ok(status) = status { return status },
            // Who asks again does not wait for it any longer.
            () = interrupt.raised_times(asked) => {}
        }
        send(signal);
    }
    child.wait().await
}

/// Reads a stream to its end, whoever still reads what is shown of it.
async fn read(mut from: impl AsyncRead + Unpin, tail: Arc<Mutex<Tail>>, mut shown: Shown) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        if let Some(to) = &mut shown
            && (to.write_all(bytes).await.is_err() || to.flush().await.is_err())
        {
            shown = None;
        }
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

    /// Where it was cut, it begins with a whole word: half a secret would not be known for one.
    fn text(&mut self) -> String {
        let is_cut = self.0.len() == OUTPUT_LIMIT_BYTES;
        let bytes = self.0.make_contiguous();
        let first_word = bytes.iter().take(LONGEST_WORD_BYTES).position(u8::is_ascii_whitespace);
        let start = first_word.filter(|_| is_cut).unwrap_or_default();
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, interrupt: &Interrupt) -> Executed {
        let argv = ["sh", "-c", script].map(str::to_owned);
        execute(&argv, Path::new("/"), Surroundings::Stated, interrupt).await.unwrap()
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
    async fn what_a_command_leaves_running_does_not_hold_it_up() {
        let (_source, interrupt) = Interrupt::pair();
        let executed = sh("sleep 5 & echo started", &interrupt).await;
        assert_eq!((executed.status.code(), executed.output.as_str()), (Some(0), "started\n"));
    }

    #[tokio::test]
    async fn a_second_interrupt_ends_a_command() {
        let (source, interrupt) = Interrupt::pair();
        source.raise();
        source.raise();
        assert_eq!(sh("exec sleep 60", &interrupt).await.status.code(), None, "SIGTERM did");
    }

    #[tokio::test]
    async fn an_interrupt_lets_a_command_finish() {
        let (source, interrupt) = Interrupt::pair();
        source.raise();
        assert_eq!(sh("exit 5", &interrupt).await.status.code(), Some(5));
    }
}
