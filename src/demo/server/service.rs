//! What all connections of one server share.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::access_log::AccessLog;
use super::counts::Counters;
use super::options::ServerOptions;

/// The server, as its connections see it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) options: ServerOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) access_log: Option<AccessLog>,
    /// True once it is stopping: the request in service is the connection's last.
    pub(super) stopping: watch::Sender<bool>,
    /// Woken by the answer that `--exit-after` waits for.
    pub(super) answered_enough: Notify,
}

impl Service {
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Counts an answer that the kernel took whole.
    pub(super) fn count_answer(&self) {
        if Some(self.counters.answer()) == self.options.exit_after {
            self.answered_enough.notify_one();
        }
    }

    /// Returns when an answer may go out: at once, unless the server is frozen.
    pub(super) async fn thaw(&self) {
        if let Some(freeze) = self.counters.freeze.get() {
            freeze.pass().await;
        }
    }
}
