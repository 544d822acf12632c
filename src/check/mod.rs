//! The audit of a socket and its service: faults that can be seen without dropping a request.
//!
//! [`Facts`] are gathered from unit files, or from a live systemd and the kernel. Each [`Rule`] is a pure function
//! of them. The ids of rules are stable: people write them into `--ignore`.
//!
//! | file | subject |
//! |---|---|
//! | `source`, `files` | unit files with their drop-ins, line by line |
//! | `live`, `live_facts`, `there` | what systemd and the kernel say of units, here and on another machine |
//! | `facts` | what is known of a socket and its service |
//! | `shell`, `server`, `servers` | what a command line runs in the end, and how that server takes a passed socket |
//! | `rule`, `rules` | what a rule is, and the rules by what they look at |
//! | `audit`, `finding` | all rules applied, and what they say |
//! | `overview`, `render` | all sockets in one table, and findings as bytes |
//!
//! A rule reads no file and asks nobody; no unit is ever changed.

pub mod audit;
pub mod facts;
pub mod files;
pub mod finding;
pub mod live;
pub mod live_facts;
pub mod overview;
pub mod render;
pub mod rule;
mod rules;
pub mod server;
pub mod servers;
mod shell;
pub mod source;
mod there;

#[cfg(test)]
mod testing;

pub use audit::{check, rules};
pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use rule::Rule;
pub use source::Source;
