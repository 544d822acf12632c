//! The machine that the service runs on: its processes, listeners, accept queues, counters, trace, journal, files and
//! clock.
//!
//! [`Host`] is the second seam of the project: `run` asks through it and knows neither `/proc` nor netlink. What
//! crosses it is owned and can be written down: no descriptor, no borrowed path. [`Local`] is this machine, [`Remote`]
//! another one, where [`probe`] serves what a `Local` there sees. Every time that crosses is on our own clock.

pub mod answer;
pub mod counters;
pub mod holder;
pub mod journal;
pub mod listener;
pub mod local;
pub mod machine;
mod message;
pub mod probe;
pub mod process;
pub mod reach;
pub mod receiver;
pub mod remote;
#[cfg(test)]
pub(crate) mod scripted;
pub mod trace;
mod unseen;

use std::io;
use std::path::Path;

use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::journal::Scope;
pub use self::local::Local;
pub use self::remote::Remote;
use self::trace::TraceError;
pub use self::unseen::Unseen;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{HostClock, JournalEntry, TraceEvent};

/// What comes when the host has been asked.
pub type Answer<'a, T> = LocalBoxFuture<'a, T>;

/// The machine that the service runs on. Used on one thread only.
///
/// An error means that nothing was seen: it is never evidence that there is nothing. On another machine a question also
/// fails once the connection to it is lost.
pub trait Host: std::fmt::Debug {
    /// Now, on our CLOCK_MONOTONIC.
    fn now(&self) -> MonoTime;

    /// How its clock is to ours; none where it is the same one.
    fn clock(&self) -> Option<HostClock>;

    /// Why it answers no more; none while it does.
    fn lost(&self) -> Option<String>;

    /// The control group of whoever looks: what else runs there is not the service's.
    fn own_group(&self) -> Answer<'_, Option<String>>;

    /// Whether what we send to `at` goes to a socket of this host, as far as the address tells.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn has<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<bool>>;

    /// Why nothing can be looked at there, in a sentence; none where it can. Then what its methods tell, that there is no
    /// process, path or listener, means nothing.
    fn blindness(&self) -> Option<String> {
        None
    }

    /// The listening sockets that a connection to one of these could reach, in that order.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    fn listeners<'a>(&'a self, at: &'a [Endpoint]) -> Answer<'a, io::Result<Look<Vec<Listener>>>>;

    /// Who holds the listener with that inode at `at`, by PID. Of processes whose descriptors may not be read nothing
    /// is known: without root, those of other users.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn holders<'a>(&'a self, at: &'a Endpoint, inode: u64) -> Answer<'a, io::Result<Look<Vec<Holder>>>>;

    /// The listening sockets at these addresses that the systemd with this PID holds; every one where its PID is unknown. An
    /// address that cannot be asked for has none.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn held<'a>(&'a self, at: &'a [Endpoint], systemd: Option<u32>) -> Answer<'a, io::Result<Vec<Listener>>>;

    /// Where a process listens.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn listens(&self, pid: u32) -> Answer<'_, io::Result<Vec<Endpoint>>>;

    /// The process that has this PID now; none if there is none.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn process(&self, pid: u32) -> Answer<'_, io::Result<Option<Process>>>;

    /// Every process of a control group and of the groups below it, by PID. `control_group` is a path such as
    /// `/system.slice/ledger-api.service`.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Vec<ProcessId>>>;

    /// The memory that the processes of a control group have between them, in bytes, what they share counted once; none where
    /// it may not be read.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn memory<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Option<u64>>>;

    /// When `process` has ended; at once if it is gone already. A zombie has ended: its sockets are closed.
    ///
    /// # Errors
    /// When it can no longer be seen: it may run or not.
    fn exit(&self, process: ProcessId) -> Answer<'static, io::Result<Exit>>;

    /// Counters of the kernel's TCP, by name, since boot.
    ///
    /// # Errors
    /// When they cannot be read.
    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>>;

    /// Whether there is a file at `path`.
    ///
    /// # Errors
    /// When the host cannot be asked.
    fn has_path<'a>(&'a self, path: &'a Path) -> Answer<'a, io::Result<bool>>;

    /// The kernel's own word on the listeners and resets of these ports, from now on.
    ///
    /// # Errors
    /// When that kernel, or that user, cannot.
    fn trace<'a>(&'a self, ports: &'a [u16]) -> Answer<'a, Result<Feed<TraceEvent>, TraceError>>;

    /// The journal of some units, from now on. Its events end early only where the journal cannot be read.
    ///
    /// # Errors
    /// When there is no journal.
    fn journal<'a>(&'a self, scope: Scope, units: &'a [UnitName]) -> Answer<'a, io::Result<Feed<JournalEntry>>>;
}

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look<T> {
    /// When it began: what changed after that may not show in it.
    pub at: MonoTime,
    /// What was there.
    pub seen: T,
}

/// What a host goes on telling until it is stopped.
pub struct Feed<T> {
    /// From here nothing is missed.
    pub began: MonoTime,
    /// Bounded; what nobody takes in time is counted.
    pub events: mpsc::Receiver<T>,
    /// Ends it.
    pub stop: Stop,
}

/// Ends a feed: what was seen before is still delivered. Comes to the number of events that were left out; to an error if
/// that is not known, because the host was lost.
pub type Stop = Box<dyn FnOnce() -> Answer<'static, io::Result<u64>>>;
