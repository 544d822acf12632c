//! The machine that the service runs on: its processes, listeners, accept queues, counters, trace, journal, files and
//! clock.
//!
//! [`Host`] is the second seam of the project: `run` asks through it and knows neither `/proc` nor netlink. What
//! crosses it is owned and can be written down: no descriptor, no borrowed path.

pub mod answer;
pub mod counters;
pub mod holder;
pub mod journal;
pub mod listener;
pub mod local;
pub mod machine;
mod message;
pub mod process;
pub mod reach;
mod receiver;
#[cfg(test)]
pub(crate) mod scripted;
pub mod trace;

use std::io;
use std::net::IpAddr;
use std::path::Path;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;

use self::journal::Scope;
pub use self::local::Local;
use self::trace::TraceError;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{JournalEntry, TraceEvent};

/// What comes when the host has been asked.
pub type Answer<'a, T> = LocalBoxFuture<'a, T>;

/// The machine that the service runs on. Used on one thread only.
pub trait Host {
    /// Its CLOCK_MONOTONIC.
    fn now(&self) -> MonoTime;

    /// Whether `ip` is an address of it.
    fn is_local(&self, ip: IpAddr) -> bool;

    /// The listening sockets that a connection to `at` could reach.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    fn listeners<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<Vec<Listener>>>;

    /// Who holds the listener with that inode at `at`, by PID. Of processes whose descriptors may not be read nothing
    /// is known: without root, those of other users.
    fn holders<'a>(&'a self, at: &'a Endpoint, inode: u64) -> Answer<'a, Vec<Holder>>;

    /// Where a process listens.
    fn listens(&self, pid: u32) -> Answer<'_, Vec<Endpoint>>;

    /// The process that has this PID now; none if there is none.
    fn process(&self, pid: u32) -> Answer<'_, Option<Process>>;

    /// Every process of a control group and of the groups below it, by PID. `control_group` is a path such as
    /// `/system.slice/ledger-api.service`.
    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, Vec<ProcessId>>;

    /// When `process` has ended; at once if it is gone already. A zombie has ended: its sockets are closed.
    fn exit(&self, process: ProcessId) -> Answer<'static, Exit>;

    /// Counters of the kernel's TCP, by name, since boot.
    ///
    /// # Errors
    /// When they cannot be read.
    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>>;

    /// Whether there is a file at `path`.
    fn has_path<'a>(&'a self, path: &'a Path) -> Answer<'a, bool>;

    /// The kernel's own word on the listeners and resets of these ports, from now on.
    ///
    /// # Errors
    /// When this kernel, or this user, cannot.
    fn trace(&self, ports: &[u16]) -> Result<Feed<TraceEvent>, TraceError>;

    /// The journal of some units, from now on. Its events end early only where the journal cannot be read.
    ///
    /// # Errors
    /// When there is no journal.
    fn journal(&self, scope: Scope, units: &[UnitName]) -> io::Result<Feed<JournalEntry>>;
}

/// What a host goes on telling until it is stopped.
pub struct Feed<T> {
    /// From here nothing is missed.
    pub began: MonoTime,
    /// Bounded; what nobody takes in time is counted.
    pub events: mpsc::Receiver<T>,
    /// Ends it: what was seen before is still delivered. Returns the number of events that were left out.
    pub stop: Box<dyn FnOnce() -> u64>,
}
