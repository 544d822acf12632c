//! What the load hands over.

use tokio::sync::oneshot;

use crate::model::MonoTime;
use crate::record::generator::GeneratorUse;
use crate::record::line::{Cap, Pause};
use crate::record::request::RequestEnd;
use crate::record::segment::{Rows, Segment};

/// A part of what was counted. Any number of parts may share a scope and a time: readers add them up.
#[derive(Debug)]
pub enum Observation {
    /// Counts by due time.
    Rows(Rows),
    /// Distributions of a span.
    Segment(Box<Segment>),
    /// A request that a step asked for; it is in the rows and segments as well.
    Request(RequestEnd),
    /// All that was counted until a moment was handed over before this.
    HandedOver(Receipt),
    /// What the load thread had of the machine.
    Generator(Box<GeneratorUse>),
    /// A limit on what is kept was reached.
    Cap(Cap),
    /// This many connections brought bytes that no request had asked for. Comes near the end.
    Unasked(u64),
    /// The load thread did not run when it should have.
    Pause(Pause),
}

/// Answers a [`LoadHandle::hand_over`] once what was handed over has got where it goes.
#[derive(Debug)]
pub struct Receipt {
    pub(super) until: MonoTime,
    pub(super) reply: oneshot::Sender<MonoTime>,
}

impl Receipt {
    /// It has.
    pub fn confirm(self) {
        // Who asked may have gone.
        let _ = self.reply.send(self.until);
    }
}
