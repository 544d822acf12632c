//! Whole records in, known figures out.

use super::simulator::stories;
use super::{ScenarioResult, analyse};
use crate::model::{ActionKind, Cause, FailureClass, Verdict};
use crate::record::line::Line;
use crate::result::{EventPhase, Slowest};

fn check<'r>(result: &'r ScenarioResult, name: &str) -> &'r crate::result::CheckResult {
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
        [
            "3 of 3 restarts were clean: at 95 % confidence fewer than 63.2 % drop anything; 59 clean ones in a row would show \
          that fewer than 5 % do; a gap in the listener of less than 25.0 ms may have gone unseen."
        ]
    );
    let event = &result.events[0];
    assert_eq!((event.at_ms, event.stop_ms, event.job_ms), (500.0, Some(20.0), Some(26.0)));
    assert_eq!((event.first_ok_ms, event.boot_ms), (Some(301.5), Some(280.5)));
    assert_eq!((event.outage_ms, event.proven), (Some(0.0), Some(true)));
    assert_eq!((event.incarnation_changed, event.listener_inode_changed), (Some(true), Some(false)));
    assert_eq!((event.queue_peak, event.backlog), (Some(31), Some(128)));
    // Due as the restart began: 20 ms of drain, 1 ms of nobody, and the boot until the first answer, its own.
    let slowest = Slowest { latency_ms: 301.5, drain_ms: 20.0, queue_ms: 1.0, boot_ms: 280.5, rest_ms: 0.0 };
    assert_eq!(event.slowest, Some(slowest));
    // 16 kept connections, and 25/s through a stall of 319.9 ms.
    assert_eq!((event.stall_ms, event.backlog_needed), (Some(319.872), Some(24)));
    assert_eq!((event.main_pid_before, event.main_pid_after), (Some(812), Some(840)));
    assert_eq!(result.status_codes, [(200, 813)].into());
    assert_eq!(result.steps[0].resolution_ms, Some(40.0));
}

