//! The runs behind the fixtures.

use super::plan::{failure, plan, queue, restart};
use super::{Request, Simulation, at_ms};
use crate::model::{FailureClass, FailureKey, UnitVerb};
use crate::record::line::EndReason;

/// What a reset after the server's end leaves at the client's socket.
const EPIPE: i32 = 32;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Answered with 200 this number of microseconds after its due time.
    Ok(u64),
    /// Failed this number of microseconds after its due time.
    Failed(FailureKey, u64),
}

/// Requests of the plan's open-loop cohorts (keep-alive 100/s, new 25/s) until `until_ms`, with the fate that
/// `fate` gives each by cohort and due time in microseconds.
pub(crate) fn requests(until_ms: u64, fate: impl Fn(u16, u64) -> Fate) -> Vec<Request> {
    let mut requests = Vec::new();
    for (cohort, period_us) in [(0, 10_000), (1, 40_000)] {
        for due_us in (0..until_ms * 1_000).step_by(period_us) {
            let (end_us, fate) = match fate(cohort, due_us) {
                Fate::Ok(after_us) => (Some(due_us + after_us), Ok(200)),
                Fate::Failed(key, after_us) => (Some(due_us + after_us), Err(key)),
            };
            requests.push(Request { cohort, due_us, sent_us: Some(due_us + 100), end_us, fate });
        }
    }
    requests
}

/// The latency of an undisturbed request: 1 to 2 ms, the same in every run.
pub(crate) fn usual_us(due_us: u64) -> u64 {
    1_000 + (due_us / 10_000).wrapping_mul(2_654_435_761) % 1_000
}

fn offset_in_event(due_us: u64, begins_ms: &[u64]) -> Option<u64> {
    begins_ms.iter().rev().find_map(|begin| due_us.checked_sub(begin * 1_000))
}

/// Three restarts behind a socket: requests wait in its queue for 300 ms, none is lost.
pub(crate) fn socket_restart() -> Simulation {
    let begins = [1_500, 3_500, 5_500];
    let fate = |_, due_us| match offset_in_event(due_us, &begins) {
        Some(offset @ 0..300_000) => Fate::Ok(300_000 - offset + 1_500),
        _ => Fate::Ok(usual_us(due_us)),
    };
    let events = (0..).zip(begins).map(|(run, begin)| restart(run, begin, true, (20, 21, 320))).collect();
    let queues = begins.iter().flat_map(|&begin| {
        [queue(at_ms(begin + 100), Some((7_001, 9))), queue(at_ms(begin + 290), Some((7_001, 31)))]
            .into_iter()
            .chain([queue(at_ms(begin + 310), Some((7_001, 0)))])
    });
    Simulation {
        plan: plan("ledger-socket", true, UnitVerb::Restart, 3),
        counting_ms: 1_000,
        stopped_ms: 7_500,
        requests: requests(7_500, fate),
        events,
        other: [queue(at_ms(0), Some((7_001, 0)))].into_iter().chain(queues).collect(),
        end: Some(EndReason::Completed),
        flush_ms: 1_000,
        lateness_us: 40,
        hiccup_ms: 0..0,
    }
}

/// Two restarts of a service that binds its own port: connections are refused for 280 ms, what waited in the
/// accept queue is reset, and one request crosses the close of its connection.
pub(crate) fn plain_restart() -> Simulation {
    let begins = [1_500, 4_000];
    let fate = |cohort, due_us| match (cohort, offset_in_event(due_us, &begins)) {
        (0, Some(10_000)) => {
            Fate::Failed(FailureKey { errno: Some(EPIPE), ..failure(FailureClass::ClosedBeforeResponse, true) }, 400)
        }
        (1, Some(20_000)) => Fate::Failed(failure(FailureClass::ResetBeforeResponse, false), 900),
        (_, Some(20_000..300_000)) => Fate::Failed(failure(FailureClass::Refused, false), 150),
        _ => Fate::Ok(usual_us(due_us)),
    };
    let events = (0..).zip(begins).map(|(run, begin)| restart(run, begin, false, (22, 24, 310))).collect();
    let gap = |&begin: &u64| [queue(at_ms(begin + 20), None), queue(at_ms(begin + 300), Some((begin, 0)))];
    Simulation {
        plan: plan("ledger-plain", false, UnitVerb::Restart, 2),
        counting_ms: 1_000,
        stopped_ms: 6_500,
        requests: requests(6_500, fate),
        events,
        other: [queue(at_ms(0), Some((1, 0)))].into_iter().chain(begins.iter().flat_map(gap)).collect(),
        end: Some(EndReason::Completed),
        flush_ms: 1_000,
        lateness_us: 40,
        hiccup_ms: 0..0,
    }
}

/// The socket's restarts, interrupted after the second: the third was never begun, and two requests were
/// under way.
pub(crate) fn interrupted() -> Simulation {
    let mut story = socket_restart();
    "ledger-interrupted".clone_into(&mut story.plan.name);
    story.events.truncate(2);
    story.stopped_ms = 4_500;
    story.requests.retain(|request| request.due_us < 4_500_000);
    for request in story.requests.iter_mut().filter(|request| request.due_us >= 4_480_000) {
        request.fate = Err(failure(FailureClass::Interrupted, false));
        request.end_us = Some(4_500_000);
    }
    story.other.truncate(7);
    story.end = Some(EndReason::Interrupted);
    story
}

/// The plain restarts, cut off in the middle of the second: no end, and requests that never ended.
pub(crate) fn incomplete() -> Simulation {
    let mut story = plain_restart();
    "ledger-incomplete".clone_into(&mut story.plan.name);
    story.requests.retain(|request| request.due_us < 4_100_000);
    for request in story.requests.iter_mut().filter(|request| request.due_us >= 4_080_000) {
        request.end_us = None;
    }
    story.events[1].end = None;
    story.other.truncate(4);
    story.end = None;
    story
}
