//! Where the slowest answered request of an event spent its time.

use super::event::Event;
use super::facts::Facts;
use super::number::{round3, span_ms};
use super::window::first_ok_end;
use crate::model::MonoTime;
use crate::model::Span;
use crate::record::fold::window::Window;
use crate::record::segment::Scope;
use crate::result::Slowest;

/// The slowest `ok` request of an event over all cohorts, split by what the service was doing while it waited; none
/// without one, or if the event neither ended nor brought a process.
pub(crate) fn of(event: &Event<'_>, facts: &Facts<'_>) -> Option<Slowest> {
    let (begin, gone, started) = (event.begin.at, event.gone_at(), event.started_at());
    let stopped = gone.or(started)?;
    let waited = slowest(event, facts)?;
    let down_until = started.unwrap_or(event.until);
    let up = started.map(|started| first_answer(event, facts, started).unwrap_or(event.until));
    let drain_ms = common_ms(waited, begin, stopped);
    let queue_ms = common_ms(waited, stopped, down_until);
    let boot_ms = started.zip(up).map_or(0.0, |(started, up)| common_ms(waited, started.max(stopped), up));
    let latency_ms = span_ms(waited.from, waited.to);
    Some(Slowest {
        latency_ms: round3(latency_ms),
        drain_ms: round3(drain_ms),
        queue_ms: round3(queue_ms),
        boot_ms: round3(boot_ms),
        rest_ms: round3((latency_ms - drain_ms - queue_ms - boot_ms).max(0.0)),
    })
}

/// From its due time to its end.
fn slowest(event: &Event<'_>, facts: &Facts<'_>) -> Option<Span> {
    let scope = Scope::Event(event.begin.event);
    let cells = facts.tally.windows_of(scope).flat_map(Window::cells);
    let slowest = cells.filter_map(|cell| cell.slowest).max_by_key(|&(due, end)| end.nanos_since(due));
    slowest.map(|(due, end)| Span::new(due, end))
}

/// When the new process gave its first answer to any cohort.
fn first_answer(event: &Event<'_>, facts: &Facts<'_>, started: MonoTime) -> Option<MonoTime> {
    let scope = Scope::Event(event.begin.event);
    facts.tally.windows_of(scope).filter_map(|window| first_ok_end(window, started)).min()
}

fn common_ms(waited: Span, from: MonoTime, to: MonoTime) -> f64 {
    span_ms(waited.from.max(from), waited.to.min(to))
}
