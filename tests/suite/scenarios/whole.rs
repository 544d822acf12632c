//! Whole scenarios.

use std::path::Path;

use gapless::scenario::plan::Plan;
use gapless::scenario::{Overrides, load, masked};

use crate::scenarios::rig::good;

#[track_caller]
fn snapshot(path: &str) {
    let scenario = good(load(Path::new(path), &Overrides::default()));
    let json = serde_json::to_string_pretty(&masked(&scenario.plan, true)).expect("a plan serialises");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(scenario.plan.name.clone(), json);
    });
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    snapshot("tests/good_scenarios/fastapi_restart.toml");
}

#[test]
fn every_key_finds_its_place_in_the_plan() {
    snapshot("tests/good_scenarios/everything.toml");
}

#[test]
fn a_recorded_plan_comes_back_as_it_was() {
    let path = Path::new("tests/good_scenarios/everything.toml");
    let plan = good(load(path, &Overrides::default())).plan;
    let json = serde_json::to_string(&plan).expect("a plan serialises");
    let back: Plan = serde_json::from_str(&json).expect("and comes back");
    assert_eq!(Plan { directory: plan.directory.clone(), ..back }, plan);
}
