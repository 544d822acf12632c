//! The probes beside the load: accept queues, kernel counters, the kernel's trace, the units' journal.
//!
//! Each gives evidence when it can and says once when it cannot. None is needed for a verdict.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::drive::ListenerLookup;
use super::recorder::Recorder;
use super::sampler::Sampler;
use crate::clock;
use crate::model::{Endpoint, UnitName};
use crate::probe::host;
use crate::probe::journal::{self, Journal};
use crate::probe::trace::Tracer;
use crate::record::begin::ManagerKind;
use crate::record::line::{Cap, Line, NoteKind, TraceEvent, Traced};
use crate::scenario::plan::Plan;

/// What watches while a scenario runs.
#[derive(Debug)]
pub(super) struct Observers {
    sampler: Option<Follower>,
    trace: Option<(Tracer, JoinHandle<()>)>,
    journal: Option<Follower>,
    recorder: Recorder,
}

/// A task that ends, after what it still has to record, when it is told to.
#[derive(Debug)]
struct Follower {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Follower {
    async fn end(self) {
        // Fails only if it has ended by itself.
        let _ = self.stop.send(());
        let ended = self.task.await;
        debug_assert!(ended.is_ok(), "a follower neither panics nor is aborted");
    }
}

impl Observers {
    /// Starts every probe that this machine and this user allow.
    pub(super) fn start(
        plan: &Plan,
        recorder: &Recorder,
        lookup: ListenerLookup,
        units: Option<(ManagerKind, &[UnitName])>,
    ) -> Self {
        let journal = units.and_then(|(manager, units)| start_journal(manager, units, recorder));
        let endpoints = local_endpoints(plan);
        if endpoints.is_empty() {
            let message = "the target is not on this machine: the kernel's evidence is not available";
            recorder.note(NoteKind::Unavailable, message);
            return Self { sampler: None, trace: None, journal, recorder: recorder.clone() };
        }
        Self {
            sampler: start_sampler(endpoints.clone(), recorder, lookup),
            trace: start_trace(&endpoints, recorder),
            journal,
            recorder: recorder.clone(),
        }
    }

    /// Ends them. What the trace and the journal hold by now is still recorded, and a last look at the listeners.
    pub(super) async fn stop(self) {
        for follower in [self.sampler, self.journal].into_iter().flatten() {
            follower.end().await;
        }
        if let Some((tracer, pump)) = self.trace {
            let at = clock::now();
            // The reader delivers what is left; the pump then sees the end of its channel.
            let left_out = tracer.finish();
            let ended = pump.await;
            debug_assert!(ended.is_ok(), "the pump neither panics nor is aborted");
            self.recorder.write(&Line::Trace(TraceEvent { at, traced: Traced::Ended { left_out } }));
            if left_out > 0 {
                self.recorder.write(&Line::Cap(Cap { what: "events of the kernel's trace".to_owned(), left_out }));
            }
        }
    }
}

/// The distinct addresses of this machine that the cohorts connect to.
fn local_endpoints(plan: &Plan) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for cohort in &plan.cohorts {
        let endpoint = cohort.target.connect.endpoint();
        let local = endpoint.filter(|endpoint| match endpoint {
            Endpoint::Tcp(address) => host::is_local(address.ip()),
            Endpoint::Unix(_) => true,
        });
        endpoints.extend(local);
    }
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

fn start_sampler(endpoints: Vec<Endpoint>, recorder: &Recorder, lookup: ListenerLookup) -> Option<Follower> {
    let sampler = match Sampler::new(endpoints, lookup, recorder.clone()) {
        Ok(sampler) => sampler,
        Err(error) => {
            recorder.note(NoteKind::Unavailable, format!("accept queues cannot be read: {error}"));
            return None;
        }
    };
    let (stop, stopped) = oneshot::channel();
    Some(Follower { stop, task: tokio::task::spawn_local(sampler.run(stopped)) })
}

fn start_trace(endpoints: &[Endpoint], recorder: &Recorder) -> Option<(Tracer, JoinHandle<()>)> {
    let targets: Vec<SocketAddr> = endpoints
        .iter()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Unix(_) => None,
        })
        .collect();
    if targets.is_empty() {
        return None;
    }
    let ports: Vec<u16> = targets.iter().map(SocketAddr::port).collect();
    match Tracer::start(&ports) {
        Ok((tracer, mut events)) => {
            let recorder = recorder.clone();
            recorder.write(&Line::Trace(TraceEvent { at: tracer.began(), traced: Traced::Began { targets } }));
            let pump = tokio::task::spawn_local(async move {
                while let Some(event) = events.recv().await {
                    recorder.write(&Line::Trace(event));
                }
            });
            Some((tracer, pump))
        }
        Err(error) => {
            recorder.note(NoteKind::Unavailable, error.to_string());
            None
        }
    }
}

/// Follows the journal of units that systemd manages.
fn start_journal(manager: ManagerKind, units: &[UnitName], recorder: &Recorder) -> Option<Follower> {
    let scope = match manager {
        ManagerKind::System => journal::Scope::System,
        ManagerKind::User => journal::Scope::User,
        ManagerKind::Embedded => return None,
    };
    if units.is_empty() {
        return None;
    }
    let mut journal = match Journal::follow(scope, units) {
        Ok(journal) => journal,
        Err(error) => {
            recorder.note(NoteKind::Unavailable, format!("the journal cannot be read: journalctl: {error}"));
            return None;
        }
    };
    let recorder = recorder.clone();
    let (stop, mut stopped) = oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                entry = journal.next() => {
                    let Some(entry) = entry else {
                        recorder.note(NoteKind::Unavailable, "the journal cannot be read: journalctl has ended");
                        break;
                    };
                    recorder.write(&Line::Journal(entry));
                }
                _ = &mut stopped => break,
            }
        }
        if journal.left_out() > 0 {
            recorder.write(&Line::Cap(Cap { what: "lines of the journal".to_owned(), left_out: journal.left_out() }));
        }
    });
    Some(Follower { stop, task })
}
