//! The one connection that everything else goes over: OpenSSH's ControlMaster.
//!
//! It runs one session of its own: [`hello.sh`](super::about), which ends when its input does. The input is a pipe that
//! only we hold: when this process ends, however it ends, so does that session, those of its clients likewise, and the
//! master with the last of them.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::about::{About, BEGIN, END};
use super::{Destination, SshError, script};

/// ConnectTimeout covers the connection alone; logging in may wait for a slow name service.
const HELLO_MAX: Duration = Duration::from_secs(30);

/// A login prints no more than this before the first line of ours.
const LINES_MAX: usize = 1_000;

/// For every `ssh` of ours. Never a question; never more than a pipe to a command; the rest is the user's configuration.
const OPTIONS: [&str; 9] = [
    "BatchMode=yes",
    "LogLevel=ERROR",
    "RequestTTY=no",
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ControlPersist=no",
];

/// For the connection: a lost network is noticed within 15 s.
const KEEPING: [&str; 4] = ["ControlMaster=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"];

/// For those that go over it: where it is gone, they must fail rather than connect by themselves.
const RIDING: [&str; 2] = ["ControlMaster=no", "ProxyCommand=false"];

fn ssh(socket: &Path, options: &[&str], destination: &Destination, line: &str) -> std::process::Command {
    let mut command = std::process::Command::new("ssh");
    command.arg("-T").arg("-S").arg(socket);
    for option in OPTIONS.iter().chain(options) {
        command.args(["-o", option]);
    }
    command.args(["--", destination.as_str(), line]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `line`, run over the connection at that socket.
pub(super) fn over(socket: &Path, destination: &Destination, line: &str) -> std::process::Command {
    ssh(socket, &RIDING, destination, line)
}

/// The process, and its own session.
#[derive(Debug)]
pub(super) struct Master {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Master {
    /// Connects and hears what the machine says of itself. OpenSSH listens at the socket before its own session begins.
    pub(super) async fn start(destination: &Destination, socket: &Path) -> Result<(Self, About), SshError> {
        let line = script::line(include_str!("hello.sh"), &[]);
        let mut command = tokio::process::Command::from(ssh(socket, &KEEPING, destination, &line));
        let no_program = |error| SshError::no_program(destination, &error);
        // In a group of its own: Ctrl-C is for us, and what is to be put back then goes over this.
        let mut child = command.kill_on_drop(true).process_group(0).spawn().map_err(no_program)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let Some(output) = output else { return Err(no_program(io::ErrorKind::BrokenPipe.into())) };
        let mut master = Self { child, input, output: BufReader::new(output).lines() };
        match timeout(HELLO_MAX, master.hear()).await {
            Ok(Some(about)) => Ok((master, about)),
            Ok(None) => Err(SshError::of_saying(destination, &master.last_words().await)),
            Err(_) => Err(SshError::silent(destination, HELLO_MAX.as_secs())),
        }
    }

    /// None where it ends before it has said everything.
    async fn hear(&mut self) -> Option<About> {
        let mut lines: Option<Vec<String>> = None;
        for _ in 0..LINES_MAX {
            let line = self.output.next_line().await.ok()??;
            match &mut lines {
                None if line.trim_end() == BEGIN => lines = Some(Vec::new()),
                None => {}
                Some(lines) if line.trim_end() == END => return Some(About::read(lines.iter().map(String::as_str))),
                Some(lines) => lines.push(line),
            }
        }
        None
    }

    async fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            // Who holds the pipe besides it may live on.
            let _ = timeout(Duration::from_secs(2), stderr.take(16 * 1024).read_to_end(&mut said)).await;
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Asks for the time there: a line back for a line.
    pub(super) async fn ask_time(&mut self) -> io::Result<String> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(b"t\n").await?;
        self.output.next_line().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, and with it everything that goes over it.
    pub(super) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.start_kill();
        self.input = None;
    }
}
