//! The output contract: what a run comes to, as `analysis` computes it and reports show it.
//!
//! Types alone. Nothing here imports what computes them, or what lays them out.
//!
//! | file | subject |
//! |---|---|
//! | `run` | `result.json`: runs, scenarios, cohorts, steps, checks, evidence |
//! | `event` | its events |
//! | `strategy` | what scenarios are compared by on one page |
//! | `value` | its figures by their metric |
//! | [`charts`] | what charts draw, which `result.json` leaves out |

pub mod charts;
mod event;
mod run;
mod strategy;
mod value;

pub use self::event::*;
pub use self::run::*;
pub use self::strategy::Strategy;
