//! From what a scenario file says to what it means: defaults, roles, files, and contradictions between keys.

mod expect;
mod grpc;
mod load;
mod message;
mod requests;
mod steps;
mod target;
mod units;

use std::path::Path;

use super::file::File;
use super::mistake::Mistakes;
use super::plan::{Plan, Scheme};

/// What a scenario means. None only if a mistake was noted, here or before.
pub(crate) fn plan(file: &File, directory: &Path, mistakes: &mut Mistakes) -> Option<Plan> {
    let cohorts = load::cohorts(file, directory, mistakes).map(|loads| {
        let requests = load::of_requests(file, &loads, directory, mistakes);
        loads.into_iter().chain(requests).collect::<Vec<_>>()
    });
    check_tls(file, cohorts.as_deref(), mistakes);
    let roles = units::roles(file, directory, mistakes);
    let mut steps = steps::steps(file, &roles, mistakes);
    if let Some(cohorts) = &cohorts {
        steps::give_requests_their_cohorts(&mut steps, cohorts);
    }
    let expect = expect::of_scenario(file, cohorts.as_deref(), &roles, mistakes);
    Some(Plan {
        name: file.name.value()?.clone(),
        description: file.description.or_default(),
        directory: directory.to_owned(),
        cohorts: cohorts?,
        units: roles.units,
        run: file.run.clone(),
        steps,
        expect,
    })
}

/// `ca_file` and `insecure` say nothing without https, nor together.
fn check_tls(file: &File, cohorts: Option<&[super::plan::Cohort]>, mistakes: &mut Mistakes) {
    let Some(target) = file.target.value() else { return };
    let keys = [("ca_file", target.ca_file.key()), ("insecure", target.insecure.key())];
    let uses_tls = |cohort: &super::plan::Cohort| cohort.target.scheme == Scheme::Https;
    if cohorts.is_some_and(|cohorts| !cohorts.iter().any(uses_tls)) {
        for (key, place) in keys {
            let Some(place) = place else { continue };
            mistakes.add(place, format!("`{key}` without https")).help("use an https URL, or leave it out");
        }
    } else if let (Some(ca_file), Some(true)) = (target.ca_file.key(), target.insecure.value()) {
        let insecure = target.insecure.key().unwrap_or(ca_file);
        mistakes
            .add(ca_file, "`ca_file` together with `insecure`")
            .help("`insecure` trusts any certificate: keep one of the two")
            .and(insecure, "trusts any certificate");
    }
}
