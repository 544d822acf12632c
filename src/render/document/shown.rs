//! A verdict as it is shown.

use crate::model::Verdict;
use crate::result::{LOSS_EXPECTED, RunResult, ScenarioResult};

/// A verdict, and whether it passed only because a loss was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) verdict: Verdict,
    pub(crate) is_loss_expected: bool,
}

impl Shown {
    /// `passed`, or `passed (loss expected)`.
    pub(crate) fn words(self) -> &'static str {
        if self.is_loss_expected { LOSS_EXPECTED } else { self.verdict.name() }
    }
}

impl From<Verdict> for Shown {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, is_loss_expected: false }
    }
}

impl From<&ScenarioResult> for Shown {
    fn from(scenario: &ScenarioResult) -> Self {
        Self { verdict: scenario.verdict, is_loss_expected: scenario.is_loss_expected() }
    }
}

impl From<&RunResult> for Shown {
    fn from(result: &RunResult) -> Self {
        Self { verdict: result.verdict, is_loss_expected: result.is_loss_expected() }
    }
}
