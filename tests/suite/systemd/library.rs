//! The scenario library under a real systemd: what each file expects is what is seen.
//!
//! A new folder of `scenarios/` needs one line in [`folders`]; a test says so if it is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{GAPLESS, assert_passed_unless_late, not_as_said, result_in};
use gapless::model::Verdict;
use gapless::scenario::{self, Overrides};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Runs every scenario of a folder and asserts that each passed, its negative controls included.
#[expect(clippy::print_stdout, reason = "shown when the test fails")]
fn every_scenario_passes(folder: &str) {
    let place = tempfile::tempdir().expect("a folder");
    let output = gapless()
        .args(["run", "--manager", "system", "--out"])
        .args([place.path().join("out"), library().join(folder)])
        .stdin(Stdio::null())
        .output()
        .expect("gapless runs");
    println!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let result = result_in(&place.path().join("out"));
    assert_passed_unless_late(&output, &result);
    assert_eq!(result.scenarios.len(), files_of(folder).len(), "every file of {folder} was run");
}

#[test]
fn only_a_late_load_is_no_fault_of_a_scenario() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/fastapi");
    let mut scenario = result_in(&published).scenarios.into_iter().next().expect("there is one");
    assert_eq!(not_as_said(&scenario), None);
    scenario.verdict = Verdict::Inconclusive;
    let lateness = scenario.checks.iter().position(|check| check.name == "instrument.lateness").expect("it is checked");
    scenario.checks[lateness].status = Verdict::Inconclusive;
    assert_eq!(not_as_said(&scenario), None);
    let other = (lateness + 1) % scenario.checks.len();
    scenario.checks[other].status = Verdict::Inconclusive;
    assert!(not_as_said(&scenario).is_some());
    scenario.checks[other].status = Verdict::Passed;
    scenario.verdict = Verdict::Failed;
    assert!(not_as_said(&scenario).is_some());
}

fn gapless() -> Command {
    Command::new(GAPLESS)
}

fn files_of(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(library().join(folder)).expect("it is there").flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "toml")).collect()
}

/// One test for each folder, so that tests/all says which one it was.
macro_rules! folders {
    ($($test:ident: $folder:literal,)+) => {
        const FOLDERS: &[&str] = &[$($folder),+];

        $(
            #[test]
            #[ignore = "runs in the box"]
            fn $test() {
                every_scenario_passes($folder);
            }
        )+
    };
}

folders! {
    fastapi_does_what_its_scenarios_say: "fastapi",
    gunicorn_behind_nginx_does_what_its_scenarios_say: "gunicorn-nginx",
    a_runbook_does_what_its_scenarios_say: "runbook",
    instances_and_named_sockets_do_what_their_scenarios_say: "instances",
    a_service_that_greets_does_what_its_scenarios_say: "greeter",
    single_mechanisms_do_what_their_scenarios_say: "mechanisms",
    haproxy_does_what_its_scenarios_say: "haproxy",
    nginx_does_what_its_scenarios_say: "nginx-upgrade",
    services_that_take_messages_do_what_their_scenarios_say: "messages",
    asgi_servers_do_what_their_scenarios_say: "asgi-servers",
    servers_of_http2_do_what_their_scenarios_say: "http2",
    servers_in_go_do_what_their_scenarios_say: "http2-go",
}

/// The one that is to fail: its file is none that a run of the folder takes.
#[test]
#[ignore = "runs in the box"]
fn a_rollout_of_a_broken_release_is_stopped_at_the_canary() {
    let place = tempfile::tempdir().expect("a folder");
    let output = gapless()
        .args(["run", "--manager", "system", "--out"])
        .args([place.path().join("out"), library().join("runbook/rollout-stopped.toml.fails")])
        .stdin(Stdio::null())
        .output()
        .expect("gapless runs");
    // It ends where the broken release is deployed; the others begin with a whole one.
    let _ = fs::remove_dir_all("/run/runbook");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let result = result_in(&place.path().join("out"));
    let scenario = &result.scenarios[0];
    assert!(scenario.reasons.iter().any(|reason| reason.contains("The gate of step 3 did not hold")));
    assert_eq!(scenario.events.len(), 3, "the second wave was not begun");
}

/// `scenarios/README.md` has a row for every scenario, and none for one that is gone.
#[test]
fn the_table_of_the_library_is_complete() {
    let readme = fs::read_to_string(library().join("README.md")).expect("it is there");
    let rows = readme.lines().filter(|line| line.contains("| **PASSED** |"));
    let listed: BTreeSet<String> =
        rows.filter_map(|line| Some(line.strip_prefix("| ")?.split(" | ").next()?.replace('\\', ""))).collect();
    let folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| library().join(folder)).collect();
    let scenarios =
        scenario::load_all(&folders, &[], &Overrides::default()).unwrap_or_else(|errors| panic!("{errors:?}"));
    let there: BTreeSet<String> = scenarios.into_iter().map(|scenario| scenario.plan.name).collect();
    assert_eq!(listed, there);
}

/// Files for launchers of several generators, which are none of a scenario: [`crate::shards`] has their tests.
const OF_LAUNCHERS: &str = "fleet";

#[test]
fn every_folder_of_the_library_is_run() {
    let entries = fs::read_dir(library()).expect("it is there").flatten().filter(|entry| entry.path().is_dir());
    let found: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    let found: BTreeSet<String> = found.into_iter().filter(|folder| folder != OF_LAUNCHERS).collect();
    assert_eq!(found, FOLDERS.iter().map(ToString::to_string).collect());
}

/// One venv serves a whole folder: were the commands not the same, each scenario would undo the last one's.
#[test]
fn the_scenarios_of_a_folder_prepare_the_same_and_no_name_is_used_twice() {
    let folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| library().join(folder)).collect();
    let scenarios = match scenario::load_all(&folders, &[], &Overrides::default()) {
        Ok(scenarios) => scenarios,
        Err(errors) => panic!("{errors:?}"),
    };
    for folder in folders {
        let of_folder = scenarios.iter().filter(|scenario| scenario.plan.directory == folder);
        let prepared: BTreeSet<_> = of_folder
            .filter_map(|scenario| scenario.plan.units.as_ref())
            .map(|units| units.prepare.clone())
            .filter(|commands| !commands.is_empty())
            .collect();
        assert!(prepared.len() <= 1, "{}: {prepared:?}", folder.display());
    }
}
