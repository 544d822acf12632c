//! Ways to a systemd: over its bus, and by the socket of its own that needs none.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::bus::Bus;
use super::failure::bus_name;
use super::jobs::Jobs;
use crate::clock;
use crate::manager::ManagerError;
use crate::record::begin::ManagerKind;
use crate::ssh::Ssh;

/// A bus that is restarted is back within a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

/// One attempt takes at most this long.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// With a connection of `ssh` to be made: one that hangs is given up after 15 s, and a new one has 10 s and a login.
const ATTEMPT_OVER_SSH_MAX: Duration = Duration::from_secs(60);

const TRY_EVERY: Duration = Duration::from_millis(200);

/// A way to a systemd.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// The bus of the machine or of the user.
    Bus,
    /// D-Bus from peer to peer over systemd's own socket, as systemctl goes where there is no bus.
    Private(PathBuf),
    /// The bus of another machine.
    Ssh(Rc<Ssh>),
}

impl Route {
    /// Those to a systemd of that kind, the best first.
    pub(super) fn all(kind: ManagerKind) -> Vec<Self> {
        let private = match kind {
            ManagerKind::System if rustix::process::geteuid().is_root() => Some(PathBuf::from("/run/systemd/private")),
            ManagerKind::User => std::env::var_os("XDG_RUNTIME_DIR")
                .map(|directory| PathBuf::from(directory).join("systemd/private"))
                .filter(|path| path.is_absolute()),
            _ => None,
        };
        std::iter::once(Self::Bus).chain(private.map(Self::Private)).collect()
    }

    /// Connects, and begins to hear jobs end.
    async fn take(&self, kind: ManagerKind) -> Result<(Bus, Jobs), ManagerError> {
        let bus = match (self, kind) {
            (Self::Private(path), _) => Bus::private(path, kind).await?,
            (Self::Ssh(ssh), _) => {
                ssh.ensure().await?;
                Bus::at(ssh, kind).await?
            }
            (Self::Bus, ManagerKind::User) => Bus::user().await?,
            (Self::Bus, _) => Bus::system().await?,
        };
        let jobs = Jobs::hear(bus.systemd()).await.map_err(|error| bus.failed(&error, "listen to"))?;
        Ok((bus, jobs))
    }

    fn words(&self) -> String {
        match self {
            Self::Bus => "over the bus".to_owned(),
            Self::Private(path) => format!("by its own socket {}", path.display()),
            Self::Ssh(ssh) => format!("over ssh to {}", ssh.destination()),
        }
    }

    fn attempt_max(&self) -> Duration {
        if matches!(self, Self::Ssh(_)) { ATTEMPT_OVER_SSH_MAX } else { ATTEMPT_MAX }
    }
}

/// A systemd that is reached again.
pub(super) struct Reached {
    pub(super) bus: Bus,
    pub(super) jobs: Jobs,
    /// `over the bus`.
    pub(super) how: String,
}

/// Tries every route, again and again for a while.
///
/// # Errors
/// The last one's.
pub(super) async fn reach(routes: &[Route], kind: ManagerKind) -> Result<Reached, ManagerError> {
    let until = clock::now() + PATIENCE;
    loop {
        let mut last = None;
        for route in routes {
            match timeout(route.attempt_max(), route.take(kind)).await {
                Ok(Ok((bus, jobs))) => return Ok(Reached { bus, jobs, how: route.words() }),
                Ok(Err(error)) => last = Some(error),
                Err(_) => {}
            }
        }
        if clock::now() >= until {
            return Err(last.unwrap_or_else(|| ManagerError::NoBus {
                bus: bus_name(kind),
                reason: format!("it has not answered within {} s", PATIENCE.as_secs()),
                remedy: "is this machine booted with systemd, and dbus.service running?",
            }));
        }
        sleep(TRY_EVERY).await;
    }
}
