//! The manager: what the trait asks for, put together from the parts.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath};

use super::bus::Bus;
use super::failure::{Attempt, Failure};
use super::follow::follow;
use super::inspect::Inspector;
use super::install::{self, InstalledUnit};
use super::jobs::Jobs;
use super::note::Noted;
use super::reason::words;
use super::route::{self, Route};
use crate::manager::ledger::{Change, EntryId, Ledger, UnitMark};
use crate::manager::{Job, Manager, ManagerError, Waits, is_protected};
use crate::model::address::Listener;
use crate::model::{Endpoint, KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::record::line::UnitChange;
use crate::scenario::plan::UnitFile;

/// Asks the kernel which listeners there are at an address, of those that the systemd with this PID holds. It has none
/// where the bus does not know it.
pub type FindListeners = fn(&Endpoint, Option<u32>) -> io::Result<Vec<Listener>>;

/// A connection that does not answer for this long is lost.
const PING_MAX: Duration = Duration::from_secs(10);

/// The kinds of units that are started again when they stopped with another.
const STARTABLE: &[&str] = &["service", "socket", "timer", "path"];

/// What a [`SystemdManager`] is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where changes are written down before they are made.
    pub ledger: Rc<RefCell<Ledger>>,
    /// Asks the kernel for a socket unit's listeners.
    pub find_listeners: FindListeners,
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
    pub(super) noted: RefCell<HashMap<UnitName, Noted>>,
    pub(super) installed: Vec<InstalledUnit>,
    pub(super) unit_directory: PathBuf,
    pub(super) find_listeners: FindListeners,
    pub(super) force: bool,
    pub(super) restores: bool,
    pub(super) routes: Vec<Route>,
    ledger: Rc<RefCell<Ledger>>,
    version: String,
    held: HashSet<UnitName>,
    followers: JoinSet<()>,
    change_sender: mpsc::UnboundedSender<UnitChange>,
    changes: Option<mpsc::UnboundedReceiver<UnitChange>>,
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
        let (change_sender, changes) = mpsc::unbounded_channel();
        Ok(Self {
            bus,
            jobs,
            own_jobs: RefCell::default(),
            waits: Waits::default(),
            noted: RefCell::default(),
            installed: Vec::new(),
            unit_directory,
            find_listeners: options.find_listeners,
            force: options.force,
            restores: options.restores,
            routes,
            ledger: options.ledger,
            version,
            held: HashSet::new(),
            followers: JoinSet::new(),
            change_sender,
            changes: Some(changes),
        })
    }

    /// Whether the unit, or the template it is made from, was installed for this run.
    pub(super) fn is_installed(&self, unit: &UnitName) -> bool {
        let template = unit.template();
        let defines = |file: &UnitName| file == unit || Some(file.as_str()) == template.as_deref();
        self.installed.iter().any(|installed| defines(&installed.unit))
    }

    pub(super) fn write_entry(&self, change: Change) -> Result<EntryId, ManagerError> {
        Ok(self.ledger.borrow_mut().entry(change)?)
    }

    pub(super) fn write_left(&self, entry: EntryId, mark: UnitMark) -> Result<(), ManagerError> {
        Ok(self.ledger.borrow_mut().left(entry, mark)?)
    }

    pub(super) fn strike_entry(&self, entry: EntryId) -> Result<(), ManagerError> {
        Ok(self.ledger.borrow_mut().undone(entry)?)
    }

    async fn start_following(&mut self, attempt: Attempt<'_>) -> Result<(), ManagerError> {
        let bus = self.bus.clone();
        let failed = |error: zbus::Error| Failure::of(&error).during(&bus, attempt);
        let unit = attempt.unit;
        let path = bus.systemd().load_unit(unit.as_str()).await.map_err(failed)?;
        bus.hold(&path).await.map_err(failed)?;
        let proxy = bus.properties_proxy(&path).await.map_err(failed)?;
        let signals = proxy.receive_properties_changed().await.map_err(failed)?;
        let known = bus.all_properties(unit).await.map_err(failed)?;
        self.followers.spawn(follow(unit.clone(), signals, known, self.change_sender.clone()));
        Ok(())
    }
}

