//! The load: sends requests when they are due and counts what becomes of each.
//!
//! One thread of its own owns the schedule, the connections, the counters and the histograms. It never waits
//! for the control thread; [`LoadHandle`] is how that thread talks to it.
//!
//! ```text
//! handle --commands--> engine -> cohort { agenda -> slots -> exchange -> wire } -> tally --outbox--> observations
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `handle` | starts the thread, talks to it |
//! | `setup`, `target`, `tls`, `error` | from the plan to what runs, and all that can be wrong with it |
//! | `engine`, `control`, `pacer`, `heartbeat`, `thread_use`, `priority` | the loop of the thread, what its tasks share, the timer, whether it runs, what it has of the machine, and before whom |
//! | `cohort`, `agenda`, `schedule`, `sequence` | what is due when, and what waits for a connection |
//! | `slot`, `guard`, `connect` | one connection and the request on it |
//! | `exchange`, `http`, `tcp_exchange`, `body` | request and answer |
//! | `wire`, `stream` | the bytes under them |
//! | `classify` | from errors and bytes to a failure class |
//! | `tally`, `row_tally`, `gaps`, `health`, `timeline`, `readiness`, `live` | what is counted, under which scope |
//! | `cpu_taken` | what the machine takes from the process, for the control thread |
//! | `outbox` | hands it over |
//! | `internals` | what benches and fuzzing reach in for |
//!
//! A request is counted by exactly one `Ended`, made in `slot` or, if it never got to one, in
//! `cohort`; so `due = ok + failed + unsent` holds by construction once all have ended.

mod agenda;
mod body;
mod classify;
mod cohort;
mod connect;
mod control;
mod cpu_taken;
mod ended;
mod engine;
mod error;
mod exchange;
mod gaps;
mod guard;
mod handle;
mod health;
mod heartbeat;
mod http;
#[doc(hidden)]
pub mod internals;
mod live;
mod outbox;
mod pacer;
mod priority;
mod readiness;
mod row_tally;
mod schedule;
mod sequence;
mod setup;
mod slot;
mod stream;
mod tally;
mod target;
mod tcp_exchange;
mod thread_use;
mod timeline;
mod tls;
mod wire;

pub use cpu_taken::CpuTaken;
pub use error::LoadError;
pub use handle::LoadHandle;
pub use live::Live;
pub use sequence::Asked;
pub(crate) use tls::trusting_any;

use tokio::sync::oneshot;

use crate::model::MonoTime;
use crate::record::generator::GeneratorUse;
use crate::record::line::{Cap, Pause};
use crate::record::request::RequestEnd;
use crate::record::segment::{Rows, Segment};

/// A part of what was counted. Any number of parts may share a scope and a time: readers add them up.
#[derive(Debug)]
pub enum Observation {
    /// Counts by due time.
    Rows(Rows),
    /// Distributions of a span.
    Segment(Box<Segment>),
    /// A request that a step asked for; it is in the rows and segments as well.
    Request(RequestEnd),
    /// All that was counted until a moment was handed over before this.
    HandedOver(Receipt),
    /// What the load thread had of the machine.
    Generator(GeneratorUse),
    /// A limit on what is kept was reached.
    Cap(Cap),
    /// This many connections brought bytes that no request had asked for. Comes near the end.
    Unasked(u64),
    /// The load thread did not run when it should have.
    Pause(Pause),
}

/// Answers a [`LoadHandle::hand_over`] once what was handed over has got where it goes.
#[derive(Debug)]
pub struct Receipt {
    until: MonoTime,
    reply: oneshot::Sender<MonoTime>,
}

impl Receipt {
    /// It has.
    pub fn confirm(self) {
        // Who asked may have gone.
        let _ = self.reply.send(self.until);
    }
}
