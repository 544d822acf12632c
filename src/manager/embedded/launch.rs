//! Starts a process of a service.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::environment::{Environment, compose};
use super::event::Event;
use super::exec::{ExecSpec, SUBCOMMAND, Stream};
use super::host::{Host, Output};
use super::processes::{MARK, Process};
use crate::clock;
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::unit_file::CommandLine;
use crate::unit_file::service::ExecSettings;
use crate::unit_file::service_choices::{Input, Output as OutputChoice};

/// The first descriptor that is passed, sd_listen_fds(3).
const LISTEN_FDS_START: i32 = 3;

/// A process to start.
pub(super) struct Launch<'a> {
    /// Whose.
    pub unit: &'a UnitName,
    /// What it runs.
    pub command: &'a CommandLine,
    /// In what.
    pub settings: &'a ExecSettings,
    /// What the manager says to it.
    pub environment: Environment,
    /// Sockets it is passed, each with its name.
    pub sockets: Vec<(OwnedFd, String)>,
    /// Where its output is kept.
    pub output: Output,
}

/// A process that was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launched {
    /// Which. It leads a session of its own.
    pub id: ProcessId,
    /// When.
    pub at: MonoTime,
}

/// Starts the process. What becomes of it arrives as events.
pub(super) fn launch(mut launch: Launch<'_>, host: &Host) -> io::Result<Launched> {
    if host.guardian.is_over() {
        return Err(io::Error::other("the run is over"));
    }
    let streams = Streams::of(launch.settings);
    let passed = streams.take_socket(&mut launch.sockets)?;
    let (mut environment, spec) = describe(&launch, &streams)?;
    environment.insert(MARK.to_owned(), format!("{}/{}", host.run, launch.unit));

    let (report, report_end) = io::pipe()?;
    let (printed, printed_end) = io::pipe()?;
    let mut command = Command::new(&host.helper);
    command
        .arg(SUBCOMMAND)
        .arg(serde_json::to_string(&spec)?)
        .env_clear()
        .envs(&environment)
        .stdin(Stdio::from(OwnedFd::from(report_end)))
        .stdout(passed.map_or_else(Stdio::null, Stdio::from))
        .stderr(Stdio::from(OwnedFd::from(printed_end)))
        .kill_on_drop(true);
    let mappings = (LISTEN_FDS_START..).zip(launch.sockets);
    let mappings = mappings.map(|(child_fd, (parent_fd, _))| FdMapping { parent_fd, child_fd }).collect();
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    let at = clock::now();
    let child = command.spawn()?;
    // Our ends of what the child was given are closed with the command.
    drop(command);

    let pid = child.id().ok_or_else(|| io::Error::other("the process was reaped before it was known"))?;
    let process = Process::read(pid).ok_or_else(|| io::Error::other("the process cannot be read from /proc"))?;
    host.guardian.add_session(pid);
    tokio::spawn(keep(OwnedFd::from(printed), launch.output));
    tokio::spawn(follow(launch.unit.clone(), pid, child, OwnedFd::from(report), host.events.clone()));
    Ok(Launched { id: process.id, at })
}

fn describe(launch: &Launch<'_>, streams: &Streams) -> io::Result<(Environment, ExecSpec)> {
    let mut manager = launch.environment.clone();
    if !launch.sockets.is_empty() {
        let names: Vec<&str> = launch.sockets.iter().map(|(_, name)| name.as_str()).collect();
        manager.insert("LISTEN_FDS".to_owned(), names.len().to_string());
        manager.insert("LISTEN_FDNAMES".to_owned(), names.join(":"));
    }
    let environment = compose(launch.settings, &manager)
        .map_err(|(path, error)| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))?;
    let home = || environment.get("HOME").map(Into::into);
    let working_directory = launch.settings.working_directory.clone();
    let spec = ExecSpec {
        parent_pid: std::process::id(),
        program: launch.command.program.clone(),
        argv: launch.command.arguments(|name| environment.get(name).map(String::as_str)),
        listen_fds: u32::try_from(launch.sockets.len()).map_err(io::Error::other)?,
        stdin: streams.stdin.clone(),
        stdout: streams.stdout.clone(),
        stderr: streams.stderr.clone(),
        working_directory: match working_directory {
            Some((path, may_be_missing)) => path.or_else(home).map(|path| (path, may_be_missing)),
            // The system's manager runs services in the root, a user's in the home directory: units that care
            // say so, and the root is the same everywhere.
            None => Some(("/".into(), false)),
        },
        umask: launch.settings.umask,
    };
    Ok((environment, spec))
}

/// What the standard streams are connected to.
struct Streams {
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
}

impl Streams {
    fn of(settings: &ExecSettings) -> Self {
        let stdin = match &settings.input {
            Input::Null | Input::Other(_) => Stream::Null,
            Input::Socket => Stream::Socket,
            Input::File(path) => Stream::Read(path.clone()),
        };
        // A file that is read is not written to by inheriting it.
        let inherited = if stdin == Stream::Socket { Stream::Socket } else { Stream::Null };
        let stdout = output_stream(&settings.output, &inherited);
        let stderr = output_stream(&settings.error, &stdout);
        Self { stdin, stdout, stderr }
    }

    /// The socket that is to be a stream, taken out of those that are passed by number.
    fn take_socket(&self, sockets: &mut Vec<(OwnedFd, String)>) -> io::Result<Option<OwnedFd>> {
        if ![&self.stdin, &self.stdout, &self.stderr].contains(&&Stream::Socket) {
            return Ok(None);
        }
        match sockets.pop() {
            Some((socket, _)) if sockets.is_empty() => Ok(Some(socket)),
            _ => Err(io::Error::other("StandardInput=socket needs exactly one socket")),
        }
    }
}

fn output_stream(choice: &OutputChoice, inherited: &Stream) -> Stream {
    match choice {
        OutputChoice::Inherit => inherited.clone(),
        OutputChoice::Null => Stream::Null,
        OutputChoice::Journal | OutputChoice::Other(_) => Stream::Captured,
        OutputChoice::Socket => Stream::Socket,
        OutputChoice::File(path) => Stream::Write(path.clone()),
        OutputChoice::Append(path) => Stream::Append(path.clone()),
        OutputChoice::Truncate(path) => Stream::Truncate(path.clone()),
    }
}

/// Tells when the helper has become the service, and when the service has ended.
async fn follow(
    unit: UnitName,
    pid: u32,
    mut child: Child,
    report: OwnedFd,
    events: tokio::sync::mpsc::UnboundedSender<Event>,
) {
    let sentence = read_report(report).await;
    let error = Some(sentence).filter(|sentence| !sentence.is_empty());
    // The engine may be gone; then the guardian ends the process.
    let _ = events.send(Event::Executed { unit: unit.clone(), pid, error });
    if let Ok(status) = child.wait().await {
        let _ = events.send(Event::Exited { unit, pid, status });
    }
}

/// The helper's sentence; empty when it had nothing to say because it became the service.
async fn read_report(report: OwnedFd) -> String {
    let mut sentence = String::new();
    if let Ok(mut report) = pipe::Receiver::from_owned_fd(report) {
        // A sentence cut short is still the best there is.
        let _ = report.read_to_string(&mut sentence).await;
    }
    sentence
}

/// Keeps what a process prints.
async fn keep(printed: OwnedFd, output: Output) {
    let Ok(mut printed) = pipe::Receiver::from_owned_fd(printed) else { return };
    let mut bytes = [0; 8192];
    while let Ok(n @ 1..) = printed.read(&mut bytes).await {
        output.add(&bytes[..n]);
    }
}
