//! Which process, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MonoTime, UnitName};

/// A process that cannot be mistaken for a later one with the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The PID, in our PID namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_ticks: u64,
}

/// What is known of a process at one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Which.
    #[serde(rename = "process")]
    pub id: ProcessId,
    /// Its name, at most 15 bytes of it.
    pub name: String,
    /// Its control group: `/system.slice/ledger-api.service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_group: Option<String>,
    /// The unit of its control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitName>,
    /// The program, where it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The inode of its network namespace, where it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u64>,
    /// The signals it has handlers for: bit N - 1 is signal N (SigCgt of `/proc/PID/status`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught_signals: Option<u64>,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id.pid)
    }
}

/// That a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When it was noticed: it had ended by then.
    pub at: MonoTime,
    /// By what.
    pub source: ExitSource,
}

/// What told of an exit, the most exact first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitSource {
    /// The kernel, by the process's descriptor: pidfd_open(2).
    Pidfd,
    /// `/proc`, looked at every 5 ms.
    Proc,
    /// It was already gone when the watch began: it ended some time before.
    Late,
}
