//! What the server tells its service manager: sd_notify(3).

use sd_notify::NotifyState;

use super::error::ServerError;

/// Tells the manager on NOTIFY_SOCKET, if there is one and it is ours to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notifier {
    /// The process is the service.
    Manager,
    /// The server is a part of another process, whose manager is not told.
    Nobody,
}

impl Notifier {
    pub(super) fn ready(self, status: &str) -> Result<(), ServerError> {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)])
    }

    pub(super) fn stopping(self) -> Result<(), ServerError> {
        self.tell(&[NotifyState::Stopping])
    }

    /// A reload, done at once: there is nothing to read again.
    pub(super) fn reloaded(self) -> Result<(), ServerError> {
        let now = NotifyState::monotonic_usec_now().map_err(ServerError::Notify)?;
        self.tell(&[NotifyState::Reloading, now])?;
        self.tell(&[NotifyState::Ready])
    }

    fn tell(self, states: &[NotifyState<'_>]) -> Result<(), ServerError> {
        match self {
            Self::Manager => sd_notify::notify(states).map_err(ServerError::Notify),
            Self::Nobody => Ok(()),
        }
    }
}
