//! Facts of units that are there: from systemd, from `/proc` and from the kernel's listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use super::facts::{Clients, Facts, Machine, ServiceFacts, SocketFacts};
use super::live_facts::{Address, HeldListener, LiveService, LiveSocket, LiveUnit};
use super::source::Source;
use crate::host::holder::{self, Holder};
use crate::host::listener;
use crate::manager::ManagerError;
use crate::manager::systemd::{Inspector, UnitDetails};
use crate::model::address::Listener;
use crate::model::{Endpoint, UnitKind, UnitName};
use crate::record::begin::ManagerKind;
use crate::unit_file::specifier::Directories;

/// Why a unit cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// systemd cannot be asked, or does not know it.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// Its files cannot be read.
    #[error("cannot read the files of {unit}: {error}")]
    Files {
        /// The unit.
        unit: UnitName,
        /// Why not.
        error: io::Error,
    },
    /// It is neither a socket nor a service.
    #[error("{unit} is neither a socket nor a service: only these are checked")]
    Kind {
        /// The unit.
        unit: UnitName,
    },
}

/// Gathers facts. Who holds which socket is read once, when it is made.
#[derive(Debug)]
pub struct Gatherer {
    inspector: Inspector,
    holders: BTreeMap<u64, Vec<Holder>>,
    listeners: Vec<Listener>,
    machine: Machine,
    clients: Clients,
}

impl Gatherer {
    /// Looks at this machine through `inspector`.
    #[must_use]
    pub fn new(inspector: Inspector, clients: Clients) -> Self {
        let machine = Machine {
            is_users: inspector.kind() == ManagerKind::User,
            somaxconn: setting("core/somaxconn"),
            tcp_migrate_req: setting("ipv4/tcp_migrate_req").map(|value: u32| value != 0),
        };
        let listeners = listener::all().unwrap_or_default();
        Self { inspector, holders: holder::of_sockets(), listeners, machine, clients }
    }

    /// The facts of a unit: of a service with each of its sockets, of a socket with its service.
    ///
    /// # Errors
    /// When there is no such unit, or it cannot be looked at.
    pub async fn facts(&self, unit: &UnitName) -> Result<Vec<Facts>, LiveError> {
        match unit.kind() {
            UnitKind::Socket => Ok(vec![self.of_socket(unit).await?]),
            UnitKind::Service => self.of_service(unit).await,
            UnitKind::Other => Err(LiveError::Kind { unit: unit.clone() }),
        }
    }