#[test]
fn the_first_answer_after_a_command_counts_from_when_the_old_process_went() {
    let mut record = stories::socket_restart().record();
    for line in &mut record.lines {
        if let Line::StepBegin(begin) = line {
            begin.action = ActionKind::Exec;
        }
    }
    // The process went after 20 ms: what the old one answered until then tells nothing of the command.
    assert_eq!(analyse(&record).events[0].first_ok_ms, Some(281.5));
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
    // Nobody ran for 2 ms only: they were refused before, by a process without a listener, and by one that came up.
    let phases = &result.evidence[0].phases;
    assert_eq!(phases.values().sum::<u64>(), result.evidence[0].count);
    assert_eq!(phases.keys().collect::<Vec<_>>(), [&EventPhase::Stopping, &EventPhase::Starting]);
    let sentence = &result.evidence[0].sentence;
    assert_eq!(
        sentence,
        "34 refused: no process was listening on 127.0.0.1:8010 from 0.520 s to 0.800 s, between the exit of PID 812 and the start of PID 840 (inferred)"
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

mod innocence;
mod sight;
mod truth;
mod unframed;
mod verdicts;

mod properties {
    use proptest::prelude::*;

    use super::super::simulator::plan::{failure, plan, restart};
    use super::super::simulator::{Request, Simulation};
    use super::super::{ScenarioResult, analyse};
    use crate::model::{FailureClass, UnitVerb};
    use crate::record::line::EndReason;

    fn any_request() -> impl Strategy<Value = Request> {
        let class = proptest::sample::select(FailureClass::ALL);
        let fate = prop_oneof![3 => Just(None), 2 => (class, any::<bool>()).prop_map(Some)];
        (0_u16..2, 0_u64..8_000_000, 0_u64..3_000_000, any::<u8>(), fate).prop_map(
            |(cohort, due_us, after_us, unended, fate)| Request {
                cohort,
                due_us,
                sent_us: Some(due_us),
                end_us: (unended >= 8).then_some(due_us + after_us),
                fate: fate.map_or(Ok(200), |(class, reused)| Err(failure(class, reused))),
            },
        )
    }

    pub(super) fn any_run() -> impl Strategy<Value = Simulation> {
        let requests = proptest::collection::vec(any_request(), 0..200);
        let begins = proptest::collection::btree_set(1_000_u64..8_000, 0..4);
        (requests, begins, any::<bool>(), any::<bool>()).prop_map(|(requests, begins, has_socket, is_complete)| {
            let times = u32::try_from(begins.len()).expect("a few");
            Simulation {
                plan: plan("random", has_socket, UnitVerb::Restart, times.max(1)),
                counting_ms: 1_000,
                stopped_ms: 11_000,
                requests,
                events: (0..).zip(begins).map(|(run, at)| restart(run, at, has_socket, (30, 40, 300))).collect(),
                other: Vec::new(),
                end: is_complete.then_some(EndReason::Completed),
                flush_ms: 1_000,
                lateness_us: 40,
                hiccup_ms: 0..0,
            }
        })
    }

    /// What must be the same however the counts were cut: all but `outage_ms`, which a cut may round up to the
    /// next row.
    fn without_outage(mut result: ScenarioResult) -> ScenarioResult {
        result.outage_ms = None;
        result.cohorts.iter_mut().for_each(|cohort| cohort.outage_ms = None);
        result.events.iter_mut().for_each(|event| event.outage_ms = None);
        result
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn nothing_is_counted_twice_or_lost(run in any_run()) {
            let result = analyse(&run.record());
            let counted: Vec<&Request> = run.requests.iter().filter(|request| request.due_us >= 1_000_000).collect();
            let ended = |meant: fn(&FailureClass) -> bool| {
                let of = |request: &&&Request| request.end_us.is_some() && request.fate.is_err_and(|key| meant(&key.class));
                counted.iter().filter(of).count() as u64
            };
            prop_assert_eq!(result.requests.due, counted.len() as u64);
            prop_assert_eq!(result.requests.warmup, (run.requests.len() - counted.len()) as u64);
            prop_assert_eq!(result.dropped, ended(|class| class.is_dropped()));
            prop_assert_eq!(result.wrong, ended(|class| class.is_wrong()));
        }

        #[test]
        fn all_sums_agree(run in any_run()) {
            let result = analyse(&run.record());
            let requests = result.requests;
            prop_assert_eq!(requests.due, requests.ok + requests.failed + requests.unsent);
            prop_assert_eq!(requests.failed, result.dropped + result.wrong);
            prop_assert_eq!(result.causes.values().sum::<u64>(), requests.failed);
            prop_assert_eq!(result.outcomes.values().sum::<u64>(), requests.failed + requests.unsent);
            prop_assert_eq!(result.evidence.iter().map(|evidence| evidence.count).sum::<u64>(), requests.failed);
            let in_events: u64 = result.events.iter().map(|event| event.dropped).sum();
            prop_assert_eq!(in_events + result.dropped_outside_events, result.dropped);
            for event in &result.events {
                prop_assert_eq!(event.causes.values().sum::<u64>(), event.dropped + event.wrong);
            }
            let cohorts = |pick: fn(&crate::result::CohortResult) -> u64| result.cohorts.iter().map(pick).sum::<u64>();
            prop_assert_eq!(cohorts(|cohort| cohort.requests.due), requests.due);
            prop_assert_eq!(cohorts(|cohort| cohort.dropped), result.dropped);
            prop_assert_eq!(cohorts(|cohort| cohort.http_000), result.http_000);
        }

        #[test]
        fn it_does_not_matter_how_the_counts_were_cut(run in any_run(), flush_ms in 0_u64..5_000) {
            let cut = Simulation { flush_ms, ..run.clone() };
            prop_assert_eq!(without_outage(analyse(&run.record())), without_outage(analyse(&cut.record())));
        }

        #[test]
        fn a_run_with_a_loss_or_without_an_end_never_passes(run in any_run()) {
            let result = analyse(&run.record());
            if result.dropped > 0 {
                prop_assert_eq!(result.verdict, crate::model::Verdict::Failed);
            }
            if result.incomplete || result.requests.unsent > 0 {
                prop_assert_ne!(result.verdict, crate::model::Verdict::Passed);
            }
        }
    }
}
