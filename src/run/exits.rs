//! Processes that listened for the target and ended though no step acts on a unit: each such end is an event.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;

use super::numbering::Numbering;
use super::recorder::Recorder;
use super::step::StepRun;
use crate::load::LoadHandle;
use crate::model::process::Process;
use crate::model::{ActionKind, MonoTime};
use crate::record::line::StepBegin;

/// The processes of one server end together: what follows an end within this is no event of its own.
const TOGETHER: Duration = Duration::from_secs(1);

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
        let Some((step, run)) = numbering.underway() else { continue };
        let is_together = last.is_some_and(|last| at.since(last) < TOGETHER);
        last = Some(at);
        if is_together {
            continue;
        }
        let event = numbering.next();
        let begin = load.mark(event).await;
        let which = StepRun { event, step, run };
        recorder.unasked(StepBegin { process: Some(Box::new(process)), ..which.begins(ActionKind::Exit, begin) });
    }
    std::future::pending().await
}
