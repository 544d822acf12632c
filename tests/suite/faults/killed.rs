//! SIGKILL at any moment.

use std::fs;
use std::time::Duration;

use gapless::model::Verdict;
use gapless::record::line::EndReason;
use rustix::process::Signal;

use crate::faults::rig::{Ended, Running, nothing_is_left_of, until};
use crate::faults::scenario::{Scenario, systemctl};

/// How often a run is killed; `GAPLESS_TEST_KILLS` says otherwise.
const KILLS: u64 = 10;

/// A run is over before this.
const MOMENT_MAX_MS: u64 = 2_500;

/// The moments at which to kill, after the start: the same ones in every run of the test.
fn moments() -> impl Iterator<Item = Duration> {
    let times = std::env::var("GAPLESS_TEST_KILLS").map_or(KILLS, |times| times.parse().expect("a number"));
    // A Weyl sequence: however many are taken, they lie evenly.
    (1..=times).map(|number| Duration::from_millis(((number * 0x9E37_79B9) % (1 << 32) * MOMENT_MAX_MS) >> 32))
}

fn scenario(name: &str) -> Scenario {
    Scenario::new(name)
        .then("restart = \"service\"\ntimes = 2\nevery = \"500ms\"")
        .then("kill = \"service\"\nsignal = \"KILL\"")
}

/// Starts it and kills it; sees that what it recorded can be read and is not taken for more than it is.
fn kill_after(moment: Duration, scenario: &Scenario, manager: &str) {
    let out = scenario.folder().join("out");
    let _ = fs::remove_dir_all(&out);
    let mut run = Running::start(scenario, manager);
    std::thread::sleep(moment);
    if run.child().try_wait().expect("ours").is_none() {
        run.signal(Signal::KILL);
    }
    let run = run.end();
    if run.out.join(format!("records/{}.jsonl", scenario.name())).metadata().is_ok_and(|file| file.len() > 0) {
        record_says_what_it_is(&run, moment);
    }
}

fn record_says_what_it_is(run: &Ended, moment: Duration) {
    let (code, result) = run.reported();
    let requests = &result.requests;
    assert_eq!(requests.due, requests.ok + requests.failed + requests.unsent, "{moment:?}");
    let end = run.record().end.map(|end| end.reason);
    assert_eq!(result.incomplete, end.is_none(), "{moment:?}: {end:?}");
    let is_complete = end == Some(EndReason::Completed);
    assert!(is_complete || (result.verdict != Verdict::Passed && code != Some(0)), "{moment:?}: {:?}", result.verdict);
}

/// No ledger is left, and no tracing instance.
fn nothing_is_left_of_runs() {
    let ledgers = || fs::read_dir("/run/gapless").map_or(0, |entries| entries.flatten().count());
    until("every ledger is settled", || ledgers() == 0);
}

#[test]
fn wherever_an_embedded_run_is_killed_nothing_is_left_and_its_record_can_be_read() {
    let scenario = scenario("killed-embedded");
    for moment in moments() {
        kill_after(moment, &scenario, "embedded");
        nothing_is_left_of(&scenario);
    }
}

#[test]
#[ignore = "runs in the box"]
fn wherever_a_run_is_killed_the_next_one_takes_its_units_away() {
    let scenario = scenario("killed");
    for moment in moments() {
        kill_after(moment, &scenario, "system");
    }
    // The next run, of another scenario.
    let next = Scenario::new("after-the-killed").then("wait = \"100ms\"");
    let run = Running::start(&next, "system").end();
    assert!(matches!(run.code, Some(0 | 3)), "{}", next.said());
    for scenario in [&scenario, &next] {
        assert!(!scenario.installed("service").exists() && !scenario.installed("socket").exists());
        nothing_is_left_of(scenario);
    }
    nothing_is_left_of_runs();
}

#[test]
#[ignore = "runs in the box"]
fn wherever_a_run_is_killed_the_next_one_starts_again_what_it_had_stopped() {
    let stop_and_start = "stop = \"service\"\n\n[[steps]]\nstop = \"socket\"\n\n[[steps]]\nwait = \"1s\"\n\n\
                          [[steps]]\nstart = \"socket\"\n\n[[steps]]\nstart = \"service\"";
    let scenario = Scenario::new("found").found().then(stop_and_start);
    for moment in moments() {
        kill_after(moment, &scenario, "system");
    }
    let next = Scenario::new("after-the-found").then("wait = \"100ms\"");
    Running::start(&next, "system").end();
    systemctl(&["is-active", &scenario.unit("socket"), &scenario.unit("service")]);
    nothing_is_left_of(&next);
    nothing_is_left_of_runs();
}
