//! What systemd and the kernel say of units that are there.

use std::time::Duration;

use crate::host::holder::Holder;
use crate::model::address::Listener;
use crate::model::{ActiveState, Endpoint, UnitName};

/// The state every unit has. The words are systemd's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveUnit {
    /// LoadState.
    pub load_state: String,
    /// ActiveState.
    pub active_state: ActiveState,
    /// SubState.
    pub sub_state: String,
    /// Result.
    pub result: String,
    /// UnitFileState: `enabled`, `disabled`, `static`, ...; empty for a unit without a file.
    pub unit_file_state: String,
    /// Its files changed on disk after they were loaded.
    pub need_daemon_reload: bool,
}

impl LiveUnit {
    /// Whether it is active; a reload counts as well.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active_state.is_active()
    }
}

/// A socket that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSocket {
    /// Its state.
    pub unit: LiveUnit,
    /// The stream addresses systemd names.
    pub addresses: Vec<Address>,
    /// The services it triggers.
    pub triggers: Vec<UnitName>,
}

/// An address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub endpoint: Endpoint,
    /// Whether the path of a Unix socket is there; true for TCP.
    pub is_reachable: bool,
    /// Who listens there; empty where nobody does.
    pub listeners: Vec<HeldListener>,
}

/// A listening socket and the processes that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldListener {
    /// The socket.
    pub listener: Listener,
    /// Who holds descriptors of it; none where the descriptors of systemd's process may not be read.
    pub holders: Option<Vec<Holder>>,
    /// Whether systemd's own process is among them; true where that may not be read.
    pub held_by_systemd: bool,
}

/// A service that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveService {
    /// Its state.
    pub unit: LiveUnit,
    /// PID of its main process.
    pub main_pid: Option<u32>,
    /// Automatic restarts so far.
    pub restarts: u32,
    /// The sockets that trigger it.
    pub triggered_by: Vec<UnitName>,
    /// Where its processes listen.
    pub listens_at: Vec<Endpoint>,
    /// How long its last start took, from when it was begun until systemd counted it as active; none if it is not up.
    pub start_took: Option<Duration>,
}
