//! Drives a scenario: carries out its steps under load and linearises what is seen into the record.
//!
//! [`drive()`] is the whole story of one scenario; the other files are its chapters. Everything here runs on the
//! control thread, on a current-thread runtime inside a `LocalSet`.

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
