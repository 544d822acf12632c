//! Drives a scenario: carries out its steps under load and linearises what is seen into the record.
//!
//! [`drive()`] is the whole story of one scenario; the other files are its chapters. Everything here runs on the
//! control thread, on a current-thread runtime inside a `LocalSet`.
//!
//! | file | subject |
//! |---|---|
//! | `drive` | one scenario from its first unit file to its last line |
//! | `prepare`, `claim`, `units`, `aliases` | before the load: commands, the ledger, and which units there are |
//! | `warmup` | from the start of the load to the first step |
//! | `steps`, `step`, `pacing`, `numbering` | the steps in their order, and one event of them |
//! | `proof`, `serving`, `end_state` | whether an action happened, who answers, and what must hold after the last step |
//! | `exec`, `marks` | commands, and events that somebody else announces |
//! | `observe`, `sampler`, `looks`, `holders`, `processes`, `exits`, `changes`, `clock_log` | what is seen of the host beside the load |
//! | `pump`, `so_far`, `recorder`, `redaction` | into the record, without its secrets |
//! | `abort`, `halt`, `interrupt`, `patience` | what ends a run early, and what may take long |
//! | `restore`, `as_found` | units are put back, and looked at |
//! | `sharing` | the part of a load that this generator sends |
//! | `outline`, `estimate`, `progress` | what a run would do, how long it takes, and what it tells while it runs |
//!
//! What counts as lost, and why, is never decided here: `analysis` reads it from the record.

mod abort;
pub mod aliases;
mod as_found;
mod changes;
mod claim;
mod clock_log;
pub mod drive;
pub mod end_state;
pub mod estimate;
pub mod exec;
mod exits;
mod halt;
mod holders;
pub mod interrupt;
mod looks;
pub mod marks;
mod numbering;
mod observe;
pub mod outline;
pub mod pacing;
mod patience;
pub mod prepare;
mod processes;
pub mod progress;
pub mod proof;
mod pump;
pub mod recorder;
pub mod redaction;
mod restore;
mod sampler;
pub mod serving;
pub mod sharing;
mod so_far;
pub mod step;
mod steps;
pub(crate) mod units;
mod warmup;

pub use drive::{Ended, Setup, drive};
pub use exec::Surroundings;
pub use interrupt::Interrupt;
pub use marks::Marks;
pub use progress::Progress;
pub use recorder::Recorder;
pub use redaction::Redaction;
pub use sharing::Sharing;
pub use step::Judge;

#[cfg(test)]
pub(crate) mod testing;
