//! A machine that cannot be looked at: all that is known of it comes from its service manager and from the requests.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::journal::Scope;
use super::trace::TraceError;
use super::{Answer, Feed, Host, Look};
use crate::clock::{self, offsets::DRIFT_PPM_MAX};
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::time::nanos;
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{HostClock, JournalEntry, TraceEvent};
use crate::ssh::Ssh;

/// Another machine, without eyes there.
#[derive(Clone, Debug)]
pub struct Unseen {
    /// Why nothing of it is seen, and what would change that: one sentence.
    why: String,
    ssh: Rc<Ssh>,
}

impl Unseen {
    /// A machine of which nothing is seen for that reason.
    #[must_use]
    pub fn new(ssh: &Rc<Ssh>, why: String) -> Self {
        Self { why, ssh: Rc::clone(ssh) }
    }

    fn unseen<T>(&self) -> Answer<'_, io::Result<T>> {
        Box::pin(async { Err(self.unsupported()) })
    }

    fn unsupported(&self) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, self.why.clone())
    }
}

impl Host for Unseen {
    fn now(&self) -> MonoTime {
        clock::now()
    }

    // What its service manager tells is dated by it. The offset was measured once: the clocks drift from then on.
    fn clock(&self) -> Option<HostClock> {
        let (at, offset) = (clock::now(), self.ssh.offset());
        let drift_ns = nanos(at.since(offset.measured_at())) / 1_000_000 * DRIFT_PPM_MAX;
        let half_width_ns = nanos(offset.half_width()).saturating_add(drift_ns);
        Some(HostClock { at, host: self.ssh.destination().to_string(), offset_ns: offset.ahead_ns(), half_width_ns })
    }

    // It never answered.
    fn lost(&self) -> Option<String> {
        None
    }

    fn blindness(&self) -> Option<String> {
        Some(self.why.clone())
    }

    fn own_group(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { None })
    }

    // Nothing can be looked at where it listens.
    fn has<'a>(&'a self, _at: &'a Endpoint) -> Answer<'a, io::Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn listeners<'a>(&'a self, _at: &'a [Endpoint]) -> Answer<'a, io::Result<Look<Vec<Listener>>>> {
        self.unseen()
    }

    fn holders<'a>(&'a self, _at: &'a Endpoint, _inode: u64) -> Answer<'a, io::Result<Look<Vec<Holder>>>> {
        self.unseen()
    }

    fn held<'a>(&'a self, _at: &'a [Endpoint], _systemd: Option<u32>) -> Answer<'a, io::Result<Vec<Listener>>> {
        self.unseen()
    }

    fn listens(&self, _pid: u32) -> Answer<'_, io::Result<Vec<Endpoint>>> {
        self.unseen()
    }

    fn process(&self, _pid: u32) -> Answer<'_, io::Result<Option<Process>>> {
        self.unseen()
    }

    fn processes<'a>(&'a self, _control_group: &'a str) -> Answer<'a, io::Result<Vec<ProcessId>>> {
        self.unseen()
    }

    fn memory<'a>(&'a self, _control_group: &'a str) -> Answer<'a, io::Result<Option<u64>>> {
        self.unseen()
    }

    fn exit(&self, _process: ProcessId) -> Answer<'static, io::Result<Exit>> {
        let error = self.unsupported();
        Box::pin(async { Err(error) })
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        self.unseen()
    }

    fn has_path<'a>(&'a self, _path: &'a Path) -> Answer<'a, io::Result<bool>> {
        self.unseen()
    }

    fn trace<'a>(&'a self, _ports: &'a [u16]) -> Answer<'a, Result<Feed<TraceEvent>, TraceError>> {
        Box::pin(async { Err(TraceError::Elsewhere(self.why.clone())) })
    }

    fn journal<'a>(&'a self, _scope: Scope, _units: &'a [UnitName]) -> Answer<'a, io::Result<Feed<JournalEntry>>> {
        self.unseen()
    }
}
