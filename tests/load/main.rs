//! The load engine against servers that fail on purpose: what was injected is what is counted.

mod classes;
mod connections;
mod harness;
mod loops;
mod marks;
mod server;
mod targets;
