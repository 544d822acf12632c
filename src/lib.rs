//! gapless proves that a restart drops nothing.
//!
//! It loads an endpoint at a steady rate while it restarts the service behind it, and says what was lost, why,
//! and how long users waited. Data flows one way:
//!
//! ```text
//! scenario -> Plan -> run { load | steps | unit signals | host } -> record -> analysis -> Result -> render
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`clock`] | the one clock that everything is told by |
//! | [`model`] | the words as types: failure class, outcome, cause, verdict, unit and event ids, time |
//! | [`scenario`] | a TOML file, its diagnostics, and the plan it means |
//! | [`unit_file`] | systemd's unit files |
//! | [`secrets`] | what is a secret, and how it is kept out of all that is written or shown |
//! | [`load`] | the schedule, the connections, the exchange, the counters |
//! | [`manager`] | carries actions out: systemd over D-Bus, or embedded; and the ledger of what was changed |
//! | [`host`] | the machine of the service: processes, listeners, accept queues, the kernel's counters and trace, the journal |
//! | [`ssh`] | another machine, reached by the user's ssh |
//! | [`run`] | drives a scenario and linearises what it sees into the record |
//! | [`twin`] | the throw-away copy of this machine in which `rehearse` does it |
//! | [`record`] | everything observed in one run, on one clock |
//! | [`merge`] | N records of generators that shared a load -> one |
//! | [`analysis`] | record -> result |
//! | [`result`] | the output contract: what a run comes to, as types |
//! | [`render`] | result -> document -> bytes |
//! | `trust` | what a TLS handshake trusts |
//! | [`visible`] | what a terminal would obey, made visible |
//! | [`check`] | the audit of units, before anything is restarted |
//! | [`demo`] | the demo server, the built-in scenarios, the calibration |
//! | [`cli`], [`app`] | the command line; one file per command |
//!
//! # Invariants
//!
//! 1. Every report is a pure function of records: `report DIR` gives the bytes that the run gave. `analysis`
//!    and `render` touch no clock, file, network or bus.
//! 2. The load path never waits for the control path, a report or the disk, and allocates nothing per request
//!    that it can keep.
//! 3. No request is retried, counted twice or not at all.
//! 4. Counters are exact. Only samples are capped, and every report says so when a cap was reached.
//! 5. Memory is bounded by the plan, never by the number of requests.
//! 6. What the harness installs, stops or changes it puts back: after an error, Ctrl-C and a panic itself, after
//!    SIGKILL the next run, from a ledger that is written before each change.
//! 7. `unsafe` is forbidden; libraries do the system calls.

// No panic is reachable from input; where one stands for what cannot be, the place says why.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::get_unwrap, clippy::panic_in_result_fn)
)]

pub mod analysis;
pub mod app;
pub mod check;
pub mod cli;
pub mod clock;
pub mod demo;
pub mod host;
pub mod load;
pub mod manager;
pub mod merge;
pub mod model;
pub mod record;
pub mod render;
pub mod result;
pub mod run;
pub mod scenario;
pub mod secrets;
pub mod ssh;
mod trust;
pub mod twin;
pub mod unit_file;
pub mod visible;
