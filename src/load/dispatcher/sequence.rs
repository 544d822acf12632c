//! Requests that a step asks for, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::load::ended::Ended;
use crate::load::timeline::Timeline;
use crate::model::{EventId, MonoTime};
use crate::record::request::RequestEnd;

/// What a step asks for: a number of requests, each due a fixed time after the end of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The event that they are counted under.
    pub event: EventId,
    /// How many; at least 1.
    pub times: u32,
    /// From the end of one to the due time of the next.
    pub every: Duration,
}

/// The client of `request` steps. All its requests are counted under the event that asked for them: the cohorts
/// of the load go on under the event before.
#[derive(Debug)]
pub(in crate::load) struct Sequence {
    marks: Timeline,
    running: Option<Running>,
    ended: VecDeque<RequestEnd>,
}

#[derive(Debug)]
struct Running {
    asked: Asked,
    /// Requests that have ended.
    ended: u32,
    reply: oneshot::Sender<MonoTime>,
}

impl Sequence {
    /// Nobody has asked yet.
    pub(in crate::load) fn new() -> Self {
        let mut marks = Timeline::default();
        // A step comes after the warmup: whatever it asks for is counted.
        marks.begin_counting(MonoTime::default());
        Self { marks, running: None, ended: VecDeque::new() }
    }

    /// The marks that its requests are counted by.
    pub(in crate::load) fn marks(&self) -> &Timeline {
        &self.marks
    }

    /// A step asks at `now`: its first request is due then. Replies with the end of its last.
    pub(in crate::load) fn begin(&mut self, asked: Asked, now: MonoTime, reply: oneshot::Sender<MonoTime>) {
        self.marks.mark(asked.event, now);
        self.running = Some(Running { asked, ended: 0, reply });
    }

    /// A request ended: when the next one is due; none if that was the last.
    pub(in crate::load) fn ended(&mut self, ended: &Ended) -> Option<MonoTime> {
        let running = self.running.as_mut()?;
        running.ended += 1;
        self.ended.push_back(RequestEnd {
            event: running.asked.event,
            nth: running.ended,
            due: ended.due,
            sent: ended.trace.sent,
            end: ended.end,
            status: ended.result.map_or_else(|failure| failure.status, |accepted| accepted.status),
            failure: ended.result.err(),
        });
        if running.ended < running.asked.times {
            return Some(ended.end + running.asked.every);
        }
        if let Some(done) = self.running.take() {
            // Who asked may have gone.
            let _ = done.reply.send(ended.end);
        }
        None
    }

    /// Takes the request that ended first of those not taken yet.
    pub(in crate::load) fn take_ended(&mut self) -> Option<RequestEnd> {
        self.ended.pop_front()
    }
}
