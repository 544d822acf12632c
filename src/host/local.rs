//! This machine.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};

use super::journal::{Journal, Scope};
use super::trace::{TraceError, Tracer};
use super::{Answer, Feed, Host, counters, holder, listener, machine, process};
use crate::clock;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{JournalEntry, TraceEvent};

/// At most this many lines of the journal wait to be recorded.
const JOURNAL_CAPACITY: usize = 256;

/// The machine we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Host for Local {
    fn now(&self) -> MonoTime {
        clock::now()
    }

    fn is_local(&self, ip: IpAddr) -> bool {
        machine::is_local(ip)
    }

    fn listeners<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<Vec<Listener>>> {
        Box::pin(async { listener::at(at) })
    }

    // It goes over the descriptors of every process, which takes milliseconds: not on the thread that dates exits.
    fn holders<'a>(&'a self, at: &'a Endpoint, inode: u64) -> Answer<'a, Vec<Holder>> {
        let at = at.clone();
        let look = tokio::task::spawn_blocking(move || holder::of_listener(&at, inode));
        Box::pin(async { look.await.unwrap_or_default() })
    }

    fn listens(&self, pid: u32) -> Answer<'_, Vec<Endpoint>> {
        Box::pin(async move { holder::listens(pid) })
    }

    fn process(&self, pid: u32) -> Answer<'_, Option<Process>> {
        Box::pin(async move { process::describe(pid) })
    }

    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, Vec<ProcessId>> {
        Box::pin(async { process::in_cgroup(control_group) })
    }

    fn exit(&self, process: ProcessId) -> Answer<'static, Exit> {
        Box::pin(process::exit_of(process))
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        Box::pin(async { counters::read() })
    }

    fn has_path<'a>(&'a self, path: &'a Path) -> Answer<'a, bool> {
        Box::pin(async { path.exists() })
    }

    fn trace(&self, ports: &[u16]) -> Result<Feed<TraceEvent>, TraceError> {
        let (tracer, events) = Tracer::start(ports)?;
        Ok(Feed { began: tracer.began(), events, stop: Box::new(|| tracer.finish()) })
    }

    fn journal(&self, scope: Scope, units: &[UnitName]) -> io::Result<Feed<JournalEntry>> {
        let mut journal = Journal::follow(scope, units)?;
        let (began, left_out) = (clock::now(), Rc::new(Cell::new(0)));
        let (entries, events) = mpsc::channel(JOURNAL_CAPACITY);
        let (stop, mut stopped) = oneshot::channel::<()>();
        let counted = Rc::clone(&left_out);
        tokio::task::spawn_local(async move {
            loop {
                let entry = tokio::select! {
                    entry = journal.next() => entry,
                    _ = &mut stopped => None,
                };
                let Some(entry) = entry else { break };
                if entries.send(entry).await.is_err() {
                    break;
                }
                counted.set(journal.left_out());
            }
        });
        let stop = move || {
            // Fails only if journalctl has ended by itself.
            let _ = stop.send(());
            left_out.get()
        };
        Ok(Feed { began, events, stop: Box::new(stop) })
    }
}
