//! The instrument measured: its latencies beside the truth, and its pace beside targets that are slow and
//! generators that are out of means.

#![expect(clippy::unwrap_used, reason = "a harness of tests: what cannot be set up ends the test")]

mod frozen;
mod latency;
mod pace;
mod watch;
