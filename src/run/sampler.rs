//! Looks at the target's listeners and at the kernel's counters, again and again.
//!
//! What is the same as before is not written down, so that an hour stays small.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::looks::LookLog;
use super::recorder::Recorder;
use super::so_far::SoFar;
use crate::host::{Host, Look};
use crate::model::address::Listener;
use crate::model::{Endpoint, MonoTime};
use crate::record::line::{Counters, Line, Queue};

/// From one look at an accept queue to the next. A look goes over the kernel's whole table of listeners, and most of
/// what the probes cost is that: with looks every 20 ms all of them took 1.1 % of a core at the default load.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A queue is written down at most once in this number of looks, at its deepest. That a listener came or went is, at once.
const LOOKS_PER_LINE: u32 = 5;

/// What has been seen and written so far.
pub(super) struct Sampler {
    host: Rc<dyn Host>,
    endpoints: Vec<Endpoint>,
    recorder: Recorder,
    /// Raised when a listener came or went.
    changed: Rc<Notify>,
    /// The listeners, with their queues as deep as they were since the last line.
    deepest: Vec<Listener>,
    looked_at: MonoTime,
    looks_since_line: u32,
    log: LookLog,
    so_far: Rc<RefCell<SoFar>>,
    written: Option<Vec<Listener>>,
    counted: Option<Vec<(String, u64)>>,
}

impl Sampler {
    /// # Errors
    /// When the listeners cannot be looked at.
    pub(super) async fn new(
        host: Rc<dyn Host>,
        endpoints: Vec<Endpoint>,
        recorder: Recorder,
        changed: Rc<Notify>,
        so_far: Rc<RefCell<SoFar>>,
    ) -> io::Result<Self> {
        let sampler = Self {
            looked_at: host.now(),
            host,
            endpoints,
            recorder,
            changed,
            deepest: Vec::new(),
            looks_since_line: 0,
            log: LookLog::default(),
            so_far,
            written: None,
            counted: None,
        };
        let looked = sampler.host.listeners(&sampler.endpoints).await.map(drop);
        looked.map(|()| sampler)
    }

    /// Looks until it is told to stop, and once more then: what did not change since the line before is known to be so.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_last = false;
        while !is_last {
            is_last = tokio::select! {
                _ = tick.tick() => false,
                _ = &mut stopped => true,
            };
            // One that fails tells nothing; the next one may.
            if let Ok(Look { at, seen }) = self.host.listeners(&self.endpoints).await {
                self.log.look(at, &mut |looks| self.recorder.write(&Line::Looks(looks)));
                self.so_far.borrow_mut().look(&seen);
                self.see(at, seen, is_last).await;
            }
        }
        self.log.finish(&mut |looks| self.recorder.write(&Line::Looks(looks)));
    }

    async fn see(&mut self, at: MonoTime, listeners: Vec<Listener>, is_last: bool) {
        let moved = inodes(&listeners) != inodes(&self.deepest);
        if moved {
            self.changed.notify_one();
        }
        if moved && self.looks_since_line > 0 && self.written.as_ref() != Some(&self.deepest) {
            // How deep the queue was of a listener that is gone now.
            self.write_listeners(self.looked_at);
        }
        self.looked_at = at;
        if moved || depth(&listeners) > depth(&self.deepest) {
            self.deepest.clone_from(&listeners);
        }
        for listener in &listeners {
            let known = self.deepest.iter_mut().find(|known| known.inode == listener.inode);
            known.into_iter().for_each(|known| known.drops = listener.drops);
        }
        self.looks_since_line += 1;
        let is_due = self.written.is_none() || self.looks_since_line == LOOKS_PER_LINE;
        if moved || is_last || is_due {
            if is_last || self.written.as_ref() != Some(&self.deepest) {
                self.write_listeners(at);
            }
            self.looks_since_line = 0;
            self.deepest.iter_mut().for_each(|listener| listener.queued = 0);
            self.count().await;
        }
    }

    fn write_listeners(&mut self, at: MonoTime) {
        self.recorder.write(&Line::Queue(Queue { at, listeners: self.deepest.clone() }));
        self.written = Some(self.deepest.clone());
    }

    async fn count(&mut self) {
        let values = self.host.counters().await.unwrap_or_default();
        if self.counted.as_ref() != Some(&values) {
            self.recorder.write(&Line::Counters(Counters { at: self.host.now(), values: values.clone() }));
            self.counted = Some(values);
        }
    }
}

fn depth(listeners: &[Listener]) -> u64 {
    listeners.iter().map(|listener| u64::from(listener.queued)).sum()
}

fn inodes(listeners: &[Listener]) -> Vec<u64> {
    listeners.iter().map(|listener| listener.inode).collect()
}
