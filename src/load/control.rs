//! What the engine and all its slots share.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::heartbeat::Heartbeat;
use super::readiness::Readiness;
use super::timeline::Timeline;
use super::wire::Scratch;
use crate::clock;
use crate::model::MonoTime;

/// The state of the load as a whole. All of it lives on the load thread.
#[derive(Debug)]
pub(super) struct Control {
    /// When counting and the events began.
    pub(super) timeline: RefCell<Timeline>,
    /// Who waits for answers.
    pub(super) readiness: RefCell<Readiness>,
    /// Where all connections read to.
    pub(super) scratch: Scratch,
    /// Wakes the engine: something has changed that it sleeps by.
    pub(super) attention: Notify,
    /// Whether the thread runs when it should.
    pub(super) heartbeat: Heartbeat,
    stopped: Cell<bool>,
    interrupted: Cell<bool>,
    slot_panicked: Cell<bool>,
    anchor: (Instant, MonoTime),
}

impl Control {
    /// Of a load that has not started.
    /// `loads` says of each cohort whether it sends of its own accord.
    pub(super) fn new(loads: Vec<bool>) -> Self {
        Self {
            timeline: RefCell::default(),
            readiness: RefCell::new(Readiness::new(loads)),
            scratch: Scratch::new(),
            attention: Notify::new(),
            heartbeat: Heartbeat::default(),
            stopped: Cell::new(false),
            interrupted: Cell::new(false),
            slot_panicked: Cell::new(false),
            anchor: (Instant::now(), clock::now()),
        }
    }

    /// `at` on the runtime's clock, which is the same one.
    pub(super) fn instant(&self, at: MonoTime) -> Instant {
        let (instant, origin) = self.anchor;
        instant + at.since(origin)
    }

    /// Nothing more falls due.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    /// Whether nothing more falls due.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Requests end now, answered or not.
    pub(super) fn interrupt(&self) {
        self.stopped.set(true);
        self.interrupted.set(true);
    }

    /// Whether requests end now.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.get()
    }

    /// Whether a slot has panicked: what it was doing will never be counted.
    pub(super) fn has_slot_panicked(&self) -> bool {
        self.slot_panicked.get()
    }

    /// A slot panicked.
    pub(super) fn slot_panicked(&self) {
        self.slot_panicked.set(true);
        self.attention.notify_one();
    }
}
