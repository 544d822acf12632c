//! Faults of the harness's own environment: what becomes of the run, of its record, and of the units.
//!
//! Those that need no root act on the embedded manager; the others are run in the box.

mod bus;
mod disk;
mod killed;
mod network;
mod output;
pub(crate) mod rig;
pub(crate) mod scenario;
mod signals;
mod stranger;
mod suspended;
mod twice;
