//! `[[steps]]`: one action each.

use super::expect;
use super::units::Roles;
use crate::model::{ActionKind, JobResult};
use crate::scenario::file::steps::Action as Written;
use crate::scenario::file::{File, Step as WrittenStep};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Action, Cohort, Pace, Spacing, Step};
use crate::scenario::source::{Place, Spanned};

/// Events of a scenario, the most: each is kept in the result.
const MOST_EVENTS: u64 = 1_000_000;

/// Every step. One that has a mistake is left out.
pub(super) fn steps(file: &File, roles: &Roles<'_>, mistakes: &mut Mistakes) -> Vec<Step> {
    let written = file.steps.value().map_or(&[][..], Vec::as_slice);
    let steps: Vec<_> = written.iter().filter_map(|step| self::step(step, roles, mistakes)).collect();
    let events: u64 = steps.iter().map(|step| u64::from(step.times)).sum();
    if let (true, Some(place)) = (events > MOST_EVENTS, file.steps.key()) {
        mistakes.add(place, format!("these steps make {events} events")).help(format!("at most {MOST_EVENTS}"));
    }
    steps
}

fn step(step: &Spanned<WrittenStep>, roles: &Roles<'_>, mistakes: &mut Mistakes) -> Option<Step> {
    let kind = the_action(step, mistakes);
    let step = &step.value;
    check_companions(step, mistakes);
    let spacing = spacing(step, mistakes);
    let expect = expect::of_step(step.expect.value());
    let job = job(step, kind, mistakes);
    let action = match step.actions.0.as_slice() {
        [(_, action)] => self::action(action.value()?, step, roles, mistakes),
        _ => None,
    };
    let action = action?;
    Some(Step {
        wait_ready: step.ready.or(action.kind().is_followed_by_readiness()),
        action,
        times: step.times.or_default(),
        spacing,
        job,
        expect,
    })
}

/// The one action of a step; none and a mistake if it has more or fewer.
fn the_action(step: &Spanned<WrittenStep>, mistakes: &mut Mistakes) -> Option<ActionKind> {
    match step.value.actions.0.as_slice() {
        [(kind, _)] => return Some(*kind),
        [] => {
            mistakes
                .add(step.place, "this step has no action")
                .help("each [[steps]] has one, such as restart = \"service\", kill = \"service\" or wait = \"2s\"");
        }
        [(first, field), others @ ..] => {
            let key = |field: &crate::scenario::reader::Field<Written>| field.key().unwrap_or(step.place);
            for (kind, other) in others {
                mistakes
                    .add(key(other), format!("`{kind}` in a step that has the action `{first}`"))
                    .help("one action a step: give it a [[steps]] of its own")
                    .and(key(field), "the action");
            }
        }
    }
    None
}

/// `signal` and `who` belong to `kill`, `replaces` to `exec`.
fn check_companions(step: &WrittenStep, mistakes: &mut Mistakes) {
    let has = |kind: ActionKind| step.actions.0.iter().any(|(action, _)| *action == kind);
    let companions: [(&str, Option<Place>, ActionKind); 3] = [
        ("signal", step.signal.given().map(|given| given.key), ActionKind::Kill),
        ("who", step.who.given().map(|given| given.key), ActionKind::Kill),
        ("replaces", step.replaces.given().map(|given| given.key), ActionKind::Exec),
    ];
    for (key, place, action) in companions {
        if let (Some(place), false) = (place, has(action)) {
            mistakes
                .add(place, format!("`{key}` without `{action}`"))
                .help(format!("it says more about the action `{action}`; leave it out here"));
        }
    }
}

fn spacing(step: &WrittenStep, mistakes: &mut Mistakes) -> Spacing {
    if let (Some(every), Some(after)) = (step.every.key(), step.after.key()) {
        mistakes
            .add(after, "`after` together with `every`")
            .help("`every` counts from start to start, `after` is a pause before each: keep one")
            .and(every, "spaced already");
    }
    match step.every.value() {
        Some(every) => Spacing::Every(*every),
        None => Spacing::After(step.after.or_default()),
    }
}

/// The expected job result, which only what makes a job can have.
fn job(step: &WrittenStep, kind: Option<ActionKind>, mistakes: &mut Mistakes) -> JobResult {
    let Some(job) = step.expect.value().and_then(|expect| expect.job.given()) else { return JobResult::Done };
    if let Some(kind) = kind.filter(|kind| !kind.makes_a_job()) {
        mistakes
            .add(job.key, format!("`{kind}` makes no job that could end as \"{}\"", job.value))
            .help("jobs come of restart, try_restart, reload, reload_or_restart, stop and start");
    }
    job.value
}

fn action(action: &Written, step: &WrittenStep, roles: &Roles<'_>, mistakes: &mut Mistakes) -> Option<Action> {
    Some(match action {
        Written::Unit(verb, unit) => Action::Unit { verb: *verb, unit: roles.unit(unit, mistakes)? },
        Written::Kill(unit) => Action::Kill {
            unit: roles.unit(unit, mistakes)?,
            signal: step.signal.or_default(),
            who: step.who.or_default(),
        },
        Written::DaemonReload => Action::DaemonReload,
        Written::Exec(argv) => Action::Exec {
            argv: argv.clone(),
            replaces: step.replaces.value().and_then(|unit| roles.unit(unit, mistakes)),
        },
        Written::Wait(duration) => Action::Wait { duration: *duration },
        Written::Request(request) => {
            Action::Request { cohort: 0, path: request.path.or_default(), times: request.times, every: request.every }
        }
        Written::Gate(gate) => Action::Gate { expect: expect::of_gate(gate) },
    })
}

/// Tells each `request` which cohort is its own: those on demand, in their order.
pub(super) fn give_requests_their_cohorts(steps: &mut [Step], cohorts: &[Cohort]) {
    let mut own = (0..).zip(cohorts).filter(|(_, cohort)| cohort.pace == Pace::OnDemand).map(|(index, _)| index);
    for step in steps {
        if let Action::Request { cohort, .. } = &mut step.action {
            *cohort = own.next().unwrap_or_default();
        }
    }
}
