//! Facts of units that are there: from systemd, from `/proc` and from the kernel's listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::facts::{Clients, Facts, Machine, ServiceFacts, SocketFacts};
use super::live_facts::{Address, HeldListener, LiveService, LiveSocket, LiveUnit};
use super::server::Files;
use super::source::Source;
use super::there;
use crate::host::holder::{self, Holder};
use crate::host::{listener, receiver};
use crate::manager::ManagerError;
use crate::manager::systemd::{Inspector, UnitDetails};
use crate::model::address::Listener;
use crate::model::{Endpoint, UnitKind, UnitName};
use crate::record::begin::ManagerKind;
use crate::ssh::{Place, Ssh};
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
    /// It is a template of which no instance is loaded.
    #[error(
        "{unit} is a template and none of its instances is loaded; \
         check an instance ({}) or the file (gapless check /PATH/OF/{unit})",
        .unit.as_str().replace('@', "@NAME")
    )]
    Template {
        /// The template.
        unit: UnitName,
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
    receivers: Vec<Listener>,
    machine: Machine,
    clients: Clients,
}

impl Gatherer {
    /// Looks at this machine through `inspector`.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn new(inspector: Inspector, clients: Clients) -> Result<Self, LiveError> {
        let place = inspector.place();
        let machine = Machine {
            is_users: inspector.kind() == ManagerKind::User,
            systemd: inspector.version().await?,
            somaxconn: setting(place, "core/somaxconn").await,
            tcp_migrate_req: setting(place, "ipv4/tcp_migrate_req").await.map(|value: u32| value != 0),
        };
        let (mut holders, mut listeners, mut receivers) = (BTreeMap::new(), Vec::new(), Vec::new());
        if place.there().is_none() {
            holders = holder::of_sockets();
            (listeners, receivers) = (listener::all().unwrap_or_default(), receiver::all().unwrap_or_default());
        }
        Ok(Self { inspector, holders, listeners, receivers, machine, clients })
    }

    /// The facts of a unit: of a service with each of its sockets, of a socket with its service, of a template with
    /// those of each of its instances that are loaded.
    ///
    /// # Errors
    /// When there is no such unit, or it cannot be looked at.
    pub async fn facts(&self, unit: &UnitName) -> Result<Vec<Facts>, LiveError> {
        if !unit.stem().ends_with('@') {
            return self.of_unit(unit).await;
        }
        let mut facts = Vec::new();
        for instance in self.inspector.instances(unit).await? {
            facts.extend(self.of_unit(&instance).await?);
        }
        if facts.is_empty() { Err(LiveError::Template { unit: unit.clone() }) } else { Ok(facts) }
    }

    async fn of_unit(&self, unit: &UnitName) -> Result<Vec<Facts>, LiveError> {
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
        let mut details = self.inspector.look_at_existing(unit).await?;
        details.pulled_in_by = self.awake(details.pulled_in_by).await?;
        let mut socket = self.socket(&details).await?;
        // With Accept=yes it is a template: there is no service but one for each connection.
        let triggered = (!socket.unit.accept).then(|| triggered(&socket)).flatten();
        let service = match triggered {
            Some(service) => Some(self.service(&self.inspector.look(&service).await?).await?),
            None => None,
        };
        mark_unused(&mut socket, &details, service.as_ref());
        Ok(self.with(Some(socket), service))
    }

    async fn of_service(&self, unit: &UnitName) -> Result<Vec<Facts>, LiveError> {
        let mut service = self.service(&self.inspector.look_at_existing(unit).await?).await?;
        let (mut sockets, mut unused) = (Vec::new(), Vec::new());
        for name in sockets_of(&service) {
            let details = self.inspector.look(&name).await?;
            match details.snapshot.load_state.as_str() {
                "not-found" => continue,
                "masked" => {
                    unused.push(name);
                    continue;
                }
                _ => {}
            }
            let mut socket = self.socket(&details).await?;
            if triggered(&socket).is_none_or(|triggered| triggered != service.source.name) {
                continue;
            }
            if mark_unused(&mut socket, &details, Some(&service)) {
                unused.push(name);
            } else {
                sockets.push(socket);
            }
        }
        if let Some(live) = &mut service.live {
            live.unused_sockets = unused;
        }
        if sockets.is_empty() {
            return Ok(vec![self.with(None, Some(service))]);
        }
        Ok(sockets.into_iter().map(|socket| self.with(Some(socket), Some(service.clone()))).collect())
    }

    /// Those of the units that are up: one that is not has pulled nothing in.
    async fn awake(&self, units: Vec<UnitName>) -> Result<Vec<UnitName>, LiveError> {
        let mut awake = Vec::new();
        for unit in units {
            if self.inspector.look(&unit).await?.snapshot.is_active() {
                awake.push(unit);
            }
        }
        Ok(awake)
    }

    fn with(&self, socket: Option<SocketFacts>, service: Option<ServiceFacts>) -> Facts {
        Facts { socket, service, machine: self.machine, clients: self.clients.clone() }
    }

    async fn socket(&self, details: &UnitDetails) -> Result<SocketFacts, LiveError> {
        let state = details.snapshot.socket.clone().unwrap_or_default();
        let is_seen = self.inspector.place().there().is_none();
        let (seen, unseen) = if is_seen { (state.listen, Vec::new()) } else { (Vec::new(), state.listen) };
        let live = LiveSocket {
            unit: live_unit(details),
            addresses: seen.iter().map(|endpoint| self.address(endpoint)).collect(),
            unseen_addresses: unseen,
            triggers: state.triggers,
            is_unused: false,
        };
        Ok(SocketFacts::new(self.source(details).await?, self.directories(), Some(live)))
    }

    async fn service(&self, details: &UnitDetails) -> Result<ServiceFacts, LiveError> {
        if let Some(ssh) = self.inspector.place().there() {
            return self.service_there(ssh, details).await;
        }
        let state = details.snapshot.service.clone().unwrap_or_default();
        let own: Vec<u64> = state.processes.iter().flat_map(|process| holder::sockets_of(process.pid)).collect();
        let is_its_own =
            |listener: &&Listener| own.contains(&listener.inode) && !self.is_held_by_systemd(listener.inode);
        let endpoints = |all: &[Listener]| all.iter().filter(is_its_own).map(|own| own.endpoint.clone()).collect();
        let listens_at = sorted(endpoints(&self.listeners));
        let mut receives_at: Vec<Endpoint> = endpoints(&self.receivers);
        receives_at.extend(state.processes.iter().flat_map(|process| self.fifos_of(process.pid)));
        let (may_receive_at, receives_at) = by_port(sorted(receives_at), &receiver::local_ports());
        let live = LiveService {
            unit: live_unit(details),
            main_pid: state.main_process.map(|process| process.pid),
            restarts: state.restarts,
            processes: state.processes.iter().map(|process| process.pid).collect(),
            was_passed_sockets: state.main_process.is_some_and(|process| was_passed_sockets(process.pid)),
            unused_sockets: Vec::new(),
            triggered_by: state.triggered_by,
            listens_at,
            receives_at,
            may_receive_at,
            start_took: details.start_took,
        };
        Ok(ServiceFacts::new(self.source(details).await?, self.directories(), Some(live)))
    }

    async fn service_there(&self, ssh: &Ssh, details: &UnitDetails) -> Result<ServiceFacts, LiveError> {
        let state = details.snapshot.service.clone().unwrap_or_default();
        let main_pid = state.main_process.map(|process| process.pid);
        let group = self.inspector.control_group(&details.name).await?;
        let looked = there::look(ssh, &group, main_pid).await.map_err(|error| files_error(details, error))?;
        let live = LiveService {
            unit: live_unit(details),
            main_pid,
            restarts: state.restarts,
            processes: looked.processes,
            // What cannot be seen is not held against its socket.
            was_passed_sockets: looked.was_passed_sockets.unwrap_or(true),
            unused_sockets: Vec::new(),
            triggered_by: state.triggered_by,
            listens_at: looked.listens_at,
            receives_at: looked.receives_at,
            may_receive_at: looked.may_receive_at,
            start_took: details.start_took,
        };
        let (source, unit) = self.source(details).await?.service(self.directories());
        let mut texts = Vec::new();
        for path in Files::paths(&unit) {
            texts.push(if path.is_absolute() { ssh.read_text(&path).await.ok() } else { None });
        }
        Ok(ServiceFacts::with(source, unit, texts.into_iter().collect(), Some(live)))
    }

    async fn source(&self, details: &UnitDetails) -> Result<Source, LiveError> {
        let name = details.name.clone();
        let Some(ssh) = self.inspector.place().there() else {
            return Source::read(name, &details.files).map_err(|error| files_error(details, error));
        };
        let mut texts = Vec::new();
        for path in &details.files {
            let text = ssh.read_text(path).await.map_err(|error| files_error(details, error))?;
            texts.push((path.clone(), text));
        }
        Ok(Source::new(name, &texts))
    }

    fn address(&self, endpoint: &Endpoint) -> Address {
        let is_reachable = match endpoint {
            Endpoint::Fifo(path) => path.exists(),
            _ => !listener::is_lost_to_path(endpoint).unwrap_or(false),
        };
        let mut reaching = listener::at(endpoint).unwrap_or_default();
        // One that is bound to the very address gets its connections, whoever listens on all addresses beside it.
        if reaching.iter().any(|listener| listener.endpoint == *endpoint) {
            reaching.retain(|listener| listener.endpoint == *endpoint);
        }
        let listeners = reaching.iter().map(|listener| self.held(listener)).collect();
        Address { endpoint: endpoint.clone(), is_reachable, listeners }
    }

    fn is_held_by_systemd(&self, inode: u64) -> bool {
        let holders = self.holders.get(&inode).into_iter().flatten();
        holders.into_iter().any(|holder| Some(holder.pid) == self.inspector.pid())
    }

    /// The FIFOs that a process reads from and systemd does not hold.
    fn fifos_of(&self, pid: u32) -> Vec<Endpoint> {
        let systemd = self.inspector.pid();
        let held = |fifo: &Endpoint| systemd.and_then(|systemd| holder::held_by_systemd(systemd, fifo));
        let mut fifos = receiver::fifos_of(pid);
        fifos.retain(|fifo| held(fifo).unwrap_or_default().is_empty());
        fifos
    }

    fn held(&self, listener: &Listener) -> HeldListener {
        let holders = self.holders.get(&listener.inode).cloned().unwrap_or_default();
        let systemd = self.inspector.pid();
        let is_systemd = |holder: &Holder| Some(holder.pid) == systemd;
        // Of a FIFO, a socket's inode tells no holder.
        let is_fifo = matches!(listener.endpoint, Endpoint::Fifo(_));
        let known = !is_fifo && systemd.is_some_and(holder::may_read);
        HeldListener {
            listener: listener.clone(),
            held_by_systemd: !known || holders.iter().any(is_systemd),
            holders: known.then_some(holders),
        }
    }

    fn directories(&self) -> Directories {
        let runtime = match self.inspector.place() {
            Place::Here => std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            Place::There(ssh) => Some(PathBuf::from(format!("/run/user/{}", ssh.about().uid))),
        };
        match (self.inspector.kind(), runtime) {
            (ManagerKind::User, Some(runtime)) => Directories { runtime, ..Directories::system() },
            _ => Directories::system(),
        }
    }
}

