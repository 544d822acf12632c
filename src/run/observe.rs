//! What watches the host beside the load: accept queues, processes, who holds the listeners, kernel counters, the
//! kernel's trace, the units' journal.
//!
//! Each gives evidence when it can and says once when it cannot. None is needed for a verdict.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::clock_log;
use super::exits::Ended;
use super::holders::HoldersLook;
use super::processes::Processes;
use super::recorder::Recorder;
use super::sampler::Sampler;
use super::so_far::SoFar;
use crate::host::journal::Scope;
use crate::host::{Feed, Host, Stop};
use crate::model::{Endpoint, UnitName};
use crate::record::begin::ManagerKind;
use crate::record::line::{Cap, Line, NoteKind, TraceEvent, Traced};
use crate::scenario::plan::Plan;

/// What watches while a scenario runs.
pub(super) struct Observers {
    looks: Vec<Follower>,
    /// Ended last: it tells how well all others were dated.
    clock: Follower,
    trace: Option<Pump>,
    journal: Option<Pump>,
    host: Rc<dyn Host>,
    recorder: Recorder,
}

/// Writes down what the host tells until it is stopped.
struct Pump {
    stop: Stop,
    task: JoinHandle<()>,
}

impl Pump {
    fn start<T: 'static>(feed: Feed<T>, recorder: &Recorder, line: fn(T) -> Line) -> Self {
        let (recorder, mut events) = (recorder.clone(), feed.events);
        let task = tokio::task::spawn_local(async move {
            while let Some(event) = events.recv().await {
                recorder.write(&line(event));
            }
        });
        Self { stop: feed.stop, task }
    }

    /// Whether the host has nothing more to tell, though nobody has stopped it.
    fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// After what the host still had to tell: the number of events that were left out.
    ///
    /// # Errors
    /// When that is not known, because the host was lost.
    async fn end(self) -> io::Result<u64> {
        let left_out = (self.stop)().await;
        let ended = self.task.await;
        debug_assert!(ended.is_ok(), "a pump neither panics nor is aborted");
        left_out
    }
}

/// A task that ends, after what it still has to record, when it is told to.
#[derive(Debug)]
struct Follower {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Follower {
    fn start<F: Future<Output = ()> + 'static>(run: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::task::spawn_local(run(stopped)) }
    }

    async fn end(self) {
        // Fails only if it has ended by itself.
        let _ = self.stop.send(());
        let ended = self.task.await;
        debug_assert!(ended.is_ok(), "a follower neither panics nor is aborted");
    }
}

impl Observers {
    /// Starts all that this host and this user allow.
    pub(super) async fn start(
        plan: &Plan,
        host: &Rc<dyn Host>,
        recorder: &Recorder,
        units: Option<(ManagerKind, &[UnitName])>,
        processes: &Processes,
        ended: Option<mpsc::UnboundedSender<Ended>>,
        so_far: &Rc<RefCell<SoFar>>,
    ) -> Self {
        let mut observers = Self {
            looks: Vec::new(),
            clock: Follower::start(|stop| clock_log::run(Rc::clone(host), recorder.clone(), stop)),
            trace: None,
            journal: match units.filter(|_| host.blindness().is_none()) {
                Some((manager, units)) => start_journal(manager, units, &**host, recorder).await,
                None => None,
            },
            host: Rc::clone(host),
            recorder: recorder.clone(),
        };
        let endpoints = local_endpoints(plan, &**host).await;
        if endpoints.is_empty() {
            let elsewhere = || {
                let machine = host.clock().map_or_else(|| "this machine".to_owned(), |clock| clock.host);
                format!("the target is not on {machine}: the kernel's evidence is not available")
            };
            recorder.note(NoteKind::Unavailable, host.blindness().unwrap_or_else(elsewhere));
        } else {
            observers.trace = start_trace(&endpoints, &**host, recorder).await;
            let (changed, so_far) = (processes.changed(), Rc::clone(so_far));
            match Sampler::new(Rc::clone(host), endpoints.clone(), recorder.clone(), changed, so_far).await {
                Ok(sampler) => observers.looks.push(Follower::start(|stop| sampler.run(stop))),
                Err(error) => recorder.note(NoteKind::Unavailable, format!("accept queues cannot be read: {error}")),
            }
        }
        if host.blindness().is_none() {
            let holders = HoldersLook::new(Rc::clone(host), recorder.clone(), endpoints, processes.clone(), ended);
            observers.looks.push(Follower::start(|stop| holders.run(stop)));
        }
        observers
    }

