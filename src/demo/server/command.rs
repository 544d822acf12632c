//! What can be asked of a running server, by signals or by whoever holds it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::error::ServerError;

/// What can be asked of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// SIGTERM, SIGINT: stop in the way of `--stop`.
    Stop,
    /// SIGHUP.
    Reload,
    /// Stop at once, whatever `--stop` says.
    Abort,
}

/// The commands that signals to this process stand for, from now on. Within a runtime only.
pub(super) fn from_signals() -> Result<mpsc::UnboundedReceiver<Command>, ServerError> {
    let (sender, commands) = mpsc::unbounded_channel();
    for (kind, command) in [
        (SignalKind::terminate(), Command::Stop),
        (SignalKind::interrupt(), Command::Stop),
        (SignalKind::hangup(), Command::Reload),
    ] {
        tokio::spawn(forward(signal(kind).map_err(ServerError::Start)?, command, sender.clone()));
    }
    Ok(commands)
}

async fn forward(mut signals: Signal, command: Command, sender: mpsc::UnboundedSender<Command>) {
    while signals.recv().await.is_some() && sender.send(command).is_ok() {}
}
