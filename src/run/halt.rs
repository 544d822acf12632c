//! What keeps a run from its last step.

use crate::load::LoadError;
use crate::manager::ManagerError;
use crate::record::line::EndReason;

/// Why a run ended before its last step; every way ends in a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Manager(#[from] ManagerError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{0}")]
    Record(String),
    #[error("{0}")]
    NotReady(String),
    #[error("{0}")]
    Stopped(String),
    #[error("a step failed")]
    StepFailed,
    #[error("interrupted")]
    Interrupted,
}

impl From<Halt> for EndReason {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Manager(_) | Halt::Load(_) | Halt::Record(_) => Self::Error(halt.to_string()),
            Halt::NotReady(reason) => Self::NotReady(reason),
            Halt::Stopped(reason) => Self::Stopped(reason),
            Halt::StepFailed => Self::StepFailed,
            Halt::Interrupted => Self::Interrupted,
        }
    }
}
