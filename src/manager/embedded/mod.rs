//! The embedded manager: the same unit files without systemd and without root.
//!
//! It follows systemd's own state machines, and says which directives it does not act on. What it cannot know
//! without control groups it finds out by session, by a mark in the environment and by descent.
//!
//! | file | subject |
//! |---|---|
//! | `manager` | the [`Manager`](super::Manager): asks the engine |
//! | `engine`, `event` | one task that owns all units and deals with one event after the other |
//! | `units` | the installed units, and instances of templates |
//! | `verbs`, `transaction`, `jobs` | what a verb means, step by step, and how far it has come |
//! | `service/`, `socket` | the state machines |
//! | `exit`, `rate_limit`, `kill_plan` | rules without side effects |
//! | `launch`, `environment`, `exec` | starting a process, and the helper it starts as |
//! | `listener`, `notify`, `processes` | what is asked of the kernel |
//! | `host`, `guardian` | what a run has, and what ends everything when it is over |
//!
//! Known differences from systemd: directives listed by [`EmbeddedManager::ignored_directives`]; services see
//! SIGPIPE's default action (IgnoreSIGPIPE=no); a process that leaves its session *and* overwrites its
//! environment *and* outlives its parents is no longer found.

mod engine;
mod environment;
mod event;
pub mod exec;
mod exit;
mod guardian;
mod host;
mod jobs;
mod kill_plan;
mod launch;
mod listener;
mod manager;
mod notify;
mod processes;
mod rate_limit;
mod service;
mod socket;
mod transaction;
mod units;
mod verbs;

pub use manager::{EmbeddedManager, ListenerLookup};
