//! What each loss, doubt and broken expectation does to the verdict.

use std::time::Duration;

use super::check;
use crate::analysis::analyse;
use crate::analysis::simulator::plan::{failure, service};
use crate::analysis::simulator::stories::{plain_restart, socket_restart};
use crate::analysis::simulator::{Simulation, at_ms};
use crate::model::bound::{Comparison, Limit};
use crate::model::{Bound, FailureClass, JobResult, Metric, Verdict};
use crate::record::line::{EndReason, Line, Note, NoteKind, StateCheck, StepEnd};
use crate::result::ScenarioResult;
use crate::scenario::plan::{EndExpectation, Expectations};

fn at_most_ms(ms: u64) -> Bound {
    Bound { comparison: Comparison::AtMost, limit: Limit::Time(Duration::from_millis(ms)) }
}

fn more_than(count: f64) -> Bound {
    Bound { comparison: Comparison::MoreThan, limit: Limit::Number(count) }
}

fn expecting(mut run: Simulation, bounds: &[(Metric, Bound)]) -> ScenarioResult {
    run.plan.expect.bounds = bounds.to_vec();
    analyse(&run.record())
}

/// The run, with the end of its first event as it is told.
fn ending(mut run: Simulation, tell: impl FnOnce(&mut StepEnd)) -> ScenarioResult {
    tell(run.events[0].end.as_mut().expect("it is over"));
    analyse(&run.record())
}

/// The run, with the fate of one request of the keep-alive cohort.
fn losing(mut run: Simulation, due_ms: u64, class: FailureClass) -> ScenarioResult {
    let lost = run.requests.iter_mut().find(|request| request.cohort == 0 && request.due_us == due_ms * 1_000);
    lost.expect("a request is due then").fate = Err(failure(class, false));
    analyse(&run.record())
}

fn says(result: &ScenarioResult, part: &str) -> bool {
    result.reasons.iter().any(|reason| reason.contains(part))
}

#[test]
fn a_negative_control_passes_when_it_loses_what_it_should() {
    let result = expecting(plain_restart(), &[(Metric::Dropped, more_than(0.0))]);
    assert_eq!(result.verdict, Verdict::Passed, "{:?}", result.reasons);
    let result = expecting(socket_restart(), &[(Metric::Dropped, more_than(0.0))]);
    assert_eq!(result.verdict, Verdict::Failed);
}

#[test]
fn an_event_with_a_wrong_answer_is_not_called_clean() {
    let result = losing(socket_restart(), 1_600, FailureClass::UnexpectedStatus);
    assert!(says(&result, "1 of 3 restarts had wrong answers and none dropped anything"), "{:?}", result.reasons);
    assert!(!says(&result, "clean"), "{:?}", result.reasons);
    let outside = losing(socket_restart(), 1_200, FailureClass::UnexpectedStatus);
    assert!(says(&outside, "3 of 3 restarts were clean"), "{:?}", outside.reasons);
}

#[test]
fn a_latency_bound_fails_unless_the_generator_was_late_itself() {
    let bound = [(Metric::P99, at_most_ms(100))];
    assert_eq!(expecting(socket_restart(), &bound).verdict, Verdict::Failed);
    let late = Simulation { lateness_us: 10_100, ..socket_restart() };
    let result = expecting(late, &bound);
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert_eq!(check(&result, "expect.p99").status, Verdict::Inconclusive);
    assert_eq!(check(&result, "instrument.lateness").status, Verdict::Inconclusive);
}

#[test]
fn one_hiccup_of_the_machine_does_not_put_a_run_in_doubt_but_a_slow_generator_does() {
    let held_up = |until_ms| {
        let result = analyse(&Simulation { hiccup_ms: 2_000..until_ms, ..socket_restart() }.record());
        let check = check(&result, "instrument.lateness");
        (result.verdict, check.actual.clone())
    };
    // Nine of 813 make the p99 late; that fourteen are is no chance.
    let late = |count| format!("p99 25.000 ms, {count} of 813 over 10 ms");
    assert_eq!(held_up(2_056), (Verdict::Passed, "p99 0.040 ms".to_owned()));
    for (until_ms, count) in [(2_066, 9), (2_096, 13)] {
        assert_eq!(held_up(until_ms), (Verdict::Passed, late(count) + ", which may be chance"));
    }
    assert_eq!(held_up(2_106), (Verdict::Inconclusive, late(14)));
}

#[test]
fn a_latency_bound_does_not_fail_by_the_generators_hiccup() {
    let held_up = Simulation { hiccup_ms: 2_000..2_090, ..socket_restart() };
    let result = expecting(held_up, &[(Metric::P99, at_most_ms(100))]);
    assert_eq!(result.verdict, Verdict::Inconclusive);
}

