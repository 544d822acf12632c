//! Processes that listened for the target and ended though no step acts on a unit: each such end is an event.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;

use super::recorder::Recorder;
use crate::load::LoadHandle;
use crate::model::process::Process;
use crate::model::{ActionKind, EventId, MonoTime};
use crate::record::line::{Line, StepBegin, StepEnd};

/// The processes of one server end together: what follows an end within this is no event of its own.
const TOGETHER: Duration = Duration::from_secs(1);

/// Numbers the events of a run, asked for or not.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    next: Cell<u32>,
    /// The step under way or the last one, and which run of it.
    underway: Cell<Option<(u16, u32)>>,
}

impl Numbering {
    /// The next event that a step asks for.
    pub(super) fn begin(&self, step: u16, run: u32) -> EventId {
        self.underway.set(Some((step, run)));
        self.next()
    }

    fn next(&self) -> EventId {
        let next = self.next.get();
        self.next.set(next + 1);
        EventId(next)
    }
}

/// A process that held a listener of the target, and has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) process: Process,
    pub(super) at: MonoTime,
}

/// Begins an event at each end, from the first step on. An end has no end of its own: its event lasts until the next one.
pub(super) async fn mark(
    mut ended: mpsc::UnboundedReceiver<Ended>,
    numbering: &Numbering,
    load: &LoadHandle,
    recorder: &Recorder,
) -> Infallible {
    let mut last: Option<MonoTime> = None;
    while let Some(Ended { process, at }) = ended.recv().await {
        let Some((step, run)) = numbering.underway.get() else { continue };
        let is_together = last.is_some_and(|last| at.since(last) < TOGETHER);
        last = Some(at);
        if is_together {
            continue;
        }
        let event = numbering.next();
        let begin = load.mark(event).await;
        recorder.write(&Line::StepBegin(StepBegin {
            event,
            step,
            run,
            action: ActionKind::Exit,
            unit: None,
            at: begin,
            before: Vec::new(),
            process: Some(Box::new(process)),
        }));
        recorder.write(&Line::StepEnd(Box::new(StepEnd {
            event,
            at: begin,
            job: None,
            done_at: Some(begin),
            old_main_gone_at: None,
            ready_at: None,
            proof: Vec::new(),
            after: Vec::new(),
            error: None,
            is_late: false,
        })));
    }
    std::future::pending().await
}
