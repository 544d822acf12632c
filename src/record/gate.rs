//! What gates came to.

use serde::{Deserialize, Serialize};

use crate::model::{EventId, MonoTime, Verdict};

/// How a gate was judged, from the record as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOutcome {
    /// In which event.
    pub event: EventId,
    /// When.
    pub at: MonoTime,
    /// Counted requests that had ended by then.
    pub ended: u64,
    /// Each bound of the gate, then what put it in doubt.
    pub checks: Vec<GateCheck>,
}

impl GateOutcome {
    /// `passed` only if every bound held and nothing put that in doubt; `failed` if a bound did not hold.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Verdict::Inconclusive)
    }
}

/// One bound of a gate, or one reason to doubt it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateCheck {
    /// Of what: `dropped`, `p99`; `instrument.lateness`.
    pub name: String,
    /// What should be.
    pub expected: String,
    /// What was.
    pub actual: String,
    /// `passed`, `failed`, or `inconclusive` where it is not known.
    pub status: Verdict,
    /// Why it did not pass: one sentence; empty if it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
