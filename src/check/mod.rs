//! The audit of a socket and its service: faults that can be seen without dropping a request.
//!
//! [`Facts`] are gathered from unit files, or from a live systemd and the kernel. Each [`Rule`] is a pure function
//! of them. The ids of rules are stable: people write them into `--ignore`.

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
