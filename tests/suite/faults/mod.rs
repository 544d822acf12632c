//! Faults of the harness's own environment: what becomes of the run, of its record, and of the units.
//!
//! Those that need no root act on the embedded manager; the others are run in the box.

mod bus;
mod disk;
mod hung;
mod killed;
mod ledger;
mod network;
mod output;
mod put_back;
mod quota;
pub(crate) mod rig;
pub(crate) mod scenario;
mod signals;
mod storm;
mod stranger;
mod suspended;
mod twice;
