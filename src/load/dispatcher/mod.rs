//! One cohort: what is due when, which slot makes it, and what waits for one.
//!
//! | file | subject |
//! |---|---|
//! | `cohort` | hands requests to slots, and what becomes of them to the counters |
//! | `mailbox` | how a slot's task is given work |
//! | `agenda`, `schedule`, `sequence` | what is due: by rate, by client, or because a step asks |

mod agenda;
mod cohort;
mod mailbox;
mod schedule;
mod sequence;

pub(super) use agenda::Agenda;
pub(super) use cohort::{Cohort, Policy};
pub(super) use schedule::{Schedule, rate_micros};
pub use sequence::Asked;
