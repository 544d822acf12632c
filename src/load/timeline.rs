//! Under which scope a request is counted: when counting began, and when each event did.

use crate::model::{EventId, MonoTime};
use crate::record::segment::Scope;

/// The marks of the control thread, in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    counting_from: Option<MonoTime>,
    events: Vec<(MonoTime, EventId)>,
    /// Events that are to replace what answers, in the order in which they were over: which, its begin, and its end.
    over: Vec<(EventId, MonoTime, MonoTime)>,
}

impl Timeline {
    /// What is due from `at` on is counted.
    pub(super) fn begin_counting(&mut self, at: MonoTime) {
        self.counting_from = Some(at);
    }

    /// From when what is due is counted; none before that was said.
    pub(super) fn counting_from(&self) -> Option<MonoTime> {
        self.counting_from
    }

    /// An event begins at `at`, which is never before an earlier mark.
    pub(super) fn mark(&mut self, event: EventId, at: MonoTime) {
        self.events.push((at, event));
    }

    /// An event that is to replace what answers was over at `at`.
    pub(super) fn over(&mut self, event: EventId, at: MonoTime) {
        let began = self.began(Scope::Event(event));
        self.over.push((event, began, at));
    }

    /// The event that an instance has outlived which answered a request sent at `sent`, and first answered at
    /// `first_answer`: the last one that was over then, if the instance had answered before it began.
    pub(super) fn outlived(&self, first_answer: MonoTime, sent: MonoTime) -> Option<EventId> {
        let &(event, began, _) = self.over.iter().rfind(|&&(.., over)| over < sent)?;
        (first_answer < began).then_some(event)
    }

    /// The scope that is current at `at`: that of what falls due, or connects, then.
    pub(super) fn scope_at(&self, at: MonoTime) -> Scope {
        self.scope_of(at, at)
    }

    /// The scope of a request, or of any span of time: the first event begun within it, else the last one
    /// begun before.
    pub(super) fn scope_of(&self, due: MonoTime, end: MonoTime) -> Scope {
        if self.counting_from.is_none_or(|from| due < from) {
            return Scope::Warmup;
        }
        let begun_before = self.events.partition_point(|&(at, _)| at < due);
        let first_within = self.events.get(begun_before).filter(|&&(at, _)| at <= end);
        let last_before = || begun_before.checked_sub(1).map(|last| &self.events[last]);
        first_within.or_else(last_before).map_or(Scope::Before, |&(_, event)| Scope::Event(event))
    }

    /// When the scope began; for the warmup and what precedes the first event, never later than any request.
    pub(super) fn began(&self, scope: Scope) -> MonoTime {
        let event_began = |id| self.events.iter().rev().find(|&&(_, event)| event == id).map(|&(at, _)| at);
        match scope {
            Scope::Event(id) => event_began(id).unwrap_or_default(),
            Scope::Warmup | Scope::Before => MonoTime::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.begin_counting(at(100));
        timeline.mark(EventId(0), at(200));
        timeline.mark(EventId(1), at(300));
        timeline
    }

    #[test]
    fn before_counting_began_all_is_warmup() {
        assert_eq!(Timeline::default().scope_at(at(5)), Scope::Warmup);
        assert_eq!(timeline().scope_of(at(99), at(250)), Scope::Warmup);
        assert_eq!(timeline().scope_of(at(100), at(150)), Scope::Before);
    }

    #[test]
    fn an_event_begun_in_between_has_the_request() {
        assert_eq!(timeline().scope_of(at(150), at(250)), Scope::Event(EventId(0)));
        assert_eq!(timeline().scope_of(at(150), at(350)), Scope::Event(EventId(0)));
        assert_eq!(timeline().scope_of(at(250), at(350)), Scope::Event(EventId(1)));
    }

    #[test]
    fn else_the_last_event_begun_before_has_it() {
        assert_eq!(timeline().scope_of(at(210), at(220)), Scope::Event(EventId(0)));
        assert_eq!(timeline().scope_of(at(900), at(901)), Scope::Event(EventId(1)));
    }

    #[test]
    fn due_or_ended_in_the_very_moment_belongs_to_the_event() {
        assert_eq!(timeline().scope_at(at(300)), Scope::Event(EventId(1)));
        assert_eq!(timeline().scope_of(at(150), at(200)), Scope::Event(EventId(0)));
    }
}