    /// Ends them. What the trace and the journal hold by now is still recorded, and a last look at the listeners.
    pub(super) async fn stop(self) {
        for look in self.looks {
            look.end().await;
        }
        if let Some(journal) = self.journal {
            if journal.has_ended() {
                let message = "the journal cannot be read: journalctl has ended";
                self.recorder.note(NoteKind::Unavailable, message);
            }
            match journal.end().await {
                Ok(left_out) => cap(&self.recorder, "lines of the journal", left_out),
                Err(error) => unfinished(&self.recorder, "the journal", &error),
            }
        }
        if let Some(trace) = self.trace {
            let at = self.host.now();
            match trace.end().await {
                Ok(left_out) => {
                    self.recorder.write(&Line::Trace(TraceEvent { at, traced: Traced::Ended { left_out } }));
                    cap(&self.recorder, "events of the kernel's trace", left_out);
                }
                // Without its end it attests nothing.
                Err(error) => unfinished(&self.recorder, "the kernel's trace", &error),
            }
        }
        self.clock.end().await;
    }
}

fn unfinished(recorder: &Recorder, what: &str, error: &io::Error) {
    recorder.note(NoteKind::Unavailable, format!("{what} was not read to its end: {error}"));
}

fn cap(recorder: &Recorder, what: &str, left_out: u64) {
    if left_out > 0 {
        recorder.write(&Line::Cap(Cap { what: what.to_owned(), left_out }));
    }
}

/// The distinct addresses of the host that the cohorts connect to.
pub(super) async fn local_endpoints(plan: &Plan, host: &dyn Host) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> =
        plan.cohorts.iter().filter_map(|cohort| cohort.target.connect.endpoint()).collect();
    endpoints.sort();
    endpoints.dedup();
    let mut local = Vec::new();
    for endpoint in endpoints {
        if host.has(&endpoint).await.unwrap_or(false) {
            local.push(endpoint);
        }
    }
    local
}

async fn start_trace(endpoints: &[Endpoint], host: &dyn Host, recorder: &Recorder) -> Option<Pump> {
    if let Some(datagrams) = endpoints.iter().find(|endpoint| endpoint.takes_datagrams()) {
        let message = format!(
            "the kernel's trace tells of TCP alone: when the socket at {datagrams} was made and closed is known from looks \
             at the kernel's sockets every 25 ms and from the requests"
        );
        recorder.note(NoteKind::Info, message);
    }
    let targets: Vec<SocketAddr> = endpoints
        .iter()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            _ => None,
        })
        .collect();
    if targets.is_empty() {
        return None;
    }
    let ports: Vec<u16> = targets.iter().map(SocketAddr::port).collect();
    match host.trace(&ports).await {
        Ok(feed) => {
            recorder.write(&Line::Trace(TraceEvent { at: feed.began, traced: Traced::Began { targets } }));
            Some(Pump::start(feed, recorder, Line::Trace))
        }
        Err(error) => {
            recorder.note(NoteKind::Unavailable, error.to_string());
            None
        }
    }
}

/// Follows the journal of units that systemd manages.
async fn start_journal(manager: ManagerKind, units: &[UnitName], host: &dyn Host, recorder: &Recorder) -> Option<Pump> {
    let scope = match manager {
        ManagerKind::System => Scope::System,
        ManagerKind::User => Scope::User,
        ManagerKind::Embedded => return None,
    };
    if units.is_empty() {
        return None;
    }
    match host.journal(scope, units).await {
        Ok(feed) => Some(Pump::start(feed, recorder, Line::Journal)),
        Err(error) => {
            recorder.note(NoteKind::Unavailable, format!("the journal cannot be read: journalctl: {error}"));
            None
        }
    }
}
