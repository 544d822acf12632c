//! Signals that ask the harness to end.

use gapless::record::line::EndReason;
use rustix::process::Signal;

use crate::faults::rig::{Running, nothing_is_left_of};
use crate::faults::scenario::Scenario;

/// Sends the signals one right after the other while a restart is under way.
#[track_caller]
fn interrupted_by(signals: &[Signal]) {
    let scenario = Scenario::new("interrupted").restarted(20);
    let mut run = Running::start(&scenario, "embedded");
    run.await_record("\"type\":\"step_begin\"");
    signals.iter().for_each(|&signal| run.signal(signal));
    let run = run.end();
    assert_eq!(run.code, Some(130));
    let record = run.record();
    assert_eq!(record.end.map(|end| end.reason), Some(EndReason::Interrupted));
    let result = run.result();
    assert_ne!(result.verdict, gapless::model::Verdict::Passed);
    assert!(result.requests.due > 0, "what was measured is written");
    nothing_is_left_of(&scenario);
}

#[test]
fn each_signal_that_asks_for_the_end_gets_one_with_everything_put_back() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::ALARM, Signal::USR1, Signal::USR2] {
        interrupted_by(&[signal]);
    }
}

#[test]
fn a_second_signal_does_not_keep_the_first_from_putting_everything_back() {
    interrupted_by(&[Signal::INT, Signal::INT]);
    interrupted_by(&[Signal::INT, Signal::TERM, Signal::HUP]);
}

#[test]
fn signals_that_end_a_process_for_lack_of_time_or_power_do_the_same() {
    for signal in [Signal::VTALARM, Signal::PROF, Signal::XCPU, Signal::XFSZ, Signal::POWER, Signal::IO, Signal::ABORT]
    {
        interrupted_by(&[signal]);
    }
}

#[test]
fn a_run_that_nobody_reads_any_more_goes_on() {
    let scenario = Scenario::new("unread").restarted(2);
    let mut run = Running::start(&scenario, "embedded");
    run.await_record("\"type\":\"step_begin\"");
    run.signal(Signal::PIPE);
    let run = run.end();
    assert!(run.record().end.is_some_and(|end| end.reason == EndReason::Completed));
    nothing_is_left_of(&scenario);
}

#[test]
fn a_run_that_nohup_started_goes_on_when_the_terminal_is_gone() {
    let scenario = Scenario::new("hung-up").restarted(2);
    let mut run = Running::start_without_hangup(&scenario, "embedded");
    run.await_record("\"type\":\"step_begin\"");
    run.signal(Signal::HUP);
    let run = run.end();
    assert!(run.record().end.is_some_and(|end| end.reason == EndReason::Completed));
    nothing_is_left_of(&scenario);
}
