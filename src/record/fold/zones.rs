//! The times that are kept in full however long a record is: those in which something happened.

use std::time::Duration;

use crate::model::{MonoTime, Span};
use crate::record::line::{Line, Traced};

/// What is this close to an event, to a change of a unit or to a failure may be needed to explain it. No request that
/// took longer is added up with others.
pub(super) const AROUND: Duration = Duration::from_secs(1);

/// An action that lasts longer is kept in full only for this long from its beginning.
const LONG_ACTION: Duration = Duration::from_secs(600);

/// More of them than any run of the harness has: what a record claims beyond is not kept in full.
const ZONES_MAX: usize = 50_000;

/// Spans in order, none of which overlaps another.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones {
    spans: Vec<Span>,
    /// The beginning of the event that is not over.
    open: Option<MonoTime>,
}

impl Zones {
    /// Those of what a line tells.
    pub(super) fn see(&mut self, line: &Line) {
        match line {
            Line::StepBegin(begin) => {
                self.add(Span::new(begin.at, begin.at));
                self.open = begin.action.disturbs().then_some(begin.at);
            }
            Line::StepEnd(end) => {
                self.open.take().into_iter().for_each(|at| self.add(Span::new(at, end.at.min(at + LONG_ACTION))));
                self.add(Span::new(end.at, end.at));
            }
            Line::Unit(change) => {
                self.add(Span::new(change.changed_at.unwrap_or(change.at), change.at));
            }
            Line::Trace(event) if matches!(event.traced, Traced::ListenerUp { .. } | Traced::ListenerDown { .. }) => {
                self.add(Span::new(event.at, event.at));
            }
            _ => {}
        }
    }

    /// Adds a span, and what is around it.
    pub(super) fn add(&mut self, span: Span) {
        if self.spans.len() >= ZONES_MAX {
            return;
        }
        let span = Span::new(span.from - AROUND, span.to + AROUND);
        // Nearly always they come in order.
        let place = self.spans.partition_point(|earlier| earlier.to < span.from);
        let end = self.spans.partition_point(|earlier| earlier.from <= span.to).max(place);
        let merged = self.spans[place..end].iter().fold(span, |merged, other| merged.hull(*other));
        self.spans.splice(place..end, [merged]);
    }

    /// Whether one of them overlaps it.
    pub(super) fn touch(&self, span: Span) -> bool {
        let open = self.open.map(|at| Span::new(at - AROUND, at + LONG_ACTION));
        let next = self.spans.get(self.spans.partition_point(|zone| zone.to < span.from)).copied();
        open.into_iter().chain(next).any(|zone| zone.overlaps(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from_s: u64, to_s: u64) -> Span {
        Span::new(MonoTime::from_nanos(from_s * 1_000_000_000), MonoTime::from_nanos(to_s * 1_000_000_000))
    }

    #[test]
    fn spans_in_any_order_are_joined_where_they_meet() {
        let mut zones = Zones::default();
        [span(50, 51), span(10, 11), span(30, 30), span(12, 13)].into_iter().for_each(|span| zones.add(span));
        assert_eq!(zones.spans, [span(9, 14), span(29, 31), span(49, 52)]);
        zones.add(span(14, 48));
        assert_eq!(zones.spans, [span(9, 52)]);
        assert!(zones.touch(span(52, 60)) && zones.touch(span(0, 9)) && !zones.touch(span(53, 60)));
    }
}