impl Manager for SystemdManager {
    fn kind(&self) -> ManagerKind {
        self.bus.kind()
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn waits(&self) -> Waits {
        self.waits.clone()
    }

    async fn primary_name(&self, unit: &UnitName) -> Result<UnitName, ManagerError> {
        let failed = |error: zbus::Error| Failure::of(&error).during(&self.bus, Attempt { action: "look at", unit });
        let properties = self.bus.unit_properties(unit).await.map_err(failed)?;
        Ok(UnitName::new(properties.text("Id")).unwrap_or_else(|_| unit.clone()))
    }

    async fn reconnect(&mut self) -> Result<Option<String>, ManagerError> {
        let lost = match timeout(PING_MAX, self.bus.version()).await {
            Ok(Ok(_)) => return Ok(None),
            Ok(Err(error)) => Failure::of(&error).message,
            Err(_) => format!("no answer for {} s", PING_MAX.as_secs()),
        };
        let reached = route::reach(&self.routes, self.bus.kind()).await?;
        self.bus = reached.bus.with_pid_of(&self.bus);
        self.jobs = reached.jobs;
        Ok(Some(format!(
            "the connection to {} was lost ({lost}); it is reached again {}",
            self.bus.name(),
            reached.how
        )))
    }

    async fn install(&mut self, files: &[UnitFile]) -> Result<(), ManagerError> {
        install::install(self, files).await
    }

    async fn uninstall(&mut self) -> Result<(), ManagerError> {
        install::uninstall(self).await
    }

    async fn hold(&mut self, unit: &UnitName) -> Result<(), ManagerError> {
        let attempt = Attempt { action: "use", unit };
        self.refuse_protected(attempt)?;
        if self.held.contains(unit) {
            return Ok(());
        }
        self.loaded(attempt, true).await?;
        self.start_following(attempt).await?;
        self.held.insert(unit.clone());
        Ok(())
    }

    fn take_changes(&mut self) -> Option<mpsc::UnboundedReceiver<UnitChange>> {
        self.changes.take()
    }

    async fn snapshot(&self, unit: &UnitName) -> Result<UnitSnapshot, ManagerError> {
        self.look(unit, Attempt { action: "look at", unit }).await
    }

    async fn stopped_with(&self, unit: &UnitName) -> Result<Vec<UnitName>, ManagerError> {
        let links = Inspector::on(self.bus.clone(), self.find_listeners).stopped_with(unit).await?;
        let may_be_started = |unit: &UnitName| STARTABLE.contains(&unit.suffix()) && !is_protected(unit);
        Ok(links.into_iter().map(|link| link.unit).filter(may_be_started).collect())
    }

    async fn perform(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        self.act(unit, verb).await
    }

    async fn bring_back(&self, unit: &UnitName, verb: UnitVerb) -> Result<Job, ManagerError> {
        let attempt = Attempt { action: words(verb), unit };
        let before = self.loaded(attempt, false).await?;
        self.refuse_strangers_job(attempt, &before)?;
        let job = self.run_job(unit, verb).await?;
        self.note_after(unit).await?;
        Ok(job)
    }

    async fn kill(&self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError> {
        self.send(unit, who, signal).await
    }

    async fn daemon_reload(&self) -> Result<(), ManagerError> {
        let reloaded = self.bus.systemd().reload().await;
        reloaded.map_err(|error| {
            Failure::of(&error).during_any(&self.bus, "reload the unit files of".to_owned(), "systemd".to_owned())
        })
    }
}

/// The jobs we queued, to tell them from those of strangers.
#[derive(Debug, Default)]
pub(super) struct OwnJobs {
    /// Asked for, the answer not here yet: it never comes if the future was dropped meanwhile.
    asked_for: HashSet<UnitName>,
    queued: HashMap<UnitName, OwnedObjectPath>,
}

impl OwnJobs {
    pub(super) fn begin(&mut self, unit: &UnitName) {
        self.asked_for.insert(unit.clone());
    }

    pub(super) fn queued(&mut self, unit: &UnitName, job: OwnedObjectPath) {
        self.asked_for.remove(unit);
        self.queued.insert(unit.clone(), job);
    }

    pub(super) fn refused(&mut self, unit: &UnitName) {
        self.asked_for.remove(unit);
    }

    pub(super) fn contains(&self, unit: &UnitName, job: &OwnedObjectPath) -> bool {
        self.asked_for.contains(unit) || self.queued.get(unit) == Some(job)
    }
}
