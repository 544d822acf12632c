//! The numbers of events, in the order in which they begin.

use std::cell::Cell;

use crate::model::EventId;

/// Numbers the events of a run, asked for or not.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    next: Cell<u32>,
    underway: Cell<Option<(u16, u32)>>,
}

impl Numbering {
    /// The next event that a step asks for.
    pub(super) fn begin(&self, step: u16, run: u32) -> EventId {
        self.underway.set(Some((step, run)));
        self.next()
    }

    /// The step under way or the last one, and which run of it; none before the first.
    pub(super) fn underway(&self) -> Option<(u16, u32)> {
        self.underway.get()
    }

    /// The next event that no step asks for.
    pub(super) fn next(&self) -> EventId {
        let next = self.next.get();
        self.next.set(next + 1);
        EventId(next)
    }
}
