//! How long a run will take, for whoever watches it. Nothing of this reaches a report.

use std::time::Duration;

use super::pacing::{StartPacer, brings_a_start};
use crate::model::{MonoTime, UnitName};
use crate::scenario::plan::{Action, Plan, Spacing, Step};

/// What a step is taken to need for itself: a guess.
const ACTION: Duration = Duration::from_secs(1);

/// From the start of the load to its end, if every step goes as steps usually go.
#[must_use]
pub fn duration(plan: &Plan) -> Duration {
    let steps: Duration = plan.steps.iter().map(of_step).sum();
    plan.run.warmup + steps + plan.run.cooldown
}

/// A start limit: a number of starts, and an interval.
pub type StartLimit = (u32, Duration);

/// As [`duration`], with the pauses that keep the harness from tripping the start limits of services that were last
/// started long ago.
#[must_use]
pub fn paced(plan: &Plan, limit_of: &dyn Fn(&UnitName) -> Option<StartLimit>) -> Duration {
    if !plan.run.pace {
        return duration(plan);
    }
    let (mut pacer, mut now) = (StartPacer::default(), MonoTime::default() + plan.run.warmup);
    for step in &plan.steps {
        let unit = step.action.unit().filter(|_| brings_a_start(&step.action));
        for run in 0..step.times {
            let begin = unit.map_or(now, |unit| pacer.earliest(unit, limit_of(unit), now));
            if let Some(unit) = unit {
                pacer.started(unit, begin);
            }
            let alone = Step { times: 1, ..step.clone() };
            let (own, last) = (of_step(&alone), run + 1 == step.times);
            now = begin
                + if let Spacing::Every(every) = step.spacing
                    && !last
                {
                    own.max(every)
                } else {
                    own
                };
        }
    }
    now.since(MonoTime::default()) + plan.run.cooldown
}

fn of_step(step: &Step) -> Duration {
    let own = match &step.action {
        Action::Wait { duration } => *duration,
        Action::Request { times, every, .. } => every.saturating_mul(*times),
        Action::Unit { .. }
        | Action::Kill { .. }
        | Action::DaemonReload
        | Action::Exec { .. }
        | Action::Gate { .. } => ACTION,
    };
    match step.spacing {
        // Start to start, and the last one takes its own time.
        Spacing::Every(every) => own.max(every).saturating_mul(step.times.saturating_sub(1)) + own,
        Spacing::After(after) => (after + own).saturating_mul(step.times),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::simulator::plan::plan;
    use crate::model::UnitVerb;

    #[test]
    fn a_plan_takes_its_warmup_its_steps_and_its_cooldown() {
        // Warmup 1 s, three restarts every 2 s, cooldown 2 s.
        let mut plan = plan("any", true, UnitVerb::Restart, 3);
        assert_eq!(duration(&plan), Duration::from_secs(1 + 2 + 2 + 1 + 2));
        plan.steps[0].spacing = Spacing::After(Duration::from_secs(4));
        assert_eq!(duration(&plan), Duration::from_secs(1 + 3 * 5 + 2));
        plan.steps[0].action = Action::Wait { duration: Duration::from_secs(10) };
        assert_eq!(duration(&plan), Duration::from_secs(1 + 3 * 14 + 2));
    }
}