fn sorted(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

/// Those at UDP ports of this range, which the kernel gives to who asks for none, and the others.
pub(super) fn by_port(endpoints: Vec<Endpoint>, given: &RangeInclusive<u16>) -> (Vec<Endpoint>, Vec<Endpoint>) {
    let is_given = |endpoint: &Endpoint| endpoint.ip().is_some_and(|address| given.contains(&address.port()));
    endpoints.into_iter().partition(is_given)
}

/// Says of a socket whether it is in use. One that nothing will start is not, unless somebody started it and the service
/// does not run without it.
fn mark_unused(socket: &mut SocketFacts, details: &UnitDetails, service: Option<&ServiceFacts>) -> bool {
    let Some(live) = &mut socket.live else { return false };
    // A service that neither runs nor is enabled starts nothing.
    let sleeping = service.filter(|service| service.live.as_ref().is_some_and(|live| live.unit.is_left_alone()));
    live.unit.pulled_in_by.retain(|unit| sleeping.is_none_or(|service| service.source.name != *unit));
    let runs_without = service
        .and_then(|service| service.live.as_ref())
        .is_some_and(|service| service.unit.is_active() && service.main_pid.is_some() && !service.was_passed_sockets);
    live.is_unused = live.unit.is_left_alone() && (!details.was_started || runs_without);
    live.is_unused
}

/// Whether a process was started with sockets to serve; its environment is what it was then.
fn was_passed_sockets(pid: u32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"LISTEN_FDS="))
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

fn files_error(details: &UnitDetails, error: io::Error) -> LiveError {
    LiveError::Files { unit: details.name.clone(), error }
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
        pulled_in_by: details.pulled_in_by.clone(),
        was_skipped: details.was_skipped,
    }
}

/// A number below `/proc/sys/net`.
async fn setting(place: &Place, name: &str) -> Option<u32> {
    let path = format!("/proc/sys/net/{name}");
    let text = match place {
        Place::Here => fs::read_to_string(path).ok()?,
        Place::There(ssh) => ssh.read_text(Path::new(&path)).await.ok()?,
    };
    text.trim().parse().ok()
}
