//! Runs one case: a server, a load against it, and the counts of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Row;
use super::case::{CLIENTS, Case, INJECTED, Injection, Place, REQUESTS};
use super::exhaustion::{Exhausted, Resource};
use super::subprocess::{self, Finding};
use crate::demo::server::{Background, Counts, FaultKind, Scope, ServerError, ServerOptions, Transport};
use crate::load::{Asked, LoadError, LoadHandle, Observation};
use crate::model::{Endpoint, EventId, FailureClass};

/// How often a load is asked whether it has sent enough.
const POLL: Duration = Duration::from_millis(2);

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A load cannot be started, or broke.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A server cannot be started, or ended badly.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The folder of the Unix sockets cannot be made.
    #[error("cannot make a folder for sockets in {}: {error}; set TMPDIR to another", folder.display())]
    Folder {
        /// Where.
        folder: std::path::PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Not all of a resource can be held.
    #[error("cannot use up the descriptors or ports of a process made for it: {0}")]
    Exhausted(std::io::Error),
    /// The process of a case broke.
    #[error("cannot run {case} in a process of its own: {why}")]
    Apart {
        /// Which.
        case: String,
        /// What it said, or why it said nothing.
        why: String,
    },
}

/// What was injected, and what was counted for it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Requests that met the fault.
    pub(super) injected: u64,
    /// Requests of its class.
    pub(super) counted: u64,
    /// Failures of other classes.
    pub(super) strays: BTreeMap<FailureClass, u64>,
}

/// What a load counted.
#[derive(Debug, Default)]
struct Counted {
    due: u64,
    ok: u64,
    failures: BTreeMap<FailureClass, u64>,
}

/// Runs the case in the place it needs, or says why it cannot be run here. `own` is our binary; Unix sockets are in
/// `folder`.
pub(super) async fn measure(case: Case, own: &Path, folder: &Path) -> Result<Row, CalibrationError> {
    let finding = match case.injection.place() {
        Place::Here => Finding::Measured(run(case, folder).await?),
        Place::OwnProcess | Place::OwnNetwork | Place::WithoutRoot => subprocess::measure(case, own, folder).await?,
    };
    let (left_out, Figures { injected, counted, strays }) = match finding {
        Finding::Measured(figures) => (None, figures),
        Finding::LeftOut(why) => (Some(why), Figures::default()),
    };
    Ok(Row {
        fault: case.injection,
        transport: case.transport,
        connections: case.policy,
        protocol: (!Transport::MESSAGES.contains(&case.transport)).then_some(case.protocol),
        tls: case.is_tls,
        streams: case.streams,
        class: case.class(),
        left_out,
        injected,
        counted,
        strays,
    })
}

/// Runs the case in this process; its socket is in `folder`.
pub(super) async fn run(case: Case, folder: &Path) -> Result<Figures, CalibrationError> {
    let server = serve(case, folder).await?;
    let mut counted = load(case, &server).await?;
    let is_counted_at_its_end = matches!(case.injection.fault(), Some(FaultKind::Unread | FaultKind::Overflow));
    let counts = if is_counted_at_its_end { stopped(server).await? } else { server.counts() };
    let met_by_server = case.injection.fault().and_then(|fault| counts.injected.get(&fault).copied()).unwrap_or(0);
    let injected = match case.injection {
        // Those that it found in its queue.
        Injection::Fault(FaultKind::Unread) => counts.requests,
        // Those that it did not.
        Injection::Fault(FaultKind::Overflow) => counted.due.saturating_sub(counts.requests),
        // No request gets as far as the server: each of them meets the fault.
        Injection::Fault(kind) if kind.scope() == Scope::Listener => counted.due,
        // Those that the server never saw: it answers the others.
        Injection::Fault(FaultKind::NoStreams) => counted.due.saturating_sub(counts.requests),
        Injection::Fault(_) | Injection::Interrupt => met_by_server,
        // Those that the server never saw.
        Injection::ConnectionHeld => counted.due.saturating_sub(met_by_server),
        Injection::DescriptorsHeld | Injection::PortsHeld => INJECTED.get(),
    };
    if case.injection == Injection::ConnectionHeld {
        counted.expect(FailureClass::ResponseTimeout, met_by_server);
    }
    if case.injection == Injection::Fault(FaultKind::Overflow) && case.transport != Transport::Fifo {
        counted.expect(FailureClass::ResponseTimeout, counts.requests);
    }
    let counted_as_it_is = match case.class() {
        Some(class) => counted.failures.remove(&class).unwrap_or(0),
        // Each request met it.
        None if is_counted_at_its_end => counted.ok,
        // An `ok` for each request that met it, beside those for the requests that did not.
        None => counted.ok.saturating_sub(counted.due.saturating_sub(injected)),
    };
    Ok(Figures { injected, counted: counted_as_it_is, strays: counted.failures })
}

