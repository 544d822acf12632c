//! Two runs at once on one machine.

use gapless::model::Verdict;
use rustix::process::Signal;

use crate::faults::rig::{Ended, Running, nothing_is_left_of};
use crate::faults::scenario::{Scenario, systemctl};
use crate::systemd::manager::rig::{Foreign, SLEEPER};

/// While `first` runs, it is run once more: the second run.
fn again(scenario: &Scenario, first: &mut Running, manager: &str) -> Ended {
    first.await_counting();
    let out = scenario.folder().join("again");
    Running::start_with(scenario, manager, &out, |_| {}).end()
}

/// The second run of a scenario is refused with the name of the first, and does not disturb it.
fn refused_with_the_name_of_the_first(manager: &str) {
    let scenario = Scenario::new("twice").restarted(3);
    let mut first = Running::start(&scenario, manager);
    let pid = first.pid();
    let second = again(&scenario, &mut first, manager);
    let reason = format!("another run uses it: twice in process {}", pid.as_raw_nonzero());
    second.is_inconclusive(4, &reason);
    let first = first.end().result();
    assert_eq!((first.requests.failed, first.events.len()), (0, 3), "{:#?}", first.reasons);
    assert!(first.events.iter().all(|event| event.proven == Some(true)), "{:#?}", first.events);
    nothing_is_left_of(&scenario);
}

/// Two scenarios on different units, at the same time.
fn undisturbed(manager: &str) {
    let scenarios = ["one-of-two", "two-of-two"].map(|name| Scenario::new(name).restarted(3));
    let runs = scenarios.each_ref().map(|scenario| Running::start(scenario, manager));
    for (run, scenario) in runs.into_iter().zip(&scenarios) {
        let result = run.end().result();
        assert_eq!((result.requests.failed, result.events.len()), (0, 3), "{:#?}", result.reasons);
        assert_ne!(result.verdict, Verdict::Failed, "{:#?}", result.reasons);
        nothing_is_left_of(scenario);
    }
}

#[test]
fn of_two_embedded_runs_of_one_scenario_the_second_is_refused() {
    refused_with_the_name_of_the_first("embedded");
}

#[test]
fn embedded_runs_on_different_units_do_not_disturb_each_other() {
    undisturbed("embedded");
}

#[test]
#[ignore = "runs in the box"]
fn of_two_runs_on_one_unit_of_systemd_the_second_is_refused() {
    refused_with_the_name_of_the_first("system");
}

#[test]
#[ignore = "runs in the box"]
fn runs_on_different_units_of_systemd_do_not_disturb_each_other() {
    undisturbed("system");
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_is_one_unit_by_whichever_of_its_names() {
    let unit = Foreign::new("gapless-test-one.service", SLEEPER);
    let alias = Foreign::new_alias("gapless-test-other.service", unit.0);
    let step = |name: &str| format!("restart = '{name}'\ntimes = 20\nevery = \"500ms\"\nready = false");
    let first = Scenario::new("by-its-name").then(&step(unit.0));
    let second = Scenario::new("by-its-alias").then(&step(alias.0));
    systemctl(&["start", unit.0]);
    let mut run = Running::start(&first, "system");
    run.await_counting();
    let refused = Running::start(&second, "system").end();
    let pid = run.pid().as_raw_nonzero();
    refused.is_inconclusive(4, &format!("another run uses it: by-its-name in process {pid}"));
    run.signal(Signal::TERM);
    run.end();

    let alone =
        Running::start(&Scenario::new("alone").then(&step(alias.0).replace("20", "1")), "system").end().result();
    let events: Vec<_> =
        alone.events.iter().map(|event| (event.unit.as_ref().map(ToString::to_string), event.proven)).collect();
    assert_eq!(events, [(Some(unit.0.to_owned()), Some(true))], "{:#?}", alone.reasons);
}
