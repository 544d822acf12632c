//! Figures for whoever watches the run: a progress line, and limits that end it early.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::FailureKey;
use crate::model::class::Fault;

/// Counts of the whole load so far. Written by the load thread alone, with relaxed stores: a reader may see one
/// a moment before the other. What is reported comes from the record, never from here.
#[derive(Debug, Default)]
pub struct Live {
    /// Requests that fell due in the counted phase.
    pub due: AtomicU64,
    /// Requests of the counted phase that ended `ok`.
    pub ok: AtomicU64,
    /// Requests of the counted phase that were dropped.
    pub dropped: AtomicU64,
    /// Requests of the counted phase that were answered wrongly.
    pub wrong: AtomicU64,
    /// Requests of the counted phase that the generator itself could not send.
    pub unsent: AtomicU64,
    /// Requests due before counting began that did not end `ok`.
    pub warmup_failed: AtomicU64,
}

impl Live {
    pub(super) fn fell_due(&self) {
        increment(&self.due);
    }

    pub(super) fn ended(&self, warmup: bool, failure: Option<FailureKey>) {
        match (warmup, failure.map(|key| key.class.fault())) {
            (true, None) => {}
            (true, Some(_)) => increment(&self.warmup_failed),
            (false, None) => increment(&self.ok),
            (false, Some(Fault::Dropped)) => increment(&self.dropped),
            (false, Some(Fault::Wrong)) => increment(&self.wrong),
            (false, Some(Fault::Unsent)) => increment(&self.unsent),
        }
    }
}

/// One writer only, so no read-modify-write is needed.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
