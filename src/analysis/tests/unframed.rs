//! Answers that only the end of their connection delimits: what is in doubt, and what was cut short.

use super::check;
use crate::analysis::simulator::stories::socket_restart;
use crate::analysis::simulator::{Request, Simulation, at_us};
use crate::analysis::{ScenarioResult, analyse};
use crate::model::{FailureClass, Verdict};
use crate::record::line::Line;
use crate::record::segment::{ROW_NS, UnframedSample};

/// Three restarts behind a socket; one request of the cohort `new` is under way as the first begins, and ends with the
/// old process.
fn cut_by_the_stop() -> Simulation {
    let mut run = socket_restart();
    let cut = run.requests.iter_mut().find(|request| request.cohort == 1 && request.due_us == 1_480_000);
    cut.expect("it is due then").end_us = Some(1_515_000);
    run
}

/// The result of the run, where only a close delimits the answers for which `bytes` gives a length in bytes.
fn unframed(run: &Simulation, bytes: impl Fn(&Request) -> Option<u64>) -> ScenarioResult {
    analyse(&run.record_with(|lines| {
        for request in &run.requests {
            let (Some(bytes_in), Some(end_us)) = (bytes(request), request.end_us) else { continue };
            let (due, end) = (at_us(request.due_us), at_us(end_us));
            let (scope, row) = (run.scope(due, end), request.due_us * 1_000 / ROW_NS);
            let rows = lines.iter_mut().filter_map(|line| match line {
                Line::Rows(rows) if (rows.cohort, rows.scope) == (request.cohort, scope) => Some(&mut rows.rows),
                _ => None,
            });
            let row = rows.flatten().find(|of| of.index == row && of.ok > of.unframed).expect("it was counted");
            row.unframed += 1;
            let mut segments = lines.iter_mut().filter_map(|line| match line {
                Line::Segment(segment) if (segment.cohort, segment.scope) == (request.cohort, scope) => Some(segment),
                _ => None,
            });
            let segment = segments.next().expect("it was counted");
            segment.unframed.push(UnframedSample { due, sent: Some(due), end, local: None, bytes_in });
        }
    }))
}

fn is_new(request: &Request) -> bool {
    request.cohort == 1
}

#[test]
fn in_an_event_they_are_in_doubt_and_before_it_they_are_not() {
    let result = unframed(&socket_restart(), |request| is_new(request).then_some(150));
    assert_eq!((result.verdict, result.dropped), (Verdict::Inconclusive, 0), "{:?}", result.reasons);
    assert_eq!(check(&result, "unframed.restart").status, Verdict::Inconclusive);
    let told = result.reasons.iter().any(|reason| reason.starts_with("Only the end of their connection delimited 1"));
    assert!(told, "{:?}", result.reasons);
    let before = unframed(&socket_restart(), |request| (is_new(request) && request.due_us < 1_400_000).then_some(150));
    assert_eq!(before.verdict, Verdict::Passed, "{:?}", before.reasons);
}

#[test]
fn one_that_ended_with_the_old_process_and_is_shorter_than_the_others_was_dropped() {
    let is_cut = |request: &Request| request.due_us == 1_480_000;
    let result =
        unframed(&cut_by_the_stop(), |request| is_new(request).then(|| if is_cut(request) { 60 } else { 150 }));
    assert_eq!((result.verdict, result.dropped, result.events[0].dropped), (Verdict::Failed, 1, 1));
    assert_eq!(result.outcomes[&FailureClass::ClosedMidResponse], 1);
    assert_eq!((result.http_000, result.requests.due), (0, 813), "its status had come, and it is counted once");
    assert_eq!(check(&result, "instrument.record").status, Verdict::Passed);
    let whole = unframed(&cut_by_the_stop(), |request| is_new(request).then_some(150));
    assert_eq!((whole.verdict, whole.dropped), (Verdict::Inconclusive, 0), "as long as the others, it may be whole");
}
