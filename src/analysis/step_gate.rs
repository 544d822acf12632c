//! Gates: what they came to when the run passed them, as the record tells it.

use super::checks::Judged;
use super::checks::instrument::{unsent, warmup};
use super::checks::steps::events_are_proven;
use super::event::Event;
use super::facts::Facts;
use super::figures::Figures;
use super::instances;
use crate::model::Verdict;
use crate::record::gate::GateOutcome;

/// Why a gate is shut: the sentences of what did not hold or, if all did, of what is in doubt.
pub(crate) fn why(gate: &GateOutcome) -> String {
    let verdict = gate.verdict();
    let decisive = gate.checks.iter().filter(|check| check.status == verdict && verdict != Verdict::Passed);
    decisive.map(|check| check.reason.as_str()).collect::<Vec<_>>().join(" ")
}

/// Each bound of each gate, as it was judged last. They explain the check of their step, which has the weight.
pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Judged> {
    let mut checks = Vec::new();
    for (index, _) in (0_u16..).zip(&facts.timeline.plan.steps) {
        let events = facts.timeline.events.iter().filter(|event| event.begin.step == index);
        let last = events.filter_map(|event| facts.gates.get(&event.begin.event)).next_back();
        let named = |check: &crate::record::gate::GateCheck| {
            Judged::new(format!("step.{}.{}", index + 1, check.name), &check.expected, &check.actual, check.status)
        };
        checks.extend(last.into_iter().flat_map(|gate| gate.checks.iter().map(named)));
    }
    checks
}

/// Whether it let the run not go on.
pub(crate) fn is_shut(gate: &GateOutcome) -> bool {
    gate.verdict() != Verdict::Passed
}

/// What of the evidence until now may put a gate in doubt. Lateness does not: it only makes times longer, so a bound
/// that holds, holds; one that does not is in doubt by itself.
pub(crate) fn evidence_so_far(facts: &Facts<'_>, ended: &Figures) -> Vec<Judged> {
    let mut found = Vec::new();
    for (index, step) in (0_u16..).zip(&facts.timeline.plan.steps) {
        let events: Vec<&Event<'_>> = facts.timeline.events.iter().filter(|event| event.begin.step == index).collect();
        found.extend(events_are_proven(step.action.kind().name(), &events));
    }
    found.extend([warmup(facts), unsent(ended)]);
    found.extend(instances::check(facts));
    found
}
