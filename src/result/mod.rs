//! The output contract: what a run comes to, as `analysis` computes it and reports show it.
//!
//! Types alone. Nothing here imports what computes them, or what lays them out.
//!
//! | file | subject |
//! |---|---|
//! | `run` | `result.json`: runs, scenarios, cohorts, events, steps, checks, evidence |
//! | `value` | its figures by their metric |
//! | [`charts`] | what charts draw, which `result.json` leaves out |

pub mod charts;
mod run;
mod value;

pub use self::run::*;
