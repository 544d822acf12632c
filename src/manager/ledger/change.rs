//! What is about to be changed, by which run, and how a unit was found and left.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{ActiveState, MonoTime, UnitName};
use crate::record::begin::ManagerKind;
use crate::ssh::Place;

/// The run that a ledger belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name of its scenario.
    pub scenario: String,
    /// Its process.
    pub pid: u32,
    /// When it started, RFC 3339 in UTC.
    pub started_at: String,
    /// The boot it belongs to: `/proc/sys/kernel/random/boot_id`. After a reboot every unit is as that boot made it.
    pub boot: String,
    /// The machine of its process; none where it is the one that the ledger lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl Owner {
    /// This process, for a scenario that started at that time.
    #[must_use]
    pub fn this_process(scenario: &str, started_at: String) -> Self {
        Self { scenario: scenario.to_owned(), pid: std::process::id(), started_at, boot: this_boot(), machine: None }
    }

    /// The same, for units that are at `place`.
    #[must_use]
    pub fn acting_at(self, place: &Place) -> Self {
        let Place::There(ssh) = place else { return self };
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { boot: ssh.about().boot, machine: Some(machine), ..self }
    }

    /// `process 812`, and on which machine where that is another one.
    #[must_use]
    pub fn process(&self) -> String {
        process(self.pid, self.machine.as_deref())
    }
}

/// As [`Owner::process`].
#[must_use]
pub fn process(pid: u32, machine: Option<&str>) -> String {
    let machine = machine.map(|machine| format!(" on {machine}")).unwrap_or_default();
    format!("process {pid}{machine}")
}

/// Empty where the kernel does not tell: then all runs are of one boot.
pub(super) fn this_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What is about to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A unit file is brought. Undone: its units are stopped and the file is gone.
    Installed {
        /// To which manager.
        manager: ManagerKind,
        /// Which unit or template.
        unit: UnitName,
        /// Its file.
        path: PathBuf,
    },
    /// A unit that was down is started. Undone: it is stopped.
    Started(ActedUnit),
    /// A unit that was up may be stopped. Undone: it is up again.
    Stopped(ActedUnit),
    /// A unit is used by a run. There is nothing to undo; it tells other runs.
    Uses {
        /// By which manager.
        manager: ManagerKind,
        /// Which.
        unit: UnitName,
        /// By which scenario.
        scenario: String,
        /// In which process.
        pid: u32,
        /// Embedded units are those of their scenario's folder; none for units of systemd.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<PathBuf>,
    },
}

impl Change {
    /// The manager that can undo it; none if there is nothing to undo.
    #[must_use]
    pub fn manager(&self) -> Option<ManagerKind> {
        match self {
            Self::Installed { manager, .. } => Some(*manager),
            Self::Started(acted) | Self::Stopped(acted) => Some(acted.manager),
            Self::Uses { .. } => None,
        }
    }
}

/// A unit that is acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActedUnit {
    /// By which manager.
    pub manager: ManagerKind,
    /// Which unit.
    pub unit: UnitName,
    /// What is done: `restart`, `send SIGKILL to`.
    pub action: String,
    /// Whether that starts a new incarnation.
    pub starts: bool,
    /// How the unit was before.
    pub found: UnitMark,
}

/// How a unit is: enough to tell later whether it is still so. The words are systemd's.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitMark {
    /// ActiveState.
    pub active_state: ActiveState,
    /// SubState: of a socket, whether it listens.
    pub sub_state: String,
    /// InvocationID; none if the unit was never started or was unloaded.
    pub invocation_id: Option<String>,
    /// StateChangeTimestampMonotonic; none as for the InvocationID.
    pub changed_at: Option<MonoTime>,
    /// InactiveExitTimestampMonotonic: when it was last started.
    pub began_at: Option<MonoTime>,
}

impl UnitMark {
    /// Whether it is neither up nor about to be.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.active_state.is_stopped() || self.is_going_down()
    }

    /// Whether it was unloaded since it stopped: nothing tells which incarnation it was.
    #[must_use]
    pub fn is_unloaded(&self) -> bool {
        self.is_down() && self.invocation_id.is_none() && self.changed_at.is_none()
    }

    /// Whether a unit that was like this, and is now like `now`, was left alone meanwhile. What is up is told by its
    /// incarnation: a socket changes its state with every service that it starts. What is down does not change by
    /// itself at all.
    #[must_use]
    pub fn is_still(&self, now: &Self) -> bool {
        let same_incarnation = self.invocation_id == now.invocation_id;
        match (self.is_down(), now.is_down()) {
            (true, true) => same_incarnation && (self.changed_at == now.changed_at || self.is_going_down()),
            (false, false) => same_incarnation,
            _ => false,
        }
    }

    fn is_going_down(&self) -> bool {
        self.active_state == ActiveState::Deactivating
    }
}
