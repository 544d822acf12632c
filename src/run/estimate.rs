//! How long a run will take, for whoever watches it. Nothing of this reaches a report.

use std::time::Duration;

use super::exec::Surroundings;
use super::pacing::{StartPacer, brings_a_start};
use super::progress::Stage;
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

/// What is left at the beginning of that stage; none where nobody can tell, as of the user's own commands.
#[must_use]
pub fn left(plan: &Plan, stage: &Stage, surroundings: Surroundings) -> Option<Duration> {
    let (first, run) = match stage {
        Stage::SettingUp | Stage::AwaitingStart | Stage::WarmingUp => (0, None),
        Stage::Step { event, .. } => place(plan, *event)?,
        Stage::CoolingDown => return Some(plan.run.cooldown),
        Stage::Restoring => return None,
    };
    let [under_way, later @ ..] = plan.steps.get(first..)? else { return None };
    let is_users = |step: &Step| matches!(step.action, Action::Exec { .. });
    if surroundings != Surroundings::Stated && (is_users(under_way) || later.iter().any(is_users)) {
        return None;
    }
    let rest = match run {
        None => plan.run.warmup + of_step(under_way),
        Some(run) => of_runs(under_way, under_way.times.saturating_sub(run)).saturating_sub(pause_before(under_way)),
    };
    Some(rest + later.iter().map(of_step).sum::<Duration>() + plan.run.cooldown)
}

/// The step that an event is of, and how many of its runs came before it; events are counted from 1.
fn place(plan: &Plan, event: u32) -> Option<(usize, Option<u32>)> {
    let mut before = event.checked_sub(1)?;
    for (index, step) in plan.steps.iter().enumerate() {
        if before < step.times {
            return Some((index, Some(before)));
        }
        before -= step.times;
    }
    None
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
    of_runs(step, step.times)
}

/// What lies between the moment that a step is next and the beginning of its first run.
fn pause_before(step: &Step) -> Duration {
    match step.spacing {
        Spacing::Every(_) => Duration::ZERO,
        Spacing::After(after) => after,
    }
}

fn of_runs(step: &Step, times: u32) -> Duration {
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
        Spacing::Every(every) => own.max(every).saturating_mul(times.saturating_sub(1)) + own,
        Spacing::After(after) => (after + own).saturating_mul(times),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::simulator::plan::plan;
    use crate::model::{ActionKind, UnitVerb};

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

    #[test]
    fn what_is_left_is_told_again_at_each_event() {
        let seconds = Duration::from_secs;
        let mut plan = plan("any", true, UnitVerb::Restart, 3);
        let pause = Step {
            action: Action::Wait { duration: seconds(10) },
            times: 2,
            spacing: Spacing::After(seconds(4)),
            ..plan.steps[0].clone()
        };
        plan.steps.push(pause);
        let left_at = |plan: &Plan, event| {
            let stage = Stage::Step { action: ActionKind::Wait, unit: None, event, events: 5 };
            left(plan, &stage, Surroundings::Stated)
        };
        // Warmup 1 s, three restarts every 2 s, two pauses of 4 s each with 10 s after it, cooldown 2 s.
        assert_eq!(left(&plan, &Stage::WarmingUp, Surroundings::Stated), Some(seconds(1 + 5 + 28 + 2)));
        let events = [1, 2, 3, 4, 5].map(|event| left_at(&plan, event).map(|left| left.as_secs()));
        assert_eq!(events, [5 + 28 + 2, 3 + 28 + 2, 1 + 28 + 2, 10 + 14 + 2, 10 + 2].map(Some));
        assert_eq!(left_at(&plan, 6), None);
        assert_eq!(left(&plan, &Stage::CoolingDown, Surroundings::Stated), Some(seconds(2)));
    }

    #[test]
    fn how_long_a_command_of_the_user_takes_nobody_knows() {
        let mut plan = plan("any", true, UnitVerb::Restart, 1);
        plan.steps[0].action = Action::Exec { argv: vec!["./deploy.sh".to_owned()], replaces: None };
        let users = Surroundings::Users { stdout_to_stderr: false, marks: None, input_is_marks: false };
        assert_eq!(left(&plan, &Stage::WarmingUp, users), None);
        assert_eq!(left(&plan, &Stage::CoolingDown, users), Some(plan.run.cooldown));
        assert!(
            left(&plan, &Stage::WarmingUp, Surroundings::Stated).is_some(),
            "those of a scenario are taken to be short"
        );
    }
}