#[test]
fn a_bound_on_what_was_never_answered_does_not_hold() {
    let result = expecting(plain_restart(), &[(Metric::P99, at_most_ms(3_600_000))]);
    assert_eq!((result.verdict, check(&result, "expect.p99").actual.as_str()), (Verdict::Failed, "never"));
}

#[test]
fn what_is_not_measured_is_no_reason_to_pass() {
    let result = expecting(socket_restart(), &[(Metric::Flaps, Bound::at_most(0.0))]);
    assert_eq!(
        (result.verdict, check(&result, "expect.flaps").actual.as_str()),
        (Verdict::Inconclusive, "not measured")
    );
}

#[test]
fn an_unproven_restart_is_inconclusive_but_a_loss_stays_a_loss() {
    let unproven = |end: &mut StepEnd| end.proof[0].holds = false;
    let result = ending(socket_restart(), unproven);
    assert_eq!((result.verdict, result.events[0].proven), (Verdict::Inconclusive, Some(false)));
    assert!(says(&result, "Restart 1 of ledger.service is not proven: InvocationID changed"), "{:?}", result.reasons);
    assert_eq!(ending(plain_restart(), unproven).verdict, Verdict::Failed);
}

#[test]
fn a_restart_without_any_claim_is_not_proven() {
    let result = ending(socket_restart(), |end| end.proof.clear());
    assert_eq!((result.verdict, result.events[0].proven), (Verdict::Inconclusive, Some(false)));
}

#[test]
fn a_job_that_is_not_done_fails_and_one_that_a_stranger_canceled_is_inconclusive() {
    let result = ending(socket_restart(), |end| end.job = Some(JobResult::Timeout));
    assert_eq!((result.verdict, check(&result, "step.restart").status), (Verdict::Failed, Verdict::Failed));
    let result = ending(socket_restart(), |end| end.job = Some(JobResult::Canceled));
    assert_eq!((result.verdict, check(&result, "step.restart").status), (Verdict::Inconclusive, Verdict::Inconclusive));
}

#[test]
fn a_job_that_must_be_refused_passes_when_it_is() {
    let mut run = socket_restart();
    run.plan.steps[0].job = JobResult::Failed;
    for event in &mut run.events {
        let end = event.end.as_mut().expect("it is over");
        end.job = Some(JobResult::Failed);
        end.proof.clear();
    }
    assert_eq!(analyse(&run.record()).verdict, Verdict::Passed);
    assert_eq!(ending(run, |end| end.job = Some(JobResult::Done)).verdict, Verdict::Failed);
}

#[test]
fn a_step_that_failed_fails_the_scenario_with_its_own_words() {
    let mut run = socket_restart();
    run.end = Some(EndReason::StepFailed);
    let result = ending(run, |end| end.error = Some("not ready within 30 s".to_owned()));
    assert_eq!(result.verdict, Verdict::Failed);
    assert_eq!(result.reasons[0], "Restart 1 of ledger.service failed: not ready within 30 s.");
}

#[test]
fn a_run_that_did_not_get_to_its_end_is_never_passed() {
    let ended = |reason| analyse(&Simulation { end: Some(reason), ..socket_restart() }.record()).verdict;
    assert_eq!(ended(EndReason::Interrupted), Verdict::Inconclusive);
    assert_eq!(ended(EndReason::NotReady("no answer".to_owned())), Verdict::Inconclusive);
    assert_eq!(ended(EndReason::Error("the bus is gone".to_owned())), Verdict::Inconclusive);
    assert_eq!(ended(EndReason::Stopped("1000 dropped".to_owned())), Verdict::Failed);
    assert_eq!(ended(EndReason::StepFailed), Verdict::Failed);
}

#[test]
fn a_run_in_a_twin_that_was_full_neither_passes_nor_fails() {
    let full = || Some(EndReason::Full("the twin's scratch is full".to_owned()));
    let passes = analyse(&Simulation { end: full(), ..socket_restart() }.record());
    assert_eq!(passes.verdict, Verdict::Inconclusive);
    assert!(says(&passes, "The twin's scratch is full."));
    assert_eq!(analyse(&Simulation { end: full(), ..plain_restart() }.record()).verdict, Verdict::Inconclusive);
}

#[test]
fn a_note_of_doubt_is_inconclusive_and_other_notes_are_not() {
    let noted = |kind| {
        let mut run = socket_restart();
        run.other.push(Line::Note(Note { kind, message: "somebody else was here".to_owned() }));
        analyse(&run.record())
    };
    assert_eq!(noted(NoteKind::Doubt).verdict, Verdict::Inconclusive);
    assert!(says(&noted(NoteKind::Doubt), "Somebody else was here."));
    assert_eq!(noted(NoteKind::Unavailable).verdict, Verdict::Passed);
}

