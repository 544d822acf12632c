//! Failed needs innocence: what the generator may have lost itself does not fail a run.

use super::check;
use crate::analysis::analyse;
use crate::analysis::simulator::plan::failure;
use crate::analysis::simulator::stories::socket_restart;
use crate::analysis::simulator::{Simulation, at_ms};
use crate::model::{Cause, FailureClass, Verdict};
use crate::record::generator::{GeneratorUse, Taken};
use crate::record::line::Line;
use crate::result::ScenarioResult;

/// A run without a loss but for the request of the keep-alive cohort that was due at 3 s, while the load thread was idle
/// for that share of its time.
fn losing(class: FailureClass, idle_percent: u64) -> Simulation {
    let mut run = socket_restart();
    let lost = run.requests.iter_mut().find(|request| request.cohort == 0 && request.due_us == 3_000_000);
    lost.expect("a request is due then").fate = Err(failure(class, false));
    run.other.extend((0..20).map(|second| {
        let (from, to) = (at_ms(second * 1_000), at_ms(second * 1_000 + 1_000));
        let idle_ns = idle_percent * 10_000_000;
        Line::Generator(GeneratorUse {
            shard: 0,
            from,
            to,
            cpu_ns: 1_000_000_000 - idle_ns,
            run_delay_ns: Some(0),
            parked_ns: idle_ns,
            due: 0,
            begun: 0,
            waiting: 0,
            pauses: Vec::new(),
            pauses_left_out: 0,
            taken: Taken::default(),
        })
    }));
    run
}

fn result(class: FailureClass, idle_percent: u64) -> ScenarioResult {
    analyse(&losing(class, idle_percent).record())
}

#[test]
fn a_timeout_while_the_load_thread_was_at_its_limit_is_inconclusive_and_blamed_on_nobody() {
    for class in [FailureClass::ResponseTimeout, FailureClass::NoConnection, FailureClass::ConnectTimeout] {
        let result = result(class, 2);
        assert_eq!((result.verdict, result.dropped), (Verdict::Inconclusive, 1), "{:?}", result.reasons);
        assert_eq!(check(&result, "expect.dropped").status, Verdict::Inconclusive);
        assert!(result.reasons.iter().any(|reason| reason.contains("all that one thread has")), "{:?}", result.reasons);
        assert_eq!(result.causes, [(Cause::Ambiguous, 1)].into());
        let evidence = &result.evidence[0].sentence;
        assert!(evidence.contains("the load thread itself did not keep up"), "{evidence}");
    }
}

#[test]
fn a_timeout_while_the_load_thread_waited_for_the_target_fails_the_run() {
    let result = result(FailureClass::ResponseTimeout, 60);
    assert_eq!(result.verdict, Verdict::Failed);
    assert!(result.checks.iter().all(|check| check.name != "instrument.generator"));
}

#[test]
fn what_the_target_refused_fails_the_run_however_busy_the_load_thread_was() {
    assert_eq!(result(FailureClass::Refused, 2).verdict, Verdict::Failed);
    let mut both = losing(FailureClass::ResponseTimeout, 2);
    let refused = both.requests.iter_mut().find(|request| request.due_us == 3_040_000);
    refused.expect("a request is due then").fate = Err(failure(FailureClass::Refused, false));
    assert_eq!(analyse(&both.record()).verdict, Verdict::Failed, "the generator explains only one of the two");
}

#[test]
fn a_record_that_tells_nothing_of_the_load_thread_is_judged_as_ever() {
    let mut run = losing(FailureClass::ResponseTimeout, 2);
    run.other.retain(|line| !matches!(line, Line::Generator(_)));
    assert_eq!(analyse(&run.record()).verdict, Verdict::Failed);
}

/// The restart's target was not seen to answer again in time: every request from then on failed in this way.
fn never_ready(class: FailureClass) -> ScenarioResult {
    let mut run = socket_restart();
    for request in run.requests.iter_mut().filter(|request| (2_500_000..5_000_000).contains(&request.due_us)) {
        request.fate = Err(failure(class, false));
    }
    let end = run.events[0].end.as_mut().expect("it is over");
    (end.at, end.ready_at, end.is_late) = (at_ms(5_000), None, true);
    end.error = Some("the target did not answer every cohort again".to_owned());
    analyse(&run.record())
}

#[test]
fn a_target_that_nobody_could_ask_again_is_inconclusive() {
    for class in [FailureClass::LocalPort, FailureClass::LocalFd] {
        let result = never_ready(class);
        assert_eq!(result.verdict, Verdict::Inconclusive, "{:?}", result.reasons);
        assert!(
            result.reasons.iter().any(|reason| reason.contains("the generator's own doing")),
            "{:?}",
            result.reasons
        );
    }
    assert_eq!(never_ready(FailureClass::Refused).verdict, Verdict::Failed);
}
