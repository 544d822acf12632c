//! `[expect]`: its defaults hold key by key.

use super::units::Roles;
use crate::model::{Bound, Metric};
use crate::scenario::file::expect::End;
use crate::scenario::file::steps::{Action, StepExpect};
use crate::scenario::file::{Bounds, Expect, File};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Cohort, EndExpectation, Expectations};
use crate::scenario::suggest;

/// `[expect]` of a scenario.
pub(super) fn of_scenario(
    file: &File,
    cohorts: Option<&[Cohort]>,
    roles: &Roles<'_>,
    mistakes: &mut Mistakes,
) -> Expectations {
    let expect = file.expect.or_default();
    if let Some(cohorts) = cohorts {
        check_cohorts(&expect, cohorts, mistakes);
    }
    check_stale(file, &expect, mistakes);
    Expectations {
        bounds: with_defaults(&expect.bounds),
        end: expect.end.value().map(|end| self::end(end, roles, mistakes)),
        cohorts: expect.cohort.into_iter().map(|(_, name, bounds)| (name, bounds.all)).collect(),
    }
}

/// The `expect` of a step, which judges its events instead of `[expect]`.
pub(super) fn of_step(expect: Option<&StepExpect>) -> Option<Expectations> {
    let expect = expect?;
    Some(Expectations { bounds: with_defaults(&expect.bounds), ..Expectations::default() })
}

/// The bounds of a gate: those it names.
pub(super) fn of_gate(gate: &Bounds) -> Expectations {
    Expectations { bounds: gate.all.clone(), ..Expectations::default() }
}

/// Nothing is dropped and nothing is wrong, unless a key says otherwise; `failed` and `error_rate` speak for both.
fn with_defaults(bounds: &Bounds) -> Vec<(Metric, Bound)> {
    let says_both = bounds.has(Metric::Failed) || bounds.has(Metric::ErrorRate);
    let defaults = [Metric::Dropped, Metric::Wrong].into_iter().filter(|metric| !says_both && !bounds.has(*metric));
    defaults.map(|metric| (metric, Bound::at_most(0.0))).chain(bounds.all.iter().copied()).collect()
}

/// Nobody can tell who answered where no answer names its instance.
fn check_stale(file: &File, expect: &Expect, mistakes: &mut Mistakes) {
    if file.target.value().is_none_or(|target| !target.instance.is_absent()) {
        return;
    }
    let of_cohorts = expect.cohort.iter().map(|(.., bounds)| bounds);
    let steps = file.steps.value().into_iter().flatten().map(|step| &step.value);
    let of_steps = steps.clone().filter_map(|step| step.expect.value()).map(|expect| &expect.bounds);
    let gates = steps.flat_map(|step| &step.actions.0).filter_map(|(_, action)| match action.value() {
        Some(Action::Gate(bounds)) => Some(bounds),
        _ => None,
    });
    for place in [&expect.bounds].into_iter().chain(of_cohorts).chain(of_steps).chain(gates).filter_map(|it| it.stale) {
        mistakes
            .add(place, "`stale` without `instance` in [target]")
            .help("add instance = \"header:NAME\" or 'body:REGEX': where an answer names the instance that gave it");
    }
}

fn check_cohorts(expect: &Expect, cohorts: &[Cohort], mistakes: &mut Mistakes) {
    let names: Vec<_> = cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
    for (place, name, _) in &expect.cohort {
        if !names.contains(&name.as_str()) {
            mistakes.add(*place, format!("no cohort is called \"{name}\"")).help(suggest::did_you_mean(name, &names));
        }
    }
}

fn end(end: &End, roles: &Roles<'_>, mistakes: &mut Mistakes) -> EndExpectation {
    let units = roles.units.as_ref();
    let expected = [
        ("service", &end.service, units.and_then(|units| units.service.as_ref())),
        ("socket", &end.socket, units.and_then(|units| units.socket.as_ref())),
    ];
    for (role, field, unit) in expected {
        if let Some(given) = field.given() {
            roles.role(given.key, role, unit, mistakes);
        }
    }
    EndExpectation {
        service: end.service.value().cloned(),
        socket: end.socket.value().cloned(),
        latent: end.latent.value().copied(),
        old_processes: end.old_processes.value().copied(),
    }
}
