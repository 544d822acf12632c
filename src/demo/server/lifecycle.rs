//! The life of a server: boot, serve, stop.

use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::access_log::AccessLog;
use super::command::Command;
use super::connection::Connection;
use super::counts::Counters;
use super::datagrams::Datagrams;
use super::error::ServerError;
use super::fifo::Fifo;
use super::freeze::Freeze;
use super::inherited::Inherited;
use super::listener::Listener;
use super::notifier::Notifier;
use super::options::{ServerOptions, StopMode};
use super::packets;
use super::pause::pause;
use super::service::Service;
use super::sockets::Sockets;
use super::stream::Stream;
use super::unread::Unread;
use crate::clock;
use crate::model::Endpoint;

/// How long an acceptor pauses after an error: most need a descriptor to be freed.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);

/// A server that is about to live.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) options: ServerOptions,
    pub(super) inherited: Vec<Inherited>,
    pub(super) counters: Arc<Counters>,
    pub(super) notifier: Notifier,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// Told where it listens, once it does.
    pub(super) opened: Option<oneshot::Sender<Vec<Endpoint>>>,
}

/// Why a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Graceful,
    Abrupt,
    Crash { after: Duration },
}

impl Server {
    /// Lives to the end. What is still open then goes with the runtime.
    pub(super) async fn live(mut self) -> Result<(), ServerError> {
        let ended = self.boot_and_serve().await;
        if let Some(path) = &self.options.counts {
            let written = self.counters.read().write_to(path);
            written.map_err(|error| ServerError::File { what: "counts", path: path.clone(), error })?;
        }
        ended
    }

    async fn boot_and_serve(&mut self) -> Result<(), ServerError> {
        tokio::select! {
            () = pause(self.options.start_delay) => {}
            end = next_end(&mut self.commands, self.options.stop, Notifier::Nobody) => return end.map(drop),
        }
        let started = clock::now();
        if let (Some(delay), Some(length)) = (self.options.freeze_at, self.options.freeze_for) {
            self.counters.freeze.get_or_init(|| Freeze::new(started, delay, length));
        }
        let sockets = Sockets::open(std::mem::take(&mut self.inherited), &self.options)?;
        let endpoints = sockets.endpoints();
        if !self.options.never_ready {
            self.notifier.ready(&status(&sockets))?;
        }
        if let Some(opened) = self.opened.take() {
            // Fails only if nobody wants to know any more.
            let _ = opened.send(endpoints.clone());
        }
        self.serve(sockets, &endpoints).await
    }

    async fn serve(&mut self, sockets: Sockets, endpoints: &[Endpoint]) -> Result<(), ServerError> {
        let service = self.service()?;
        let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
        let Sockets { listeners, datagrams, fifos, unread, connections, unserved } = sockets;
        let one_shot =
            [listeners.is_empty(), datagrams.is_empty(), fifos.is_empty(), unread.is_empty(), unserved.is_empty()]
                .iter()
                .all(|is_empty| *is_empty);
        for (name, stream) in connections {
            tokio::spawn(serve_connection(Connection::new(stream, name, Arc::clone(&service)), alive.clone()));
        }
        let mut acceptors = JoinSet::new();
        for listener in listeners {
            acceptors.spawn(accept_all(listener, Arc::clone(&service), alive.clone()));
        }
        for datagrams in datagrams {
            tokio::spawn(serve_datagrams(datagrams, Arc::clone(&service), alive.clone()));
        }
        for fifo in fifos {
            tokio::spawn(serve_fifo(fifo, Arc::clone(&service), alive.clone()));
        }
        drop(alive);

        let end = tokio::select! {
            end = next_end(&mut self.commands, self.options.stop, self.notifier) => end?,
            () = service.answered_enough.notified() => End::Graceful,
            _ = all_gone.recv(), if one_shot => End::Graceful,
            end = crash(self.options.crash_after) => end,
        };
        if let End::Crash { after } = end {
            return Err(ServerError::Crashed { after });
        }
        self.notifier.stopping()?;
        if end == End::Graceful {
            acceptors.shutdown().await;
            service.stopping.send_replace(true);
            tokio::select! {
                // Out of time, those that are left are cut off with the process.
                _ = timeout(self.options.drain, all_gone.recv()) => {}
                () = aborted(&mut self.commands) => return Ok(()),
            }
        }
        for _ in 0..unread.iter().map(Unread::count).sum() {
            service.counters.request();
        }
        drop((unread, unserved));
        if self.options.unlink_own_path {
            unlink_paths(endpoints);
        }
        if end == End::Graceful {
            pause(self.options.stop_delay).await;
        }
        Ok(())
    }

