//! This machine.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};

use super::journal::{Journal, Scope};
use super::trace::{TraceError, Tracer};
use super::{Answer, Feed, Host, Look, counters, holder, listener, machine, process};
use crate::clock;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{HostClock, JournalEntry, TraceEvent};

/// At most this many lines of the journal wait to be recorded.
const JOURNAL_CAPACITY: usize = 256;

/// The machine we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Host for Local {
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
        Box::pin(async { process::describe(std::process::id())?.control_group })
    }

    fn has<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<bool>> {
        Box::pin(async { Ok(at.ip().is_none_or(|address| machine::is_local(address.ip()))) })
    }

    fn listeners<'a>(&'a self, at: &'a [Endpoint]) -> Answer<'a, io::Result<Look<Vec<Listener>>>> {
        Box::pin(async move {
            let began = clock::now();
            let mut seen = Vec::new();
            for endpoint in at {
                seen.extend(listener::at(endpoint)?);
            }
            Ok(Look { at: began, seen })
        })
    }

    // It goes over the descriptors of every process, which takes milliseconds: not on the thread that dates exits.
    fn holders<'a>(&'a self, at: &'a Endpoint, inode: u64) -> Answer<'a, io::Result<Look<Vec<Holder>>>> {
        let (endpoint, began) = (at.clone(), clock::now());
        let look = tokio::task::spawn_blocking(move || holder::of_listener(&endpoint, inode));
        Box::pin(async move { Ok(Look { at: began, seen: look.await.unwrap_or_default() }) })
    }

    fn held<'a>(&'a self, at: &'a [Endpoint], systemd: Option<u32>) -> Answer<'a, io::Result<Vec<Listener>>> {
        let at_each = at.iter().filter_map(move |endpoint| listener::of_systemd(endpoint, systemd).ok());
        Box::pin(async { Ok(at_each.flatten().collect()) })
    }

    fn listens(&self, pid: u32) -> Answer<'_, io::Result<Vec<Endpoint>>> {
        Box::pin(async move { Ok(holder::listens(pid)) })
    }

    fn process(&self, pid: u32) -> Answer<'_, io::Result<Option<Process>>> {
        Box::pin(async move { Ok(process::describe(pid)) })
    }

    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Vec<ProcessId>>> {
        Box::pin(async { Ok(process::in_cgroup(control_group)) })
    }

    fn memory<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Option<u64>>> {
        Box::pin(async {
            let of_each = process::in_cgroup(control_group).into_iter().filter_map(|it| process::pss_bytes(it.pid));
            Ok(of_each.reduce(|sum, pss| sum + pss))
        })
    }

    fn exit(&self, process: ProcessId) -> Answer<'static, io::Result<Exit>> {
        Box::pin(async move { Ok(process::exit_of(process).await) })
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        Box::pin(async { counters::read() })
    }

    fn has_path<'a>(&'a self, path: &'a Path) -> Answer<'a, io::Result<bool>> {
        Box::pin(async { Ok(path.exists()) })
    }

    fn trace<'a>(&'a self, ports: &'a [u16]) -> Answer<'a, Result<Feed<TraceEvent>, TraceError>> {
        Box::pin(async {
            let (tracer, events) = Tracer::start(ports)?;
            let began = tracer.began();
            Ok(Feed { began, events, stop: Box::new(|| Box::pin(async { Ok(tracer.finish()) })) })
        })
    }

    fn journal<'a>(&'a self, scope: Scope, units: &'a [UnitName]) -> Answer<'a, io::Result<Feed<JournalEntry>>> {
        Box::pin(async move { follow(scope, units) })
    }
}

fn follow(scope: Scope, units: &[UnitName]) -> io::Result<Feed<JournalEntry>> {
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
    let stop = move || -> Answer<'static, io::Result<u64>> {
        // Fails only if journalctl has ended by itself.
        let _ = stop.send(());
        Box::pin(async move { Ok(left_out.get()) })
    };
    Ok(Feed { began, events, stop: Box::new(stop) })
}
