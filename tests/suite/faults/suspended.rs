//! The machine is suspended, as far as the harness can tell: it is stopped for two seconds.

use std::time::Duration;

use gapless::model::FailureClass;
use rustix::process::Signal;

use crate::faults::rig::Running;
use crate::faults::scenario::Scenario;

/// Stops a run for two seconds in its middle.
fn suspend(scenario: &Scenario) -> crate::faults::rig::Ended {
    let mut run = Running::start(scenario, "embedded");
    run.await_record("\"type\":\"step_begin\"");
    run.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(2));
    run.signal(Signal::CONT);
    run.end()
}

#[test]
fn a_suspended_harness_is_inconclusive_even_if_every_request_was_answered_in_the_end() {
    let scenario = Scenario::new("suspended").then("wait = \"3s\"");
    let result = suspend(&scenario).is_inconclusive(3, "The load thread did not run once, for up to 2.");
    assert_eq!((result.requests.failed, result.requests.unsent), (0, 0));
}

#[test]
fn what_timed_out_while_the_harness_was_suspended_is_unsent_and_not_dropped() {
    let scenario = Scenario::new("timed-out").with_target("timeout = \"500ms\"").then("wait = \"3s\"");
    let result = suspend(&scenario).is_inconclusive(3, "The load thread did not run once, for up to 2.");
    assert_eq!(result.requests.failed, 0, "{:?}", result.outcomes);
    assert!(result.outcomes[&FailureClass::Interrupted] > 0);
}
