//! The load: sends requests when they are due and counts what becomes of each.
//!
//! One thread of its own owns the schedule, the connections, the counters and the histograms. It never waits
//! for the control thread; [`LoadHandle`] is how that thread talks to it.
//!
//! ```text
//! handle --commands--> engine -> dispatcher { agenda -> slot { connection, protocol } } -> tally --outbox--> observations
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `handle`, `observation` | starts the thread, talks to it, and hears from it |
//! | `setup`, `target`, `error` | from the plan to what runs, and all that can be wrong with it |
//! | `question` | what a cohort would send, to be sent once outside any load |
//! | `engine`, `control`, `pacer`, `priority` | the loop of the thread, what its tasks share, the timer, and before whom it runs |
//! | `heartbeat`, `thread_use`, `taken`, `cgroup` | whether the thread runs when it should, what it has of the machine, and what is taken away |
//! | `dispatcher` | what is due when, and which slot makes it |
//! | `slot`, `guard`, `ended` | requests on one connection after the other, and what becomes of them |
//! | `connection` | opens, and counts bytes |
//! | `protocol` | starts exchanges: request and answer |
//! | `classify` | from errors and bytes to a failure class |
//! | `mix` | in which order several requests are sent |
//! | `instances` | which instances answered |
//! | `tally`, `row_tally`, `gaps`, `health`, `timeline`, `readiness`, `live` | what is counted, under which scope |
//! | `outbox` | hands it over |
//! | `internals` | what benches and fuzzing reach in for |
//!
//! Each imports only from those below it in this order: handle, setup and engine; dispatcher; slot; protocol; connection.
//! A slot returns what happened and knows no cohort, a protocol knows no slot, a connection knows no protocol.
//!
//! A request is counted by exactly one `Ended`, made in `slot` or, if it never got to one, in
//! `dispatcher`; so `due = ok + failed + unsent` holds by construction once all have ended.

mod cgroup;
mod classify;
mod connection;
mod control;
mod dispatcher;
mod ended;
mod engine;
mod error;
mod gaps;
mod guard;
mod handle;
mod health;
mod heartbeat;
mod instances;
#[doc(hidden)]
pub mod internals;
mod live;
mod mix;
mod observation;
mod outbox;
mod pacer;
mod priority;
mod protocol;
mod question;
mod readiness;
mod row_tally;
mod setup;
mod slot;
mod taken;
mod tally;
mod target;
mod thread_use;
mod timeline;

pub use dispatcher::Asked;
pub use error::LoadError;
pub use handle::{LoadHandle, Start};
pub use live::Live;
pub use observation::{Observation, Receipt};
pub use question::{Heard, ask, asks};
pub use taken::TakenMeter;
