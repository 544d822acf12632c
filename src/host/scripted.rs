//! A machine that does what a test says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use tokio::sync::watch;

use super::journal::Scope;
use super::trace::TraceError;
use super::{Answer, Feed, Host};
use crate::clock;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, ExitSource, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{JournalEntry, TraceEvent};

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

    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }

    fn listeners<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<Vec<Listener>>> {
        let listeners =
            self.listeners.borrow().iter().filter(|listener| listener.endpoint.takes(at)).cloned().collect();
        Box::pin(async { Ok(listeners) })
    }

    fn holders<'a>(&'a self, _at: &'a Endpoint, inode: u64) -> Answer<'a, Vec<Holder>> {
        let holders = self.holders.borrow().get(&inode).cloned().unwrap_or_default();
        Box::pin(async { holders })
    }

    fn listens(&self, _pid: u32) -> Answer<'_, Vec<Endpoint>> {
        Box::pin(async { Vec::new() })
    }

    fn process(&self, pid: u32) -> Answer<'_, Option<Process>> {
        let process = self.processes.borrow().get(&pid).map(|(process, _)| process.clone());
        Box::pin(async { process })
    }

    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, Vec<ProcessId>> {
        let processes = self.processes.borrow();
        let of_group =
            processes.values().filter(|(process, _)| process.control_group.as_deref() == Some(control_group));
        let of_group = of_group.map(|(process, _)| process.id).collect();
        Box::pin(async { of_group })
    }

    fn exit(&self, process: ProcessId) -> Answer<'static, Exit> {
        let ended = self.processes.borrow().get(&process.pid).map(|(_, ended)| ended.subscribe());
        Box::pin(async move {
            let Some(mut ended) = ended else { return Exit { at: clock::now(), source: ExitSource::Late } };
            let _ = ended.wait_for(|ended| *ended).await;
            Exit { at: clock::now(), source: ExitSource::Pidfd }
        })
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn has_path<'a>(&'a self, _path: &'a Path) -> Answer<'a, bool> {
        Box::pin(async { true })
    }

    fn trace(&self, _ports: &[u16]) -> Result<Feed<TraceEvent>, TraceError> {
        Err(TraceError::Unavailable("it is a script".to_owned()))
    }

    fn journal(&self, _scope: Scope, _units: &[UnitName]) -> io::Result<Feed<JournalEntry>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