    /// The sockets of the machine.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn sockets(&self) -> Result<Vec<UnitName>, LiveError> {
        Ok(self.inspector.sockets().await?)
    }

    async fn of_socket(&self, unit: &UnitName) -> Result<Facts, LiveError> {
        let details = self.inspector.look_at_existing(unit).await?;
        let socket = self.socket(&details)?;
        // With Accept=yes it is a template: there is no service but one for each connection.
        let triggered = (!socket.unit.accept).then(|| triggered(&socket)).flatten();
        let service = match triggered {
            Some(service) => Some(self.service(&self.inspector.look(&service).await?)?),
            None => None,
        };
        Ok(self.with(Some(socket), service))
    }

    async fn of_service(&self, unit: &UnitName) -> Result<Vec<Facts>, LiveError> {
        let service = self.service(&self.inspector.look_at_existing(unit).await?)?;
        let mut facts = Vec::new();
        for name in sockets_of(&service) {
            let details = self.inspector.look(&name).await?;
            if details.snapshot.load_state == "not-found" {
                continue;
            }
            let socket = self.socket(&details)?;
            if triggered(&socket).is_some_and(|triggered| triggered == service.source.name) {
                facts.push(self.with(Some(socket), Some(service.clone())));
            }
        }
        if facts.is_empty() {
            facts.push(self.with(None, Some(service)));
        }
        Ok(facts)
    }

    fn with(&self, socket: Option<SocketFacts>, service: Option<ServiceFacts>) -> Facts {
        Facts { socket, service, machine: self.machine, clients: self.clients.clone() }
    }

    fn socket(&self, details: &UnitDetails) -> Result<SocketFacts, LiveError> {
        let state = details.snapshot.socket.clone().unwrap_or_default();
        let addresses = state.listen.iter().map(|endpoint| self.address(endpoint)).collect();
        let live = LiveSocket { unit: live_unit(details), addresses, triggers: state.triggers };
        Ok(SocketFacts::new(source(details)?, self.directories(), Some(live)))
    }

    fn service(&self, details: &UnitDetails) -> Result<ServiceFacts, LiveError> {
        let state = details.snapshot.service.clone().unwrap_or_default();
        let own: Vec<u64> = state.processes.iter().flat_map(|process| holder::sockets_of(process.pid)).collect();
        let at = self.listeners.iter().filter(|listener| own.contains(&listener.inode));
        let mut listens_at: Vec<_> = at.map(|listener| listener.endpoint.clone()).collect();
        listens_at.sort();
        listens_at.dedup();
        let live = LiveService {
            unit: live_unit(details),
            main_pid: state.main_process.map(|process| process.pid),
            restarts: state.restarts,
            triggered_by: state.triggered_by,
            listens_at,
            start_took: details.start_took,
        };
        Ok(ServiceFacts::new(source(details)?, self.directories(), Some(live)))
    }

    fn address(&self, endpoint: &Endpoint) -> Address {
        let is_reachable = match endpoint {
            Endpoint::Unix(path) => path.exists(),
            Endpoint::Tcp(_) => true,
        };
        let mut reaching = listener::at(endpoint).unwrap_or_default();
        // One that is bound to the very address gets its connections, whoever listens on all addresses beside it.
        if reaching.iter().any(|listener| listener.endpoint == *endpoint) {
            reaching.retain(|listener| listener.endpoint == *endpoint);
        }
        let listeners = reaching.iter().map(|listener| self.held(listener)).collect();
        Address { endpoint: endpoint.clone(), is_reachable, listeners }
    }

    fn held(&self, listener: &Listener) -> HeldListener {
        let holders = self.holders.get(&listener.inode).cloned().unwrap_or_default();
        let systemd = self.inspector.pid();
        let is_systemd = |holder: &Holder| Some(holder.pid) == systemd;
        let known = systemd.is_some_and(holder::may_read);
        HeldListener {
            listener: listener.clone(),
            held_by_systemd: !known || holders.iter().any(is_systemd),
            holders: known.then_some(holders),
        }
    }

    fn directories(&self) -> Directories {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        match (self.inspector.kind(), runtime) {
            (ManagerKind::User, Some(runtime)) => Directories { runtime, ..Directories::system() },
            _ => Directories::system(),
        }
    }
}

/// The sockets that may be this service's. systemd names those that are loaded: one that is stopped may not be, and
/// that is just when it is missed.
fn sockets_of(service: &ServiceFacts) -> BTreeSet<UnitName> {
    let loaded = service.live.iter().flat_map(|live| &live.triggered_by);
    let named = service.unit.sockets.iter().chain(&service.unit.unit.requires).chain(&service.unit.unit.binds_to);
    let of_same_name = UnitName::new(format!("{}.socket", service.source.name.stem())).ok();
    let all = loaded.chain(named).cloned().chain(of_same_name);
    all.filter(|unit| unit.kind() == UnitKind::Socket).collect()
}

/// The service a socket starts, in systemd's words, or in its own.
fn triggered(socket: &SocketFacts) -> Option<UnitName> {
    let live = socket.live.as_ref().and_then(|live| live.triggers.first().cloned());
    live.or_else(|| UnitName::new(socket.unit.triggers()).ok())
}

fn source(details: &UnitDetails) -> Result<Source, LiveError> {
    let read = Source::read(details.name.clone(), &details.files);
    read.map_err(|error| LiveError::Files { unit: details.name.clone(), error })
}

fn live_unit(details: &UnitDetails) -> LiveUnit {
    let snapshot = &details.snapshot;
    LiveUnit {
        load_state: snapshot.load_state.clone(),
        active_state: snapshot.active_state.clone(),
        sub_state: snapshot.sub_state.clone(),
        result: snapshot.result.clone(),
        unit_file_state: details.unit_file_state.clone(),
        need_daemon_reload: snapshot.need_daemon_reload,
    }
}

/// A number below `/proc/sys/net`.
fn setting(name: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?.trim().parse().ok()
}
