//! The load engine against servers that fail on purpose: what was injected is what is counted.

#![expect(clippy::unwrap_used, reason = "a harness of tests: what cannot be set up ends the test")]

mod against_hyper;
mod classes;
mod connections;
mod frames;
mod grpc;
mod harness;
mod hostile;
mod http2;
mod instances;
mod loops;
mod marks;
mod messages;
mod requests;
pub(crate) mod server;
mod targets;
mod weights;
