//! Exit codes: the contract with scripts.

use std::process::ExitCode;

use crate::cli::InconclusiveAs;
use crate::model::Verdict;
use crate::result::RunResult;

/// How a command ends. Of several, the one with precedence counts: see [`Exit::worst`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: every verdict passed.
    Passed,
    /// 1: one failed.
    Failed,
    /// 2: usage, or a scenario that does not parse or make sense. Nothing was started.
    Usage,
    /// 3: inconclusive.
    Inconclusive,
    /// 4: the harness could not do its job.
    Harness,
    /// 130: interrupted. What was measured is written.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Harness => 4,
            Self::Interrupted => 130,
        }
    }

    /// The one of that number; none where no command of ours ends so.
    #[must_use]
    pub fn of_code(code: i32) -> Option<Self> {
        let all = [Self::Passed, Self::Failed, Self::Usage, Self::Inconclusive, Self::Harness, Self::Interrupted];
        all.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// Precedence: 130, 1, 4, 3, 0. Usage errors stop everything else before it starts.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Passed => 0,
            Self::Inconclusive => 1,
            Self::Harness => 2,
            Self::Failed => 3,
            Self::Usage => 4,
            Self::Interrupted => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// The same for a gate that knows only two answers.
    #[must_use]
    pub const fn mapped(self, inconclusive_as: Option<InconclusiveAs>) -> Self {
        match (self, inconclusive_as) {
            (Self::Inconclusive, Some(InconclusiveAs::Pass)) => Self::Passed,
            (Self::Inconclusive, Some(InconclusiveAs::Fail)) => Self::Failed,
            (exit, _) => exit,
        }
    }

    /// The code of a result's verdict.
    #[must_use]
    pub fn of(result: &RunResult) -> Self {
        match result.verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_interrupted_failed_harness_inconclusive_passed() {
        let order = [Exit::Passed, Exit::Inconclusive, Exit::Harness, Exit::Failed, Exit::Interrupted];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[1]);
            assert_eq!(pair[1].worst(pair[0]), pair[1]);
        }
    }
}