#[test]
fn a_failure_in_the_warmup_is_inconclusive() {
    let result = losing(socket_restart(), 900, FailureClass::Refused);
    assert_eq!((result.verdict, result.dropped), (Verdict::Inconclusive, 0));
    assert_eq!(check(&result, "instrument.warmup").actual, "1 failed");
}

#[test]
fn a_failure_before_the_warmup_counts_down_is_a_service_that_still_starts() {
    let mut run = socket_restart();
    run.plan.run.warmup = Duration::from_millis(500);
    assert_eq!(losing(run, 100, FailureClass::Refused).verdict, Verdict::Passed);
}

#[test]
fn what_the_generator_could_not_send_is_inconclusive_and_not_failed() {
    let result = losing(socket_restart(), 3_000, FailureClass::LocalPort);
    assert_eq!((result.verdict, result.requests.unsent, result.requests.failed), (Verdict::Inconclusive, 1, 0));
    assert!(result.latency_ms.all.max.is_some(), "it is not in the latencies");
}

#[test]
fn a_state_that_is_not_as_it_should_be_fails_though_every_request_was_answered() {
    let checked = |status| {
        let mut run = socket_restart();
        run.other.push(Line::Check(StateCheck {
            name: "latent.socket_down".to_owned(),
            expected: "ledger.socket is active".to_owned(),
            actual: "inactive".to_owned(),
            status,
        }));
        analyse(&run.record())
    };
    assert_eq!(checked(Verdict::Passed).verdict, Verdict::Passed);
    assert_eq!(checked(Verdict::Inconclusive).verdict, Verdict::Inconclusive);
    assert_eq!((checked(Verdict::Failed).verdict, checked(Verdict::Failed).dropped), (Verdict::Failed, 0));
}

#[test]
fn a_latent_failure_that_is_expected_passes_and_its_absence_fails() {
    let judged = |found: &[Verdict]| {
        let mut run = socket_restart();
        let latent = Some(Bound { comparison: Comparison::AtLeast, limit: Limit::Number(1.0) });
        run.plan.expect.end = Some(EndExpectation { latent, ..EndExpectation::default() });
        run.other.extend((0..).zip(found).map(|(number, &status)| {
            Line::Check(StateCheck {
                name: format!("latent.{number}"),
                expected: "it is well".to_owned(),
                actual: "broken".to_owned(),
                status,
            })
        }));
        analyse(&run.record())
    };
    let found = judged(&[Verdict::Passed, Verdict::Failed]);
    assert_eq!(found.verdict, Verdict::Passed, "{:?}", found.reasons);
    assert_eq!(check(&found, "expect.end.latent").actual, "1: latent.1 is broken");
    let none = judged(&[Verdict::Passed]);
    assert_eq!(none.verdict, Verdict::Failed);
    assert!(says(&none, "Latent failures: 0; >= 1 was expected."), "{:?}", none.reasons);
    assert_eq!(judged(&[]).verdict, Verdict::Inconclusive, "nobody looked");
}

#[test]
fn a_cold_start_is_the_latency_of_the_first_request_if_there_was_no_warmup() {
    let cold = |change: fn(&mut Simulation)| {
        let mut run = socket_restart();
        run.plan.run.warmup = Duration::ZERO;
        run.counting_ms = 0;
        for request in run.requests.iter_mut().filter(|request| request.due_us < 100_000) {
            request.end_us = Some(150_000);
        }
        change(&mut run);
        let result = expecting(run, &[(Metric::ColdStart, at_most_ms(140))]);
        let check = check(&result, "expect.cold_start");
        (check.actual.clone(), check.status)
    };
    assert_eq!(cold(|_| ()), ("150.000 ms".to_owned(), Verdict::Failed));
    let first_lost = cold(|run| {
        let lost = run.requests.iter_mut().filter(|request| request.due_us == 0);
        lost.for_each(|request| request.fate = Err(failure(FailureClass::Refused, false)));
    });
    assert_eq!(first_lost, ("never".to_owned(), Verdict::Failed));
    let later_lost = cold(|run| {
        let lost = run.requests.iter_mut().filter(|request| request.due_us == 80_000);
        lost.for_each(|request| request.fate = Err(failure(FailureClass::Refused, false)));
    });
    assert_eq!(later_lost, ("150.000 ms".to_owned(), Verdict::Failed));
    let warm = expecting(socket_restart(), &[(Metric::ColdStart, at_most_ms(140))]);
    assert_eq!(check(&warm, "expect.cold_start").actual, "not measured");
}

