//! When shard 1 did what, and under which event that puts a request of another shard.

use std::time::Duration;

use crate::model::{EventId, MonoTime};
use crate::record::Record;
use crate::record::line::{EndReason, Line, Phase};
use crate::record::segment::Scope;

/// The moments of the record whose lines stand as they are.
#[derive(Debug)]
pub(super) struct Marks {
    /// Rows count from here.
    pub(super) load_start: MonoTime,
    pub(super) counting: Option<MonoTime>,
    /// Nothing was due from here on.
    pub(super) load_end: MonoTime,
    /// What follows the end is not counted: the run ended before the others knew.
    pub(super) is_cut: bool,
    /// Of its machine.
    pub(super) boot: Option<String>,
    /// The events that the counters were cut at, in order.
    pub(super) events: Vec<(MonoTime, EventId)>,
    /// Of those that were to replace what answers: which, its begin, and when it was over.
    pub(super) over: Vec<(EventId, MonoTime, MonoTime)>,
}

impl Marks {
    pub(super) fn of(record: &Record) -> Self {
        let phase = |wanted| {
            record.lines.iter().find_map(|line| match line {
                Line::Phase(change) if change.phase == wanted => Some(change.at),
                _ => None,
            })
        };
        let load_start = phase(Phase::Load).unwrap_or(record.begin.anchor);
        let mut marks = Self {
            load_start,
            counting: phase(Phase::Counting),
            load_end: phase(Phase::Stopped).unwrap_or(record.last).max(load_start),
            is_cut: record.end.as_ref().is_none_or(|end| end.reason != EndReason::Completed),
            boot: record.begin.shard.as_ref().and_then(|shard| shard.boot.clone()),
            events: Vec::new(),
            over: Vec::new(),
        };
        let mut replacing = Vec::new();
        for line in &record.lines {
            match line {
                Line::StepBegin(begin) if begin.action.disturbs() => {
                    marks.events.push((begin.at, begin.event));
                    if begin.action.replaces() {
                        replacing.push((begin.event, begin.at));
                    }
                }
                Line::StepEnd(end) if end.error.is_none() => {
                    let began = replacing.iter().find(|(event, _)| *event == end.event);
                    marks.over.extend(began.map(|&(event, began)| (event, began, end.at)));
                }
                _ => {}
            }
        }
        marks.events.sort_unstable();
        marks
    }

    /// Where counted requests change what they are counted under, in order.
    pub(super) fn boundaries(&self) -> impl Iterator<Item = (MonoTime, Scope)> {
        let counting = self.counting.map(|at| (at, Scope::Before));
        counting.into_iter().chain(self.events.iter().map(|&(at, event)| (at, Scope::Event(event))))
    }

    /// What a counted request is counted under: the first event begun between its due and its end, else the last begun
    /// before it was due.
    pub(super) fn scope_of(&self, due: MonoTime, end: MonoTime) -> Scope {
        let begun_before = self.events.partition_point(|&(at, _)| at < due);
        let first_within = self.events.get(begun_before).filter(|&&(at, _)| at <= end);
        let last_before = || begun_before.checked_sub(1).map(|last| &self.events[last]);
        first_within.or_else(last_before).map_or(Scope::Before, |&(_, event)| Scope::Event(event))
    }

    /// What is current at a moment.
    pub(super) fn scope_at(&self, at: MonoTime) -> Scope {
        self.scope_of(at, at)
    }

    /// Whether a request due from `due.0` to `due.1` and ended from `end.0` to `end.1`, all to within `off`, may belong to
    /// another event than the one that it is counted under.
    pub(super) fn is_near(&self, due: (MonoTime, MonoTime), end: (MonoTime, MonoTime), off: Duration) -> bool {
        let early = self.scope_of(due.0 - off, (end.0 - off).max(due.0 - off));
        let late = self.scope_of(due.1 + off, (end.1 + off).max(due.1 + off));
        early != late
    }

    /// The event that an instance has outlived which first answered at `first`, and answered a request sent at `sent`.
    pub(super) fn outlived(&self, first: MonoTime, sent: MonoTime) -> Option<EventId> {
        let &(event, began, _) = self.over.iter().rfind(|&&(.., over)| over < sent)?;
        (first < began).then_some(event)
    }
}
