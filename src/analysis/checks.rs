//! Everything that is judged: expectations, steps, end state, and the instrument itself.

pub(super) mod bounds;
pub(super) mod instrument;
mod states;
pub(super) mod steps;

use super::facts::Facts;
use super::figures::Figures;
use super::instances;
use super::shards;
use super::step_gate;
use crate::model::Verdict;
use crate::result::CheckResult;

/// What a check that did not pass means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Something was lost that was not to be lost, or a step or a state is not what it should be: failed,
    /// whatever else is in doubt.
    Decisive,
    /// Failed, unless there is any doubt.
    Ordinary,
}

/// A check, its weight, and the sentence that explains it where it did not pass.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) check: CheckResult,
    pub(crate) weight: Weight,
    pub(crate) reason: String,
}

impl Judged {
    pub(crate) fn new(
        name: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        status: Verdict,
    ) -> Self {
        let check = CheckResult { name: name.into(), expected: expected.into(), actual: actual.into(), status };
        Self { check, weight: Weight::Ordinary, reason: String::new() }
    }

    fn decisive(self) -> Self {
        Self { weight: Weight::Decisive, ..self }
    }

    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

fn passed_or(passed: bool, otherwise: Verdict) -> Verdict {
    if passed { Verdict::Passed } else { otherwise }
}

/// All checks, in the order of the report.
pub(crate) fn checks(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    let mut checks = bounds::expectations(facts, whole);
    checks.extend(steps::steps(facts));
    checks.extend(step_gate::checks(facts));
    checks.extend(states::states(facts));
    checks.extend(instances::check(facts));
    checks.extend(instrument::instrument(facts, whole));
    checks.extend(shards::check(facts));
    checks.retain(|check| shards::can_say(check, facts));
    checks
}
