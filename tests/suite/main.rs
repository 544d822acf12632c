//! Every test from outside the crate, in one binary: it links once.
//!
//! `cargo test` runs all that need nothing but a Rust toolchain. Those that act on a real systemd, or as root, are
//! ignored there: the group of ignored tests is what `tests/all` runs in the box. Most of them are in [`systemd`]. Those of
//! [`fleet`] run next to several boxes, which `tests/fleet` boots.
//! Tests of the instrument's own accuracy need the machine to themselves: `tests/instrument`.

mod action;
mod bad_input;
mod bad_scenarios;
mod calibrate;
mod check_files;
mod cli;
mod demo_server;
mod dependencies;
mod embedded;
mod examples;
mod faults;
mod fleet;
mod hostile;
mod instances;
mod live_view;
mod load;
mod long_records;
mod mutated_records;
mod mutated_scenarios;
mod packages;
mod probe;
mod reports;
mod rooms;
mod scenarios;
mod secrets;
mod shards;
mod support;
mod systemd;
mod watch;
mod weights;