#[test]
fn an_event_in_which_nothing_was_due_shows_nothing() {
    let mut run = socket_restart();
    run.requests.retain(|request| request.due_us < 5_400_000);
    let result = analyse(&run.record());
    assert_eq!(
        (result.verdict, check(&result, "requests.restart").status),
        (Verdict::Inconclusive, Verdict::Inconclusive)
    );
    assert!(says(&result, "No request fell due during restart 3 of ledger.service"), "{:?}", result.reasons);
}

#[test]
fn fewer_runs_than_planned_are_inconclusive() {
    let mut run = socket_restart();
    run.plan.steps[0].times = 4;
    let result = analyse(&run.record());
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(says(&result, "Only 3 of 4 restarts were begun."), "{:?}", result.reasons);
}

#[test]
fn a_step_with_expectations_of_its_own_is_judged_by_them_and_the_rest_by_the_scenarios() {
    let mut run = plain_restart();
    run.plan.steps[0].expect =
        Some(Expectations { bounds: vec![(Metric::Dropped, Bound::at_most(72.0))], ..Expectations::default() });
    let result = analyse(&run.record());
    assert_eq!(result.verdict, Verdict::Passed, "{:?}", result.reasons);
    assert_eq!(check(&result, "step.1.expect.dropped").actual, "72");
    assert_eq!(check(&result, "expect.dropped").actual, "0");
    let result = losing(run, 1_200, FailureClass::Refused);
    assert_eq!((result.verdict, result.dropped_outside_events), (Verdict::Failed, 1));
    assert_eq!(check(&result, "expect.dropped").actual, "1");
}

#[test]
fn a_cohort_is_held_to_its_own_bounds() {
    let mut run = plain_restart();
    let bounds = vec![(Metric::Dropped, Bound::at_most(14.0))];
    run.plan.expect = Expectations { cohorts: vec![("new".to_owned(), bounds)], ..Expectations::default() };
    assert_eq!(analyse(&run.record()).verdict, Verdict::Passed);
    run.plan.expect.cohorts[0].1[0].1 = Bound::at_most(13.0);
    let result = analyse(&run.record());
    assert_eq!(result.verdict, Verdict::Failed);
    assert!(
        says(&result, "14 of 138 requests were dropped in cohort new; expected: at most 13."),
        "{:?}",
        result.reasons
    );
}

#[test]
fn rows_that_do_not_agree_with_histograms_are_inconclusive() {
    let record = socket_restart().record_with(|lines| {
        let last = lines.iter().rposition(|line| matches!(line, Line::Segment(_))).expect("there are segments");
        lines.remove(last);
    });
    let result = analyse(&record);
    assert_eq!(
        (result.verdict, check(&result, "instrument.record").status),
        (Verdict::Inconclusive, Verdict::Inconclusive)
    );
}

#[test]
fn a_cohort_that_is_not_in_the_plan_is_inconclusive() {
    let mut record = socket_restart().record();
    record.begin.plan.cohorts.truncate(1);
    let result = analyse(&record);
    assert_eq!(
        (result.verdict, check(&result, "instrument.record").status),
        (Verdict::Inconclusive, Verdict::Inconclusive)
    );
}

#[test]
fn a_cohort_without_requests_is_inconclusive() {
    let mut run = socket_restart();
    run.requests.retain(|request| request.cohort == 0);
    let result = analyse(&run.record());
    assert_eq!(result.verdict, Verdict::Inconclusive);
    assert!(says(&result, "No request fell due in new, so it shows nothing."), "{:?}", result.reasons);
}

#[test]
fn recovery_is_the_time_until_a_good_second_began_and_has_no_end_without_one() {
    let result = analyse(&plain_restart().record());
    // Begun in the row of its beginning, 300 ms of failures, then good.
    assert_eq!(result.events[0].recovery_ms, Some(300.0));
    let mut run = plain_restart();
    for request in run.requests.iter_mut().filter(|request| request.due_us >= 4_300_000) {
        request.end_us = Some(request.due_us + 50_000);
    }
    let result = expecting(run, &[(Metric::Recovery, at_most_ms(3_600_000))]);
    assert_eq!((result.events[1].recovery_ms, check(&result, "expect.recovery").actual.as_str()), (None, "never"));
}

#[test]
fn an_outage_that_outlasts_its_window_has_no_end() {
    let mut run = plain_restart();
    for request in run.requests.iter_mut().filter(|request| request.due_us >= 4_020_000) {
        request.fate = Err(failure(FailureClass::Refused, false));
    }
    let end = run.events[1].end.as_mut().expect("it is over");
    end.after = vec![service(at_ms(6_000), None, at_ms(0))];
    let result = expecting(run, &[(Metric::Outage, at_most_ms(3_600_000))]);
    assert_eq!((result.events[1].outage_ms, result.events[1].first_ok_ms), (None, Some(1.4)));
    assert_eq!(check(&result, "expect.outage").status, Verdict::Failed);
}
