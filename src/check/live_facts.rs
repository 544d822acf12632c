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
    /// The units that start it, or are ended with it: WantedBy=, RequiredBy=, BoundBy= and UpheldBy=.
    pub pulled_in_by: Vec<UnitName>,
    /// A condition or an assertion did not hold when it was last to be started.
    pub was_skipped: bool,
}

impl LiveUnit {
    /// Whether nothing will start it: it is neither enabled nor pulled in by another unit, and does not run.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        let is_enabled =
            matches!(self.unit_file_state.as_str(), "enabled" | "enabled-runtime" | "generated" | "transient");
        self.active_state == ActiveState::Inactive && !is_enabled && self.pulled_in_by.is_empty()
    }

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
    /// The stream addresses systemd names, each with what the kernel has there.
    pub addresses: Vec<Address>,
    /// Those of a machine whose kernel cannot be asked.
    pub unseen_addresses: Vec<Endpoint>,
    /// The services it triggers.
    pub triggers: Vec<UnitName>,
    /// Nothing starts it and nobody did, or its service runs without it: a distribution ships such sockets for who wants
    /// them.
    pub is_unused: bool,
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
    /// PIDs of the processes in its control group.
    pub processes: Vec<u32>,
    /// Where its processes listen, at sockets of their own: systemd holds none of them.
    pub listens_at: Vec<Endpoint>,
    /// Where its processes take messages, at sockets and FIFOs of their own.
    pub receives_at: Vec<Endpoint>,
    /// The same at UDP ports that the kernel may have chosen: those of clients look alike.
    pub may_receive_at: Vec<Endpoint>,
    /// Its main process was passed sockets when it was started: LISTEN_FDS is in its environment.
    pub was_passed_sockets: bool,
    /// Sockets that would start it and are not in use.
    pub unused_sockets: Vec<UnitName>,
    /// How long its last start took, from when it was begun until systemd counted it as active; none if it is not up.
    pub start_took: Option<Duration>,
}
