//! What happens to the engine, in the order it is dealt with.

use std::process::ExitStatus;

use tokio::sync::oneshot;

use super::super::Job;
use super::super::error::ManagerError;
use crate::model::{KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};
use crate::scenario::plan::UnitFile;
use crate::unit_file::{Finding, IgnoredDirective};

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody asks for something.
    Asked(Request),
    /// The helper has become the service, or says why it could not.
    Executed {
        /// Of which unit.
        unit: UnitName,
        /// Which process.
        pid: u32,
        /// Why it could not; none if it did.
        error: Option<String>,
    },
    /// A process ended. Comes after its [`Event::Executed`].
    Exited {
        /// Of which unit.
        unit: UnitName,
        /// Which process.
        pid: u32,
        /// How.
        status: ExitStatus,
    },
}

/// What somebody asks for, and where the answer goes. An answer that nobody waits for any more is dropped.
#[derive(Debug)]
pub(super) enum Request {
    /// See `Manager::install`.
    Install(Vec<UnitFile>, oneshot::Sender<Result<(), ManagerError>>),
    /// See `Manager::uninstall`.
    Uninstall(oneshot::Sender<()>),
    /// See `Manager::hold`.
    Hold(UnitName, oneshot::Sender<Result<(), ManagerError>>),
    /// See `Manager::snapshot`.
    Snapshot(UnitName, oneshot::Sender<Result<UnitSnapshot, ManagerError>>),
    /// See `Manager::perform`.
    Perform(UnitName, UnitVerb, oneshot::Sender<Result<Job, ManagerError>>),
    /// See `Manager::kill`.
    Kill(UnitName, KillWho, Signal, oneshot::Sender<Result<(), ManagerError>>),
    /// The end of what a service printed.
    Output(UnitName, oneshot::Sender<Option<String>>),
    /// What was found in the unit files.
    Findings(oneshot::Sender<Findings>),
}

/// What was found in the unit files.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// What systemd would warn of.
    pub warnings: Vec<(UnitName, Finding)>,
    /// What is not acted on.
    pub ignored: Vec<IgnoredDirective>,
}
