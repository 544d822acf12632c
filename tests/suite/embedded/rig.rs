//! A manager with units, and the words in which tests speak about it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::manager::embedded::EmbeddedManager;
use gapless::manager::{Job, Manager as _, ManagerError};
use gapless::model::{Endpoint, JobResult, ProcessId, UnitName, UnitSnapshot, UnitVerb};
use gapless::record::line::UnitChange;
use gapless::scenario::plan::UnitFile;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::GAPLESS;

/// How long a condition is awaited before a test gives up: far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A manager with its units installed and held.
pub(crate) struct Rig {
    pub(crate) manager: EmbeddedManager,
    pub(crate) directory: tempfile::TempDir,
    changes: UnboundedReceiver<UnitChange>,
    seen: Vec<UnitChange>,
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("a valid name")
}

pub(crate) fn helper() -> PathBuf {
    PathBuf::from(GAPLESS)
}

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("bound").port()
}

impl Rig {
    /// Installs and holds units: name and text. `{serve}` stands for the demo server, `{dir}` for a directory of the
    /// test's own.
    pub(crate) async fn with(units: &[(&str, &str)]) -> Self {
        Self::try_with(units).await.expect("installed")
    }

    pub(crate) async fn try_with(units: &[(&str, &str)]) -> Result<Self, ManagerError> {
        let directory = tempfile::tempdir().expect("a directory");
        let mut manager = EmbeddedManager::new(helper(), None).expect("prepared");
        let fill = |text: &str| {
            let text = text.replace("{serve}", &format!("{GAPLESS} demo-server"));
            text.replace("{dir}", directory.path().to_str().expect("ASCII"))
        };
        let files: Vec<UnitFile> = units
            .iter()
            .map(|(name, text)| UnitFile { unit: unit(name), text: fill(text), is_private: false })
            .collect();
        manager.install(&files).await?;
        for file in &files {
            manager.hold(&file.unit).await?;
        }
        let changes = manager.take_changes().expect("not taken yet");
        Ok(Self { manager, directory, changes, seen: Vec::new() })
    }

    pub(crate) async fn perform(&self, verb: UnitVerb, name: &str) -> Job {
        tokio::time::timeout(PATIENCE, self.manager.perform(&unit(name), verb)).await.expect("in time").expect("asked")
    }

    /// Performs a verb that must succeed.
    pub(crate) async fn done(&self, verb: UnitVerb, name: &str) {
        let job = self.perform(verb, name).await;
        assert_eq!(job.result, JobResult::Done, "{verb} {name}: {:?}", job.reason);
    }

    pub(crate) async fn snapshot(&self, name: &str) -> UnitSnapshot {
        self.manager.snapshot(&unit(name)).await.expect("asked")
    }

    pub(crate) async fn main_process(&self, name: &str) -> ProcessId {
        self.snapshot(name).await.main_process().expect("a main process")
    }

    /// `ActiveState/SubState Result` of a unit.
    pub(crate) async fn state(&self, name: &str) -> String {
        let snapshot = self.snapshot(name).await;
        format!("{}/{} {}", snapshot.active_state, snapshot.sub_state, snapshot.result)
    }

    /// Waits until a change to `ActiveState/SubState` of the unit is told that was not awaited before.
    pub(crate) async fn awaits(&mut self, name: &str, state: &str) -> UnitChange {
        let seen = &mut self.seen;
        let changes = &mut self.changes;
        let change = tokio::time::timeout(PATIENCE, async {
            loop {
                let change = changes.recv().await.expect("the manager runs");
                seen.push(change.clone());
                let now = format!("{}/{}", change.active_state, change.sub_state);
                if change.unit.as_str() == name && now == state {
                    return change;
                }
            }
        });
        change.await.unwrap_or_else(|_| panic!("{name} never became {state}: {:?}", self.seen))
    }

    /// The states of a unit that were told so far, in order.
    pub(crate) fn history(&mut self, name: &str) -> Vec<String> {
        while let Ok(change) = self.changes.try_recv() {
            self.seen.push(change);
        }
        let of_unit = self.seen.iter().filter(|change| change.unit.as_str() == name);
        of_unit.map(|change| format!("{}/{}", change.active_state, change.sub_state)).collect()
    }
}

/// Asks the demo server for its PID: the body of its answer. Blocking work, off the manager's thread.
pub(crate) async fn ask(port: u16) -> std::io::Result<String> {
    let connect = move || TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let ask = tokio::task::spawn_blocking(move || connect().and_then(answer_of));
    tokio::time::timeout(PATIENCE, ask).await.expect("in time").expect("no panic")
}

/// As [`ask`], at a Unix socket.
pub(crate) async fn ask_at(path: &Path) -> std::io::Result<String> {
    let path = path.to_owned();
    let ask = tokio::task::spawn_blocking(move || UnixStream::connect(path).and_then(answer_of));
    tokio::time::timeout(PATIENCE, ask).await.expect("in time").expect("no panic")
}

/// As [`ask`], at a name in the abstract name space.
pub(crate) async fn ask_abstract(name: &str) -> std::io::Result<String> {
    let address = UnixAddress::from_abstract_name(name)?;
    let ask = tokio::task::spawn_blocking(move || UnixStream::connect_addr(&address).and_then(answer_of));
    tokio::time::timeout(PATIENCE, ask).await.expect("in time").expect("no panic")
}

/// Sends one message: what comes back.
pub(crate) async fn say(endpoint: &Endpoint, message: &str) -> std::io::Result<String> {
    let (endpoint, message) = (endpoint.clone(), message.to_owned());
    let ask = tokio::task::spawn_blocking(move || {
        gapless::host::answer::reply_of(&endpoint, message.as_bytes(), &|reply| !reply.is_empty())
    });
    let reply = tokio::time::timeout(PATIENCE, ask).await.expect("in time").expect("no panic")?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn answer_of(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let answer = std::io::read_to_string(stream)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(body.to_owned())
}

/// Waits until no process is listening at a Unix socket. Not at once: another test's process that is just being started
/// holds a copy of every descriptor until it executes its program.
pub(crate) async fn until_refused(path: &Path) {
    until("a connection is refused", || {
        UnixStream::connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    })
    .await;
}

/// Whether the process runs still: the same one, and not waiting to be reaped.
pub(crate) fn runs(process: ProcessId) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)) else { return false };
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').collect();
    fields[0] != "Z" && fields[19] == process.start_ticks.to_string()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} never came true"));
}
