//! Whole records in, known figures out.

use super::simulator::stories;
use super::{ScenarioResult, analyse};
use crate::model::{Cause, FailureClass, Verdict};

fn check<'r>(result: &'r ScenarioResult, name: &str) -> &'r super::result::CheckResult {
    result
        .checks
        .iter()
        .find(|check| check.name == name)
        .unwrap_or_else(|| panic!("no check {name}: {:?}", result.checks))
}

#[test]
fn a_restart_behind_a_socket_passes_and_says_how_sure_that_is() {
    let result = analyse(&stories::socket_restart().record());
    assert_eq!(
        (result.verdict, result.dropped, result.requests.due),
        (Verdict::Passed, 0, 813),
        "{:?}",
        result.reasons
    );
    assert_eq!(
        result.reasons,
        ["0 of 3 restarts dropped anything: at 95 % confidence fewer than 63.2 % do; \
          a gap in the listener of less than 40.0 ms may have gone unseen."]
    );
    let event = &result.events[0];
    assert_eq!((event.at_ms, event.stop_ms, event.job_ms), (500.0, Some(20.0), Some(26.0)));
    assert_eq!((event.first_ok_ms, event.boot_ms), (Some(301.5), Some(280.5)));
    assert_eq!((event.outage_ms, event.proven), (Some(0.0), Some(true)));
    assert_eq!((event.incarnation_changed, event.listener_inode_changed), (Some(true), Some(false)));
    assert_eq!((event.queue_peak, event.backlog), (Some(31), Some(128)));
    assert_eq!((event.main_pid_before, event.main_pid_after), (Some(812), Some(840)));
    assert_eq!(result.status_codes, [(200, 813)].into());
    assert_eq!(result.steps[0].resolution_ms, Some(40.0));
}

#[test]
fn a_plain_restart_fails_with_a_cause_for_every_loss() {
    let result = analyse(&stories::plain_restart().record());
    assert_eq!(result.verdict, Verdict::Failed);
    assert_eq!(check(&result, "expect.dropped").status, Verdict::Failed);
    assert_eq!((result.dropped, result.http_000, result.dropped_outside_events), (72, 72, 0));
    assert_eq!(result.causes[&Cause::NoListener], 69);
    assert_eq!(result.causes[&Cause::AcceptQueueReset], 1);
    assert_eq!(result.causes[&Cause::KeepAliveRace], 2);
    assert_eq!(result.events[0].dropped, 36);
    assert_eq!(result.events[0].outage_ms, Some(291.98));
    assert_eq!(result.latency_ms.all.p99, None);
    assert!(result.latency_ms.answered.p99.is_some());
    let sentence = &result.evidence[0].sentence;
    assert_eq!(
        sentence,
        "34 refused: nobody listened on 127.0.0.1:8010 from 0.520 s to 0.800 s, between the exit of PID 812 and the start of PID 840"
    );
}

#[test]
fn an_interrupted_run_never_passes() {
    let result = analyse(&stories::interrupted().record());
    assert_eq!((result.verdict, result.dropped), (Verdict::Inconclusive, 0));
    assert_eq!(result.requests.unsent, 3);
    assert_eq!(check(&result, "run.end").actual, "interrupted");
}

#[test]
fn a_record_without_end_never_passes_and_counts_what_was_under_way() {
    let result = analyse(&stories::incomplete().record());
    assert!(result.incomplete);
    assert_eq!(result.verdict, Verdict::Failed, "a loss is a loss");
    assert_eq!(result.requests.unsent, 3);
    assert_eq!(result.outcomes[&FailureClass::Interrupted], 3);
    assert_eq!(result.events[1].proven, Some(false));
    assert_eq!(check(&result, "proof.restart").status, Verdict::Inconclusive);
}
