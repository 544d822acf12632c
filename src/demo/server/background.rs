//! A server in a thread of this process, for tests and calibration.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::command::Command;
use super::counts::{Counters, Counts};
use super::error::ServerError;
use super::lifecycle::Server;
use super::notifier::Notifier;
use super::options::ServerOptions;
use super::runtime;
use crate::model::Endpoint;

/// A running server. Dropping it ends it at once, with every connection.
///
/// It takes no sockets from a manager, tells none, and listens to no signal.
#[derive(Debug)]
pub struct Background {
    thread: Option<JoinHandle<Result<(), ServerError>>>,
    endpoints: Vec<Endpoint>,
    counters: Arc<Counters>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Background {
    /// Starts a server; returns when it listens, which is after the start delay.
    ///
    /// # Errors
    /// Those of its start: an address that is taken, a file that cannot be written.
    pub fn start(options: ServerOptions) -> Result<Self, ServerError> {
        let counters = Arc::new(Counters::new());
        let (sender, commands) = mpsc::unbounded_channel();
        let (opened, endpoints) = oneshot::channel();
        let server = Server {
            options,
            inherited: Vec::new(),
            counters: Arc::clone(&counters),
            notifier: Notifier::Nobody,
            commands,
            opened: Some(opened),
        };
        let live = move || runtime()?.block_on(server.live());
        let thread = thread::Builder::new().name("demo-server".to_owned()).spawn(live).map_err(ServerError::Start)?;
        let mut background = Self { thread: Some(thread), endpoints: Vec::new(), counters, commands: sender };
        match endpoints.blocking_recv() {
            Ok(endpoints) => background.endpoints = endpoints,
            Err(_) => background.join()?,
        }
        Ok(background)
    }

    /// Where it listens, or with a fault does not; ports as the kernel chose them.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// What it has counted up to now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Asks it to stop, as SIGTERM does, and does not wait.
    pub fn request_stop(&self) {
        // Fails only if it has stopped already.
        let _ = self.commands.send(Command::Stop);
    }

    /// Waits for its end and gives what it counted. It must have been asked to stop, or be made to end of itself.
    ///
    /// # Errors
    /// Those of its life, such as [`ServerError::Crashed`].
    pub fn wait(mut self) -> Result<Counts, ServerError> {
        self.join()?;
        Ok(self.counts())
    }

    /// Stops it, as SIGTERM does, and waits for its end.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn stop(self) -> Result<Counts, ServerError> {
        self.request_stop();
        self.wait()
    }

    fn join(&mut self) -> Result<(), ServerError> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Abort);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it does not care how it ended.
            let _ = thread.join();
        }
    }
}
