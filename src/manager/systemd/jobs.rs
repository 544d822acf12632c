//! Which job ended how and when.
//!
//! systemd says so in the signal JobRemoved, also about jobs of strangers, and possibly before it is known which
//! path our job has. So one listens before the job is queued and picks it out by its path afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use zbus::OwnedObjectPath;

use super::bus::{JobRemovedStream, SystemdProxy};
use crate::clock;
use crate::model::{MonoTime, UnitName};

/// A job that ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    job: OwnedObjectPath,
    /// systemd's word for how.
    pub(super) result: String,
    /// When we were told.
    pub(super) at: MonoTime,
}

/// Those who listen; none once systemd cannot be heard any more.
type Listeners = Arc<Mutex<Option<Vec<mpsc::UnboundedSender<Ended>>>>>;

/// Hears all jobs end.
#[derive(Debug)]
pub(super) struct Jobs {
    listeners: Listeners,
    pump: AbortHandle,
}

impl Jobs {
    /// Begins to hear. Needs a tokio runtime.
    pub(super) async fn hear(systemd: &SystemdProxy<'static>) -> zbus::Result<Self> {
        let removed = systemd.receive_job_removed().await?;
        let listeners = Listeners::new(Mutex::new(Some(Vec::new())));
        let pump = tokio::spawn(pump(removed, Arc::clone(&listeners))).abort_handle();
        Ok(Self { listeners, pump })
    }

    /// Listens from now on. To be called before the job is queued.
    pub(super) fn listen(&self) -> Listener {
        let (sender, receiver) = mpsc::unbounded_channel();
        if let Some(listeners) = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            listeners.push(sender);
        }
        Listener(receiver)
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Hears jobs end, none of them lost.
#[derive(Debug)]
pub(super) struct Listener(mpsc::UnboundedReceiver<Ended>);

impl Listener {
    /// Waits for one job to end; none if systemd is gone.
    pub(super) async fn end_of(&mut self, job: &OwnedObjectPath) -> Option<Ended> {
        while let Some(ended) = self.0.recv().await {
            if ended.job == *job {
                return Some(ended);
            }
        }
        None
    }
}

/// The number of a job, the last part of its path.
pub(super) fn number_of(job: &OwnedObjectPath) -> Option<u32> {
    job.rsplit_once('/').and_then(|(_, number)| number.parse().ok())
}

/// Never waits for a listener: the connection stands still while a signal is not taken.
async fn pump(mut removed: JobRemovedStream, listeners: Listeners) {
    while let Some(signal) = removed.next().await {
        let at = clock::now();
        let Ok(args) = signal.args() else { continue };
        let ended = Ended { job: args.job().clone(), result: args.result().clone(), at };
        if let Some(listeners) = listeners.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            listeners.retain(|listener| listener.send(ended.clone()).is_ok());
        }
    }
    listeners.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// The jobs we queued, to tell them from those of strangers.
#[derive(Debug, Default)]
pub(super) struct OwnJobs {
    /// Asked for, the answer not here yet: it never comes if the future was dropped meanwhile.
    asked_for: HashSet<UnitName>,
    queued: HashMap<UnitName, OwnedObjectPath>,
}

impl OwnJobs {
    pub(super) fn begin(&mut self, unit: &UnitName) {
        self.asked_for.insert(unit.clone());
    }

    pub(super) fn queued(&mut self, unit: &UnitName, job: OwnedObjectPath) {
        self.asked_for.remove(unit);
        self.queued.insert(unit.clone(), job);
    }

    pub(super) fn refused(&mut self, unit: &UnitName) {
        self.asked_for.remove(unit);
    }

    pub(super) fn contains(&self, unit: &UnitName, job: &OwnedObjectPath) -> bool {
        self.asked_for.contains(unit) || self.queued.get(unit) == Some(job)
    }
}
