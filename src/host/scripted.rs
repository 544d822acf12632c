//! A machine that does what a test says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tokio::sync::watch;

use super::journal::Scope;
use super::trace::TraceError;
use super::{Answer, Feed, Host, Look};
use crate::clock;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, ExitSource, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{HostClock, JournalEntry, TraceEvent};

/// What the machine is like now. A test changes it as it goes.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) listeners: RefCell<Vec<Listener>>,
    /// By the inode of the listener.
    pub(crate) holders: RefCell<BTreeMap<u64, Vec<Holder>>>,
    /// Those that run, by PID.
    processes: RefCell<BTreeMap<u32, (Process, watch::Sender<bool>)>>,
}

impl Scripted {
    pub(crate) fn starts(&self, process: Process) {
        self.processes.borrow_mut().insert(process.id.pid, (process, watch::Sender::new(false)));
    }

    pub(crate) fn ends(&self, pid: u32) {
        if let Some((_, ended)) = self.processes.borrow_mut().remove(&pid) {
            ended.send_replace(true);
        }
    }
}

/// A process of that control group.
pub(crate) fn process(pid: u32, control_group: &str) -> Process {
    let unit = control_group.rsplit('/').next().and_then(|unit| UnitName::new(unit).ok());
    Process {
        id: ProcessId { pid, start_ticks: u64::from(pid) },
        name: "server".to_owned(),
        control_group: Some(control_group.to_owned()),
        unit,
        exe: None,
        netns: None,
        caught_signals: None,
    }
}

impl Host for Scripted {
    fn now(&self) -> MonoTime {
        clock::now()
    }

    fn clock(&self) -> Option<HostClock> {
        None
    }

    fn lost(&self) -> Option<String> {
        None
    }

    fn own_group(&self) -> Answer<'_, Option<String>> {
        let group = self.processes.borrow().get(&std::process::id()).and_then(|(own, _)| own.control_group.clone());
        Box::pin(async { group })
    }

    fn has<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<bool>> {
        Box::pin(async { Ok(at.ip().is_none_or(|address| address.ip().is_loopback())) })
    }

    fn listeners<'a>(&'a self, at: &'a [Endpoint]) -> Answer<'a, io::Result<Look<Vec<Listener>>>> {
        let listeners = self.listeners.borrow();
        let of = |endpoint| listeners.iter().filter(move |listener| listener.endpoint.takes(endpoint)).cloned();
        let seen = at.iter().flat_map(of).collect();
        Box::pin(async { Ok(Look { at: clock::now(), seen }) })
    }

    fn holders<'a>(&'a self, _at: &'a Endpoint, inode: u64) -> Answer<'a, io::Result<Look<Vec<Holder>>>> {
        let seen = self.holders.borrow().get(&inode).cloned().unwrap_or_default();
        Box::pin(async { Ok(Look { at: clock::now(), seen }) })
    }

    fn held<'a>(&'a self, at: &'a [Endpoint], _systemd: Option<u32>) -> Answer<'a, io::Result<Vec<Listener>>> {
        Box::pin(async { Ok(self.listeners(at).await?.seen) })
    }

    fn listens(&self, _pid: u32) -> Answer<'_, io::Result<Vec<Endpoint>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn process(&self, pid: u32) -> Answer<'_, io::Result<Option<Process>>> {
        let process = self.processes.borrow().get(&pid).map(|(process, _)| process.clone());
        Box::pin(async { Ok(process) })
    }

    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Vec<ProcessId>>> {
        let processes = self.processes.borrow();
        let of_group =
            processes.values().filter(|(process, _)| process.control_group.as_deref() == Some(control_group));
        let of_group = of_group.map(|(process, _)| process.id).collect();
        Box::pin(async { Ok(of_group) })
    }

    fn memory<'a>(&'a self, _control_group: &'a str) -> Answer<'a, io::Result<Option<u64>>> {
        Box::pin(async { Ok(None) })
    }

    fn exit(&self, process: ProcessId) -> Answer<'static, io::Result<Exit>> {
        let ended = self.processes.borrow().get(&process.pid).map(|(_, ended)| ended.subscribe());
        Box::pin(async move {
            let Some(mut ended) = ended else { return Ok(Exit { at: clock::now(), source: ExitSource::Late }) };
            // It fails where the test that the process belongs to is over.
            ended.wait_for(|ended| *ended).await.map_err(io::Error::other)?;
            Ok(Exit { at: clock::now(), source: ExitSource::Pidfd })
        })
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn has_path<'a>(&'a self, _path: &'a Path) -> Answer<'a, io::Result<bool>> {
        Box::pin(async { Ok(true) })
    }

    fn trace<'a>(&'a self, _ports: &'a [u16]) -> Answer<'a, Result<Feed<TraceEvent>, TraceError>> {
        Box::pin(async { Err(TraceError::Unavailable("it is a script".to_owned())) })
    }

    fn journal<'a>(&'a self, _scope: Scope, _units: &'a [UnitName]) -> Answer<'a, io::Result<Feed<JournalEntry>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}