    fn service(&self) -> Result<Arc<Service>, ServerError> {
        let access_log = self.options.access_log.as_ref().map(AccessLog::open).transpose()?;
        Ok(Arc::new(Service {
            options: self.options.clone(),
            counters: Arc::clone(&self.counters),
            access_log,
            stopping: watch::Sender::new(false),
            answered_enough: Notify::new(),
        }))
    }
}

/// Obeys commands until one of them ends the server.
async fn next_end(
    commands: &mut mpsc::UnboundedReceiver<Command>,
    stop: StopMode,
    notifier: Notifier,
) -> Result<End, ServerError> {
    loop {
        match (commands.recv().await, stop) {
            (Some(Command::Reload), _) => notifier.reloaded()?,
            (Some(Command::Stop), StopMode::Ignore) => {}
            (Some(Command::Stop), StopMode::Graceful) => return Ok(End::Graceful),
            (Some(Command::Stop), StopMode::Abrupt) | (Some(Command::Abort) | None, _) => return Ok(End::Abrupt),
        }
    }
}

/// Returns when the server is told to stop at once.
async fn aborted(commands: &mut mpsc::UnboundedReceiver<Command>) {
    while !matches!(commands.recv().await, Some(Command::Abort) | None) {}
}

async fn crash(after: Option<Duration>) -> End {
    match after {
        None => pending().await,
        Some(after) => {
            sleep(after).await;
            End::Crash { after }
        }
    }
}

async fn accept_all(listener: Listener, service: Arc<Service>, alive: mpsc::Sender<Infallible>) {
    loop {
        pause(service.options.accept_delay).await;
        match listener.accept().await {
            Ok(stream) if listener.takes_packets() => {
                tokio::spawn(serve_packets(stream, Arc::clone(&service), alive.clone()));
            }
            Ok(stream) => {
                let connection = Connection::new(stream, listener.name.clone(), Arc::clone(&service));
                tokio::spawn(serve_connection(connection, alive.clone()));
            }
            Err(_) => sleep(ACCEPT_RETRY).await,
        }
    }
}

/// Serves a connection; `_alive` is dropped when that is over, which is how a stop knows.
async fn serve_connection(connection: Connection, _alive: mpsc::Sender<Infallible>) {
    connection.serve().await;
}

/// As [`serve_connection`], until the server stops.
async fn serve_datagrams(datagrams: Datagrams, service: Arc<Service>, _alive: mpsc::Sender<Infallible>) {
    datagrams.serve(service).await;
}

/// As [`serve_connection`], of messages.
async fn serve_packets(stream: Stream, service: Arc<Service>, _alive: mpsc::Sender<Infallible>) {
    packets::serve(stream, service).await;
}

/// As [`serve_connection`], until the server stops.
async fn serve_fifo(fifo: Fifo, service: Arc<Service>, _alive: mpsc::Sender<Infallible>) {
    fifo.serve(service).await;
}

/// `listening on 127.0.0.1:8010 (web), /run/x.sock (own)`.
fn status(sockets: &Sockets) -> String {
    let listeners = sockets.listeners.iter().map(|listener| format!("{} ({})", listener.endpoint, listener.name));
    let datagrams = sockets.datagrams.iter().map(|socket| format!("{} ({})", socket.endpoint, socket.name));
    format!("listening on {}", listeners.chain(datagrams).collect::<Vec<_>>().join(", "))
}

/// Removes the paths of Unix sockets, as far as they are there and may be removed.
fn unlink_paths(endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        if let Some(path) = endpoint.path() {
            // A server that unlinks its path does not look whether it could, either.
            let _ = fs::remove_file(path);
        }
    }
}
