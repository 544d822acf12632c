//! A job that never ends: it is told, and the user can give it up.

use std::time::{Duration, Instant};

use gapless::record::line::EndReason;
use rustix::process::Signal;

use crate::faults::rig::{Running, nothing_is_left_of, until};
use crate::faults::scenario::{Scenario, ledgers, show};
use crate::systemd::manager::rig::Foreign;

/// It never says READY=1, and systemd waits for that for ever.
const NEVER_READY: &str = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=sleep infinity\n";

/// It does not end at SIGTERM, and systemd waits for that for ever.
const NEVER_STOPS: &str =
    "[Service]\nTimeoutStopSec=infinity\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\n";

fn ends_soon(run: Running, what: &str) -> crate::faults::rig::Ended {
    let asked = Instant::now();
    let run = run.end();
    assert!(asked.elapsed() < Duration::from_secs(15), "{what}: {:?}", asked.elapsed());
    run
}

#[test]
#[ignore = "runs in the box"]
fn a_job_that_does_not_end_is_told_and_the_second_signal_cancels_it() {
    let hang = Foreign::new("gapless-test-hang.service", NEVER_READY);
    for signals in [[Signal::INT, Signal::INT], [Signal::TERM, Signal::TERM], [Signal::INT, Signal::TERM]] {
        let scenario = Scenario::new("hung").then(&format!("start = \"{}\"", hang.0));
        let mut run = Running::start(&scenario, "system");
        run.await_record("\"type\":\"step_begin\"");
        until("it is told what is waited for", || scenario.said().contains(&format!("start of {} (job ", hang.0)));
        run.signal(signals[0]);
        until("the first signal is told of", || scenario.said().contains("interrupted: waiting for the start of"));
        until("the first signal has ended the load", || {
            let rows = || run.written().matches("\"type\":\"rows\"").count();
            let before = rows();
            std::thread::sleep(Duration::from_millis(2_500));
            rows() == before
        });
        assert!(run.child().try_wait().expect("ours").is_none(), "the first signal waits for the job");
        assert_eq!(show(hang.0, "ActiveState"), "activating");
        run.signal(signals[1]);
        let run = ends_soon(run, "after the second signal");
        assert_eq!(run.code, Some(130), "{}", scenario.said());
        assert!(run.record().end.is_some_and(|end| end.reason == EndReason::Interrupted));
        assert_eq!((show(hang.0, "ActiveState").as_str(), show(hang.0, "Job").as_str()), ("inactive", ""));
        nothing_is_left_of(&scenario);
        assert_eq!(ledgers(), [""; 0]);
    }
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_of_the_run_that_does_not_stop_is_killed_at_the_second_signal() {
    let scenario = Scenario::new("hung-stop").served_by(&format!(
        "[Service]\nTimeoutStopSec=infinity\nType=notify\nExecStart={} demo-server --stop ignore\n",
        crate::support::GAPLESS
    ));
    let scenario = scenario.then("wait = \"100ms\"");
    let run = Running::start(&scenario, "system");
    until("it is told what is waited for", || scenario.said().contains("stop of hung-stop.service (job "));
    run.signal(Signal::TERM);
    run.signal(Signal::INT);
    ends_soon(run, "after the second signal");
    assert_eq!(show("hung-stop.service", "LoadState"), "not-found", "{}", scenario.said());
    nothing_is_left_of(&scenario);
    assert_eq!(ledgers(), [""; 0]);
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_cannot_be_stopped_again_is_an_error_with_the_command_that_mends_it() {
    let hang = Foreign::new("gapless-test-stuck.service", NEVER_STOPS);
    let scenario = Scenario::new("stuck").then(&format!("start = \"{}\"\nready = false", hang.0));
    let run = Running::start(&scenario, "system");
    until("it is told what is waited for", || scenario.said().contains(&format!("stop of {} (job ", hang.0)));
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    ends_soon(run, "after the second signal");
    let said = scenario.said();
    let sentence = format!("{} is not as it was found: it was inactive and is deactivating", hang.0);
    assert!(said.contains(&sentence), "{said}");
    assert_eq!(ledgers(), [""; 0]);
}

#[test]
fn an_embedded_job_that_does_not_end_is_given_up_at_the_second_signal_too() {
    let scenario = Scenario::new("hung-embedded").served_by(&format!(
        "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart={} demo-server --never-ready\n",
        crate::support::GAPLESS
    ));
    let scenario = scenario.then("restart = \"service\"");
    let mut run = Running::start(&scenario, "embedded");
    run.await_record("\"type\":\"step_begin\"");
    until("it is told what is waited for", || scenario.said().contains("waiting for the restart of"));
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    let run = ends_soon(run, "after the second signal");
    assert_eq!(run.code, Some(130), "{}", scenario.said());
    nothing_is_left_of(&scenario);
}
