//! The end state: what was looked at after the last step.

use super::{Judged, passed_or};
use crate::analysis::facts::Facts;
use crate::analysis::number::float;
use crate::model::bound::Limit;
use crate::model::{Bound, Verdict};
use crate::record::line::{Line, StateCheck};

/// Every state that was looked at; latent failures as one, where the scenario says how many there are to be.
pub(super) fn states(facts: &Facts<'_>) -> Vec<Judged> {
    let checks = facts.record.lines.iter().filter_map(|line| match line {
        Line::Check(check) => Some(check),
        _ => None,
    });
    let judge = |check: &StateCheck| {
        Judged::new(&check.name, &check.expected, &check.actual, check.status)
            .decisive()
            .because(format!("{} is {}; {} was expected.", check.name, check.actual, check.expected))
    };
    let allowed = facts.timeline.plan.expect.end.as_ref().and_then(|end| end.latent);
    let Some(bound) = allowed else { return checks.map(judge).collect() };
    let (latent, others): (Vec<_>, Vec<_>) = checks.partition(|check| check.name.starts_with("latent."));
    others.into_iter().map(judge).chain([latent_failures(&latent, bound)]).collect()
}

/// For a set-up that is meant to end badly: how many latent failures there are, in place of each of them.
fn latent_failures(checks: &[&StateCheck], bound: Bound) -> Judged {
    let found: Vec<String> = checks
        .iter()
        .filter(|check| check.status == Verdict::Failed)
        .map(|check| format!("{} is {}", check.name, check.actual))
        .collect();
    let actual = if found.is_empty() { "0".to_owned() } else { format!("{}: {}", found.len(), found.join(", ")) };
    let limit = match bound.limit {
        Limit::Number(number) => number,
        Limit::Time(time) => time.as_secs_f64(),
    };
    let unseen = checks.is_empty() || checks.iter().any(|check| check.status == Verdict::Inconclusive);
    let holds = bound.comparison.holds(float(found.len() as u64), limit);
    let status = if unseen { Verdict::Inconclusive } else { passed_or(holds, Verdict::Failed) };
    let reason = format!("Latent failures: {actual}; {bound} was expected.");
    Judged::new("expect.end.latent", bound.to_string(), actual, status).decisive().because(reason)
}
