//! What can go wrong with a manager: every message names the action, the unit, the reason and the remedy.

use std::io;
use std::path::PathBuf;

use crate::model::{KillWho, UnitName};

/// Why a manager could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// There is no bus.
    #[error("cannot reach {bus}: {reason}; {remedy}")]
    NoBus {
        /// Which.
        bus: &'static str,
        /// Why.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is no bus on another machine.
    #[error("cannot reach {bus} of {destination}: {reason}; check it with `systemctl -H {destination} status`")]
    NoBusThere {
        /// Which.
        bus: &'static str,
        /// Which machine.
        destination: String,
        /// Why.
        reason: String,
    },
    /// Another machine cannot be reached.
    #[error(transparent)]
    Ssh(#[from] crate::ssh::SshError),
    /// The manager does not know the unit.
    #[error("cannot {action} {unit}: there is no such unit; {remedy}")]
    NoSuchUnit {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: UnitName,
        /// What to do.
        remedy: String,
    },
    /// polkit or the bus said no.
    #[error(
        "cannot {action} {unit}: access denied ({reason}); run as root, or allow org.freedesktop.systemd1.manage-units in polkit"
    )]
    AccessDenied {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: String,
        /// What the bus said.
        reason: String,
    },
    /// The unit is masked.
    #[error("cannot {action} {unit}: it is masked; `systemctl unmask {unit}` first")]
    Masked {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: UnitName,
    },
    /// The unit file does not load.
    #[error(
        "cannot {action} {unit}: its unit file does not load ({reason}); `systemd-analyze verify {unit}` says where"
    )]
    BadUnit {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: UnitName,
        /// What the manager said.
        reason: String,
    },
    /// A unit that the machine needs.
    #[error("will not {action} {unit}: the machine depends on it; use --force if you mean it")]
    Protected {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: UnitName,
    },
    /// Somebody else's job is pending.
    #[error(
        "cannot {action} {unit}: somebody else's job {job} is pending on it; wait for it or cancel it with `systemctl cancel {job}`"
    )]
    StrangersJob {
        /// What was being done.
        action: String,
        /// To which unit.
        unit: UnitName,
        /// The job's number.
        job: u32,
    },
    /// A unit of that name is already there.
    #[error(
        "cannot install {unit}: a unit of that name is already there ({place}); rename the one of the scenario, or drop it from [units] files"
    )]
    AlreadyThere {
        /// Which.
        unit: UnitName,
        /// Its file or state.
        place: String,
    },
    /// There is no process to send a signal to.
    #[error("cannot send {signal} to {unit}: it has no such process (who = \"{}\"); {}", who.name(), presence(*who))]
    NoProcess {
        /// Which signal.
        signal: String,
        /// Which unit.
        unit: UnitName,
        /// Whose process was meant.
        who: KillWho,
    },
    /// A file could not be changed.
    #[error("cannot {action} {path}: {error}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The ledger cannot be used, so nothing may be changed.
    #[error(transparent)]
    Ledger(#[from] super::ledger::LedgerError),
    /// Anything else the manager says.
    #[error("cannot {action} {unit}: {reason}")]
    Refused {
        /// What was being done.
        action: String,
        /// To which unit, or `systemd`.
        unit: String,
        /// What was said.
        reason: String,
    },
    /// The manager went away.
    #[error("lost {bus} while trying to {action}: {reason}")]
    Lost {
        /// Which bus.
        bus: &'static str,
        /// What was being done.
        action: String,
        /// Why.
        reason: String,
    },
}

/// How the process that a signal is for comes to be there.
const fn presence(who: KillWho) -> &'static str {
    match who {
        KillWho::All => "it has to run by then: start it in a step before, or see its journal for why it ended",
        KillWho::Main => {
            "it has to run by then, and to have a main process (Type=forking: PIDFile=); who = \"all\" needs none"
        }
        KillWho::Control => {
            "there is one only while a command such as ExecStartPre= or ExecReload= runs; who = \"main\" or \"all\" needs none"
        }
    }
}
