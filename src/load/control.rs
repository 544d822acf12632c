//! What the engine and all its slots share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

use super::connection::Scratch;
use super::guard::Interruption;
use super::heartbeat::Heartbeat;
use super::instances::Instances;
use super::readiness::Readiness;
use super::timeline::Timeline;

/// The state of the load as a whole. All of it lives on the load thread.
#[derive(Debug)]
pub(super) struct Control {
    /// When counting and the events began.
    pub(super) timeline: RefCell<Timeline>,
    /// Who waits for answers.
    pub(super) readiness: RefCell<Readiness>,
    /// Where all connections read to.
    pub(super) scratch: Scratch,
    /// The instances that have answered.
    pub(super) instances: Instances,
    /// Wakes the engine: something has changed that it sleeps by.
    pub(super) attention: Notify,
    /// Whether the thread runs when it should.
    pub(super) heartbeat: Heartbeat,
    /// Whether requests end now, answered or not.
    pub(super) interruption: Rc<Interruption>,
    stopped: Cell<bool>,
    slot_panicked: Cell<bool>,
}

impl Control {
    /// Of a load that has not started.
    /// `loads` says of each cohort whether it sends of its own accord.
    pub(super) fn new(loads: Vec<bool>) -> Self {
        Self {
            timeline: RefCell::default(),
            readiness: RefCell::new(Readiness::new(loads)),
            scratch: Scratch::new(),
            instances: Instances::default(),
            attention: Notify::new(),
            heartbeat: Heartbeat::default(),
            interruption: Interruption::new(),
            stopped: Cell::new(false),
            slot_panicked: Cell::new(false),
        }
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
        self.interruption.interrupt();
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
