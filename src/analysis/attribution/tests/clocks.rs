//! Evidence of another machine, whose clock is known to a half-width only.

use std::time::Duration;

use super::*;
use crate::analysis::analyse;
use crate::analysis::simulator::looks;
use crate::model::MonoTime;
use crate::record::line::HostClock;

/// A case with the cause that it has where both clocks are one.
type Case = (&'static str, Cause, fn() -> Simulation, FailureKey, u64, u64);

/// Each explained by what was seen on the machine of the service, at another distance from the moment of the failure.
fn cases() -> Vec<Case> {
    use FailureClass::{ClosedBeforeResponse, Refused, ResetBeforeResponse, WriteFailed};
    let gone = || plain().seeing([queue(at_ms(0), Some((7, 0))), queue(at_ms(2_012), None)]);
    let crashed = || behind_socket().seeing(steady()).seeing([exit(5_020)]);
    let filled = || plain().by_kill().seeing([queue(at_ms(1_990), Some((7, 3))), queue(at_ms(2_010), None)]);
    vec![
        ("refused", Cause::NoListener, plain, of_new(Refused), 2_030, 0),
        ("refused, seen", Cause::NoListener, gone, of_new(Refused), 2_030, 0),
        ("a worker crashed", Cause::KilledInFlight, crashed, of_reused(ClosedBeforeResponse), 4_900, 118),
        ("a worker crashed far away", Cause::Ambiguous, crashed, of_reused(ClosedBeforeResponse), 4_800, 118),
        ("killed", Cause::KilledInFlight, || plain().by_kill(), of_reused(ClosedBeforeResponse), 2_010, 5),
        ("reset as the listener closes", Cause::AcceptQueueReset, plain, of_new(ResetBeforeResponse), 2_010, 5),
        ("no listener closed then", Cause::Ambiguous, plain, of_new(ResetBeforeResponse), 5_000, 5),
        ("killed over a filled queue", Cause::AcceptQueueReset, filled, of_new(ResetBeforeResponse), 2_010, 5),
        ("written after the close", Cause::AcceptQueueReset, plain, of_new(WriteFailed), 2_010, 5),
        (
            "waited for the start",
            Cause::SlowStart,
            || behind_socket().seeing(steady()).never_answering(),
            of_new(FailureClass::ResponseTimeout),
            2_060,
            1_000,
        ),
    ]
}

/// Puts what was seen on the other machine that much later: negative is earlier.
fn shifted(lines: &mut [Line], by_ns: i64) {
    let shift = |at: &mut MonoTime| *at = MonoTime::from_nanos(at.as_nanos().saturating_add_signed(by_ns));
    for line in lines {
        match line {
            Line::Queue(queue) => shift(&mut queue.at),
            Line::Looks(looks) => [&mut looks.from, &mut looks.to].into_iter().for_each(shift),
            Line::Trace(event) => shift(&mut event.at),
            Line::Process(change) => shift(&mut change.at),
            Line::Holders(look) => shift(&mut look.at),
            Line::Counters(counters) => shift(&mut counters.at),
            Line::Unit(change) => change.changed_at.iter_mut().for_each(shift),
            Line::StepEnd(end) => {
                end.old_main_gone_at.iter_mut().for_each(shift);
                let services = end.after.iter_mut().filter_map(|unit| unit.service.as_mut());
                services.filter_map(|service| service.main_started_at.as_mut()).for_each(shift);
            }
            _ => {}
        }
    }
}

fn clock(half_width: Duration) -> Line {
    let half_width_ns = u64::try_from(half_width.as_nanos()).expect("short");
    Line::Clock(HostClock { at: at_ms(0), host: "db7".to_owned(), offset_ns: -5_000_000_000, half_width_ns })
}

/// The cause of one failure where the other machine's times are `by_ns` off, and known to be so by no more than the
/// half-width; none: one clock for both.
fn cause(case: &Case, half_width: Option<Duration>, by_ns: i64) -> Cause {
    let &(_, _, run, key, due_ms, took_ms) = case;
    let mut run = run();
    let (due_us, end_us) = (due_ms * 1_000, Some((due_ms + took_ms) * 1_000));
    run.requests.push(Request { cohort: 1, due_us, sent_us: Some(due_us), end_us, fate: Err(key) });
    let record = run.record_with(|lines| {
        shifted(lines, by_ns);
        lines.extend(half_width.map(clock));
        segments(lines).flat_map(|segment| &mut segment.samples).for_each(|sample| sample.connected = None);
    });
    let timeline = Timeline::of(&record);
    let found = Attribution::of(&record.tally, &timeline).causes(|_, _| true);
    *found.first_key_value().expect("one cause").0
}

#[test]
fn what_is_said_with_two_clocks_is_what_would_be_said_with_one_or_nothing() {
    for case in &cases() {
        let (name, truth, ..) = *case;
        assert_eq!(cause(case, None, 0), truth, "{name}");
        for half_width_us in [1, 100, 2_000, 15_000, 60_000, 500_000, 3_000_000] {
            let half_width = Duration::from_micros(half_width_us);
            let most = i64::try_from(half_width_us * 1_000).expect("short");
            for by_ns in [-most, -most / 2, 0, most / 3, most] {
                let said = cause(case, Some(half_width), by_ns);
                let is_so = said == truth || said == Cause::Ambiguous;
                assert!(is_so, "{name}: {said:?} within {half_width:?}, {by_ns} ns off, for {truth:?}");
            }
        }
    }
}

#[test]
fn a_clock_that_is_known_well_enough_changes_no_cause_and_one_that_is_not_leaves_it_ambiguous() {
    for case in &cases() {
        let (name, truth, ..) = *case;
        assert_eq!(cause(case, Some(Duration::from_micros(200)), 150_000), truth, "{name}");
    }
    let crashed = &cases()[2];
    assert_eq!(cause(crashed, Some(Duration::from_millis(40)), 0), Cause::KilledInFlight, "it died 2 ms from then");
    assert_eq!(cause(crashed, Some(Duration::from_millis(60)), 0), Cause::Ambiguous, "it may have been 62 ms");
    let refused = &cases()[0];
    assert_eq!(cause(refused, Some(Duration::from_secs(3)), 0), Cause::NoListener, "a refusal needs no clock");
}

#[test]
fn what_was_seen_before_another_machine_was_lost_says_nothing_of_what_came_after() {
    let refused = |until_ms: u64| {
        let seen = [looks(0, until_ms, 26), clock(Duration::from_micros(90))];
        plain().seeing(steady()).seeing(seen).cause(of_new(FailureClass::Refused), 2_030, 0)
    };
    assert_eq!(refused(9_000), Cause::Ambiguous, "somebody listened");
    assert_eq!(refused(1_900), Cause::NoListener, "it is not known who listened: a refusal speaks for itself");
}

#[test]
fn every_report_says_how_well_the_clock_is_known_and_one_of_this_machine_says_nothing() {
    let lines = [clock(Duration::from_micros(90)), clock(Duration::from_micros(120)), clock(Duration::from_micros(80))];
    let told = |run: Simulation| analyse(&run.record()).notes.into_iter().map(|note| note.message).collect::<Vec<_>>();
    assert_eq!(told(plain().seeing(lines)), ["clock of db7: 5.000 s behind the generator's, known to \u{b1}0.12 ms"]);
    assert_eq!(told(plain()), Vec::<String>::new());
}