/// Several cases run at once, some of them in processes of their own.
fn socket_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Starts the server of a case.
async fn serve(case: Case, folder: &Path) -> Result<Background, CalibrationError> {
    let endpoint = match case.transport {
        Transport::Tcp => Endpoint::Tcp(([127, 0, 0, 1], 0).into()),
        Transport::Unix => Endpoint::Unix(folder.join(socket_name())),
        Transport::Udp => Endpoint::Udp(([127, 0, 0, 1], 0).into()),
        Transport::UnixDgram => Endpoint::UnixDgram(folder.join(socket_name())),
        Transport::UnixSeqpacket => Endpoint::UnixSeqpacket(folder.join(socket_name())),
        Transport::Fifo => Endpoint::Fifo(folder.join(socket_name())),
    };
    let mut options = ServerOptions::listening_on(vec![endpoint]);
    options.faults.extend(case.fault_spec());
    let started = tokio::task::spawn_blocking(move || Background::start(options)).await;
    Ok(started.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?)
}

/// What a server has counted when it has stopped.
async fn stopped(server: Background) -> Result<Counts, CalibrationError> {
    let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
    Ok(stopped.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?)
}

/// Loads until enough requests were due, and waits for what became of each.
async fn load(case: Case, server: &Background) -> Result<Counted, CalibrationError> {
    let mut load = LoadHandle::start_counting(&[case.cohort(&server.endpoints()[0])])?;
    let observations = load.take_observations();
    let collect = async {
        let mut counted = Counted::default();
        let Some(mut observations) = observations else { return counted };
        while let Some(observation) = observations.recv().await {
            counted.add(observation);
        }
        counted
    };
    let send_all = async {
        let sent = send(case, server, &load).await;
        load.stop().await;
        load.join().await?;
        sent
    };
    let (counted, ended) = tokio::join!(collect, send_all);
    ended.map(|()| counted)
}

/// Sends what the case needs.
async fn send(case: Case, server: &Background, load: &LoadHandle) -> Result<(), CalibrationError> {
    match case.injection.held() {
        Some(resource) => send_without(resource, load).await?,
        None if case.is_large() => request(load, REQUESTS).await,
        None => send_enough(case, server, load).await,
    }
    Ok(())
}

/// Returns when enough requests were due.
async fn send_enough(case: Case, server: &Background, load: &LoadHandle) {
    while load.live().due.load(Ordering::Relaxed) < REQUESTS {
        tokio::time::sleep(POLL).await;
    }
    if case.injection == Injection::Interrupt {
        while server.counts().requests < u64::from(CLIENTS) {
            tokio::time::sleep(POLL).await;
        }
        load.interrupt();
    }
}

/// Sends some requests while nothing is left of the resource, and the others when it is there again.
async fn send_without(resource: Resource, load: &LoadHandle) -> Result<(), CalibrationError> {
    let exhausted = Exhausted::all_of(resource).map_err(CalibrationError::Exhausted)?;
    request(load, INJECTED.get()).await;
    drop(exhausted);
    request(load, REQUESTS - INJECTED.get()).await;
    Ok(())
}

/// Makes this number of requests, one after the other.
async fn request(load: &LoadHandle, times: u64) {
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    // A load that ended before says at its end why.
    let _ = load.request(0, Asked { event: EventId(0), times, every: Duration::ZERO }).await;
}

impl Counted {
    /// The number of failures of that class that are not strays.
    fn expect(&mut self, class: FailureClass, expected: u64) {
        if self.failures.get(&class) == Some(&expected) {
            self.failures.remove(&class);
        }
    }

    fn add(&mut self, observation: Observation) {
        let Observation::Rows(rows) = observation else { return };
        for row in rows.rows {
            self.due += row.due;
            self.ok += row.ok;
            for failure in row.failures {
                *self.failures.entry(failure.key.class).or_default() += failure.n;
            }
        }
    }
}
