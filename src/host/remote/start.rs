//! Reaches a probe.

use std::cell::RefCell;
use std::io;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Remote;
use super::link::{self, Lines, Link};
use crate::host::machine::Place;
use crate::host::probe::protocol::{Ask, FORMAT, Header, Hello};
use crate::visible;

/// A connection that is made, and a program that is started, take this long at most.
const HELLO_MAX: Duration = Duration::from_secs(30);

/// Exchanges of time before anything else is asked.
const EXCHANGES: u32 = 12;

/// What is kept of the last words of the child process.
const LAST_WORDS_BYTES_MAX: usize = 2_048;

/// It is over when its output is: it has this long to end.
const END_MAX: Duration = Duration::from_secs(2);

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The command cannot be started.
    #[error("cannot start the probe on {host}: cannot run {program}: {error}")]
    Start {
        /// The machine.
        host: String,
        /// The command's program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It ended, or said nothing.
    #[error(
        "cannot start the probe on {host}: {why}; gapless {} must be installed there",
        env!("CARGO_PKG_VERSION")
    )]
    Silent {
        /// The machine.
        host: String,
        /// How it ended, and its last words.
        why: String,
    },
    /// What it says is not a hello.
    #[error(
        "cannot start the probe on {host}: its first line is not that of a probe: {line:?}; a shell there that prints \
         something at its start must do so for terminals only"
    )]
    NotAProbe {
        /// The machine.
        host: String,
        /// The line, as far as it is shown.
        line: String,
    },
    /// It is of another version.
    #[error(
        "gapless on {host} is {version} ({format}), here it is {} ({FORMAT}): install the same version \
         there", env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The machine.
        host: String,
        /// Its version.
        version: String,
        /// Its format.
        format: String,
    },
    /// The connection was lost.
    #[error("cannot use the probe on {host}: {error}")]
    Lost {
        /// The machine.
        host: String,
        /// Why.
        error: io::Error,
    },
}

/// The last words of a child process, as they come.
#[derive(Debug, Default)]
struct LastWords {
    words: RefCell<Vec<u8>>,
    /// Raised when there are no more.
    are_all: Notify,
}

impl Remote {
    /// Starts `command`, which leads to `gapless probe` on the machine that is called `host`, and exchanges times with it.
    /// Needs a runtime of one thread and a `LocalSet`.
    ///
    /// # Errors
    /// When it cannot be started, or is not a probe of this version.
    pub async fn start(host: impl Into<String>, mut command: Command) -> Result<Self, RemoteError> {
        let host = host.into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Not in our process group: a Ctrl-C is for us, and the host is needed until all is seen and put back.
        command.process_group(0);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let failed = |error| RemoteError::Start { host: host.clone(), program, error };
        let mut child = command.spawn().map_err(failed)?;
        let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = ends else {
            return Err(RemoteError::Silent { host, why: "it has no input or output".to_owned() });
        };
        let last_words = Rc::<LastWords>::default();
        let mut tasks = vec![tokio::task::spawn_local(hear(errors, Rc::clone(&last_words)))];
        let mut lines = Lines::new(output);
        let hello = match timeout(HELLO_MAX, lines.next()).await {
            Ok(Ok(Some((line, _)))) => parse(&host, &line)?,
            Ok(Ok(None)) => {
                let why = ending(&mut child, &last_words).await;
                return Err(RemoteError::Silent { host, why });
            }
            Ok(Err(error)) => return Err(RemoteError::Lost { host, error }),
            Err(_) => {
                let why = format!("it said nothing for {} s", HELLO_MAX.as_secs());
                return Err(RemoteError::Silent { host, why });
            }
        };
        let (link, requests) = Link::new(host.clone());
        tasks.push(tokio::task::spawn_local(link::write(Rc::clone(&link), input, requests)));
        let reading = Rc::clone(&link);
        tasks.push(tokio::task::spawn_local(async move {
            let why = link::read(&reading, &mut lines).await;
            // Whoever waits has waited for this as well.
            reading.lose(&format!("{why}{}", last_told(&last_words).await));
        }));
        let remote = Self { link, hello, own: Place::own(), tasks, child };
        for _ in 0..EXCHANGES {
            let asked = timeout(HELLO_MAX, remote.link.ask(Ask::Clock)).await;
            let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            asked.map_err(|error| RemoteError::Lost { host: host.clone(), error })?;
        }
        let mut remote = remote;
        remote.tasks.push(tokio::task::spawn_local(link::keep_time(Rc::clone(&remote.link))));
        Ok(remote)
    }
}

fn parse(host: &str, line: &[u8]) -> Result<Hello, RemoteError> {
    let not_a_probe = || {
        let shown: String = String::from_utf8_lossy(line).trim_end().chars().take(80).collect();
        RemoteError::NotAProbe { host: host.to_owned(), line: visible::escape(&shown) }
    };
    let header: Header = serde_json::from_slice(line).map_err(|_| not_a_probe())?;
    if header.format != FORMAT || header.version != env!("CARGO_PKG_VERSION") {
        let shown = |text: &str| visible::escape(&text.chars().take(40).collect::<String>());
        let (version, format) = (shown(&header.version), shown(&header.format));
        return Err(RemoteError::Version { host: host.to_owned(), version, format });
    }
    serde_json::from_slice(line).map_err(|_| not_a_probe())
}

/// Keeps the end of what it says on stderr.
async fn hear(mut errors: ChildStderr, last_words: Rc<LastWords>) {
    let mut part = [0; 512];
    while let Ok(length @ 1..) = errors.read(&mut part).await {
        let mut words = last_words.words.borrow_mut();
        words.extend_from_slice(&part[..length]);
        let excess = words.len().saturating_sub(LAST_WORDS_BYTES_MAX);
        words.drain(..excess);
    }
    last_words.are_all.notify_one();
}

/// How it ended, and why as far as it says.
async fn ending(child: &mut Child, last_words: &LastWords) -> String {
    let ended = match timeout(END_MAX, child.wait()).await {
        Ok(Ok(status)) => format!("it ended with {status}"),
        Ok(Err(_)) | Err(_) => "it closed its output".to_owned(),
    };
    format!("{ended}{}", last_told(last_words).await)
}

/// `: its last line`; empty where it said nothing. What it said before it closed its output may come a moment later.
async fn last_told(last_words: &LastWords) -> String {
    // A child of its own may hold its stderr open.
    let _ = timeout(END_MAX, last_words.are_all.notified()).await;
    let words = last_words.words.borrow();
    let text = String::from_utf8_lossy(&words);
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map(|line| format!(": {}", visible::escape(line))).unwrap_or_default()
}
