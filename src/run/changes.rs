//! The changes of units, written down as the manager tells of them.

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};

use super::processes::Processes;
use super::recorder::Recorder;
use crate::record::line::{Line, UnitChange};

/// Writes down every change until it is told to end.
pub(super) struct UnitChanges {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl UnitChanges {
    pub(super) fn record(
        mut changes: mpsc::UnboundedReceiver<UnitChange>,
        recorder: Recorder,
        processes: Processes,
    ) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = spawn_local(async move {
            let mut is_over = false;
            loop {
                tokio::select! {
                    biased;
                    change = changes.recv() => {
                        let Some(change) = change else { return };
                        recorder.write(&Line::Unit(change.clone()));
                        processes.see(change.main_pid, Some(&change.unit)).await;
                    }
                    _ = &mut ended, if !is_over => {
                        is_over = true;
                        changes.close();
                    }
                }
            }
        });
        Self { task, end }
    }

    /// Returns once everything that was told so far is written down.
    pub(super) async fn end(self) {
        drop(self.end);
        let joined = self.task.await;
        debug_assert!(joined.is_ok(), "it neither panics nor is aborted");
    }
}
