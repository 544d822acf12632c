//! Managers: what carries actions out on units.
//!
//! The trait is one of the two seams of the project: systemd over D-Bus behind it, or our own embedded
//! manager. `run` is generic over it and knows neither.

pub mod embedded;
pub mod error;
pub mod ledger;
pub mod order;
pub mod protected;
pub mod recover;
pub mod systemd;
pub mod waits;

pub use error::ManagerError;
pub use protected::is_protected;
pub use waits::Waits;

use tokio::sync::mpsc;

use crate::model::{JobResult, KillWho, MonoTime, Signal, UnitName, UnitSnapshot, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::record::line::UnitChange;
use crate::scenario::plan::UnitFile;

/// How a job went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// How it ended.
    pub result: JobResult,
    /// When it ended: when the manager said so.
    pub ended_at: MonoTime,
    /// Why it was not `done`, in the manager's words; none where it gave none.
    pub reason: Option<String>,
}

/// Carries actions out on units. Used on one thread only, so futures need not be `Send`.
///
/// Every change that must be undone is in the ledger before it is made.
#[expect(async_fn_in_trait, reason = "callers are generic and single-threaded: no Send bound is wanted")]
pub trait Manager {
    /// Which kind it is.
    fn kind(&self) -> ManagerKind;

    /// Its name and version, such as `systemd 252`.
    fn version(&self) -> String;

    /// The jobs that it waits for, for those who watch.
    fn waits(&self) -> Waits;

    /// The name that the manager itself has for a unit which may have been named by an alias. One that is not there has
    /// no other name.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    async fn primary_name(&self, unit: &UnitName) -> Result<UnitName, ManagerError> {
        Ok(unit.clone())
    }

    /// Makes sure that the manager can be asked: where the connection to it was lost, it is made anew. A sentence about
    /// that; none if nothing was lost.
    ///
    /// # Errors
    /// When it cannot be reached any more.
    async fn reconnect(&mut self) -> Result<Option<String>, ManagerError> {
        Ok(None)
    }

    /// Makes the units of `files` known to the manager, without starting any.
    ///
    /// # Errors
    /// When a unit of that name is already there, or a file cannot be written or loaded. Nothing is installed then.
    async fn install(&mut self, files: &[UnitFile]) -> Result<(), ManagerError>;

    /// What a reader of the report must know of the installed units, such as directives that are not acted on: a
    /// sentence each.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    async fn remarks(&self) -> Result<Vec<String>, ManagerError> {
        Ok(Vec::new())
    }

    /// Takes away what [`Self::install`] brought: stops the units, forgets their failures, removes the files.
    ///
    /// # Errors
    /// When something could not be removed; everything else was.
    async fn uninstall(&mut self) -> Result<(), ManagerError>;

    /// Keeps a unit loaded, so that its state can be read after it stopped; and follows its state changes,
    /// which arrive at the receiver of [`Self::take_changes`].
    ///
    /// # Errors
    /// When there is no such unit, it is masked, or it may not be touched.
    async fn hold(&mut self, unit: &UnitName) -> Result<(), ManagerError>;

    /// The state changes of held units, in order. Once.
    fn take_changes(&mut self) -> Option<mpsc::UnboundedReceiver<UnitChange>>;

    /// Everything that is known of a unit now.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    async fn snapshot(&self, unit: &UnitName) -> Result<UnitSnapshot, ManagerError>;

    /// The services and sockets that are active and would stop with `unit`, and those that would stop with them; the
    /// nearest first. Without those that the machine needs: they are nobody's to start.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    async fn stopped_with(&self, _unit: &UnitName) -> Result<Vec<UnitName>, ManagerError> {
        Ok(Vec::new())
    }

    /// Does `verb` to `unit` and waits for the job to end. A job that systemd refuses to queue for a reason
    /// that lies in the unit (RefuseManualStart=, start limit) is a job with result `failed`.
    ///
    /// # Errors
    /// When the manager cannot be asked, denies access, or somebody else's job is pending.
    async fn perform(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError>;

    /// Starts or stops a unit as [`Self::perform`] does, but as a change that puts something back: it is not itself to
    /// be undone, and leaves nothing in the ledger.
    ///
    /// # Errors
    /// As [`Self::perform`].
    async fn bring_back(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        self.perform(unit, verb).await
    }

    /// Sends a signal to processes of a unit.
    ///
    /// # Errors
    /// When there is no such process, or the manager cannot be asked.
    async fn kill(&self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError>;

    /// Reads all unit files again.
    ///
    /// # Errors
    /// When the manager cannot be asked or fails.
    async fn daemon_reload(&self) -> Result<(), ManagerError>;
}
