//! The manager: the parts it is made of.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use zbus::Connection;

use super::bus::Bus;
use super::follow::Followers;
use super::installed::Installed;
use super::jobs::{Jobs, OwnJobs};
use super::looked::Mains;
use super::notes::Notes;
use super::route::Route;
use crate::host::Host;
use crate::manager::ledger::Ledger;
use crate::manager::{ManagerError, Waits};
use crate::record::begin::ManagerKind;
use crate::ssh::Ssh;

/// What a [`SystemdManager`] is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where changes are written down before they are made.
    pub ledger: Rc<RefCell<Ledger>>,
    /// Shows processes and listeners; none where systemd alone is asked.
    pub host: Option<Rc<dyn Host>>,
    /// Act on units that the machine needs, too.
    pub force: bool,
    /// Units are put back as they were found: then the ledger tells the next run how, should this one be killed.
    pub restores: bool,
}

/// systemd, over D-Bus. Needs a tokio runtime with I/O and time for as long as it lives.
#[derive(Debug)]
pub struct SystemdManager {
    pub(super) bus: Bus,
    pub(super) jobs: Jobs,
    pub(super) own_jobs: RefCell<OwnJobs>,
    pub(super) waits: Waits,
    pub(super) notes: Notes,
    pub(super) installed: Installed,
    pub(super) followers: Followers,
    pub(super) host: Option<Rc<dyn Host>>,
    pub(super) mains: Mains,
    pub(super) force: bool,
    pub(super) restores: bool,
    pub(super) routes: Vec<Route>,
    pub(super) version: String,
}

impl SystemdManager {
    /// Connects to the systemd of the machine.
    ///
    /// # Errors
    /// When there is no system bus, or no systemd on it.
    pub async fn system(options: Options) -> Result<Self, ManagerError> {
        let routes = Route::all(ManagerKind::System);
        Self::with(Bus::system().await?, routes, PathBuf::from("/run/systemd/system"), options).await
    }

    /// Connects to the systemd of the user.
    ///
    /// # Errors
    /// When there is no user bus, no systemd on it, or XDG_RUNTIME_DIR is not set.
    pub async fn user(options: Options) -> Result<Self, ManagerError> {
        let Some(runtime_directory) = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty())
        else {
            return Err(ManagerError::NoBus {
                bus: "systemd on the user bus",
                reason: "XDG_RUNTIME_DIR is not set".to_owned(),
                remedy: "log in through a session that has a systemd --user, or use --manager embedded",
            });
        };
        let routes = Route::all(ManagerKind::User);
        Self::with(Bus::user().await?, routes, PathBuf::from(runtime_directory).join("systemd/user"), options).await
    }

    /// Connects to the systemd of another machine, or to that of the user who logs in there.
    ///
    /// # Errors
    /// When there is no such bus there, or no systemd on it.
    pub async fn at(ssh: &Rc<Ssh>, kind: ManagerKind, options: Options) -> Result<Self, ManagerError> {
        // Nothing is installed on another machine.
        let unit_directory = PathBuf::from("/run/systemd/system");
        Self::with(Bus::at(ssh, kind).await?, vec![Route::Ssh(Rc::clone(ssh))], unit_directory, options).await
    }

    /// Uses the systemd at the other end of `connection`; unit files go to `unit_directory`.
    ///
    /// # Errors
    /// When systemd does not answer there.
    pub async fn on(
        connection: Connection,
        kind: ManagerKind,
        unit_directory: PathBuf,
        options: Options,
    ) -> Result<Self, ManagerError> {
        Self::with(Bus::on(connection, kind).await?, Vec::new(), unit_directory, options).await
    }

    async fn with(
        bus: Bus,
        routes: Vec<Route>,
        unit_directory: PathBuf,
        options: Options,
    ) -> Result<Self, ManagerError> {
        let failed = |error: zbus::Error| bus.failed(&error, "talk to");
        let version = bus.version().await.map_err(failed)?;
        let jobs = Jobs::hear(bus.systemd()).await.map_err(failed)?;
        Ok(Self {
            bus,
            jobs,
            own_jobs: RefCell::default(),
            waits: Waits::default(),
            notes: Notes::new(options.ledger),
            installed: Installed::none_in(unit_directory),
            followers: Followers::none(),
            host: options.host,
            mains: Mains::default(),
            force: options.force,
            restores: options.restores,
            routes,
            version,
        })
    }
}
