//! What is known of a socket and its service.

use std::time::Duration;

use super::live_facts::{LiveService, LiveSocket};
use super::server::{Files, Launch};
use super::source::Source;
use crate::unit_file::account::Account;
use crate::unit_file::specifier::Directories;
use crate::unit_file::{ServiceUnit, SocketUnit};

/// `net.core.somaxconn` of Linux 5.4 and later, where the machine's own is not known.
pub const DEFAULT_SOMAXCONN: u32 = 4096;

/// A socket with its service, or one of them alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The socket.
    pub socket: Option<SocketFacts>,
    /// The service that it starts, or that was asked about.
    pub service: Option<ServiceFacts>,
    /// The machine; nothing is known of it when files are checked.
    pub machine: Machine,
    /// The clients that are to be served.
    pub clients: Clients,
}

/// A socket.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketFacts {
    /// Its text.
    pub source: Source,
    /// What the text means.
    pub unit: SocketUnit,
    /// What systemd and the kernel say of it; none when files are checked.
    pub live: Option<LiveSocket>,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceFacts {
    /// Its text.
    pub source: Source,
    /// What the text means.
    pub unit: ServiceUnit,
    /// Configuration files that may tell its server to take a socket.
    pub configuration: Files,
    /// What systemd says of it; none when files are checked.
    pub live: Option<LiveService>,
}

/// The machine: settings of the kernel, and its systemd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `net.core.somaxconn`: the largest backlog the kernel grants.
    pub somaxconn: Option<u32>,
    /// `net.ipv4.tcp_migrate_req`: queued connections go over to another listener of the port.
    pub tcp_migrate_req: Option<bool>,
    /// The units are those of a user's own systemd.
    pub is_users: bool,
    /// The version of systemd.
    pub systemd: Option<u16>,
}

/// The clients that are to be served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clients {
    /// New connections per second.
    pub rate: Option<f64>,
    /// How long nobody accepts while the service restarts.
    pub gap: Option<Duration>,
    /// Whom they run as: a proxy's `www-data`, say.
    pub user: Option<ClientUser>,
}

/// The user that clients run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUser {
    /// Login name.
    pub name: String,
    /// Whether it is root, who may connect to everything.
    pub is_root: bool,
    /// The names of its groups.
    pub groups: Vec<String>,
}

impl ClientUser {
    /// The user of that name, or number, on this machine; none where there is none.
    #[must_use]
    pub fn find(name_or_uid: &str) -> Option<Self> {
        let account = Account::find(name_or_uid)?;
        let groups = account.groups();
        Some(Self { name: account.name, is_root: account.uid == 0, groups })
    }
}

impl Machine {
    /// What the kernel grants at most, by its default where that is not known.
    #[must_use]
    pub fn largest_backlog(self) -> u32 {
        self.somaxconn.unwrap_or(DEFAULT_SOMAXCONN)
    }
}

impl SocketFacts {
    /// Reads a text as a socket.
    #[must_use]
    pub fn new(source: Source, directories: Directories, live: Option<LiveSocket>) -> Self {
        let (source, unit) = source.socket(directories);
        Self { source, unit, live }
    }

    /// Whether it is there for who wants it, and nobody did.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.is_unused)
    }

    /// Whether connections are made to it, so that there is a queue of those that wait.
    #[must_use]
    pub fn takes_connections(&self) -> bool {
        let mut addresses = self.unit.listen.iter().map(|(address, _)| address.endpoint());
        addresses.any(|endpoint| endpoint.is_none_or(|endpoint| endpoint.takes_connections()))
    }

    /// The longest queue the kernel grants it: what the kernel says, or else what it would.
    #[must_use]
    pub fn effective_backlog(&self, machine: Machine) -> u32 {
        let live = self.live.as_ref().and_then(|live| {
            let mut held = live.addresses.iter().flat_map(|address| &address.listeners);
            held.find(|held| held.listener.endpoint.takes_connections())
        });
        live.map_or(self.unit.backlog.min(machine.largest_backlog()), |held| held.listener.backlog)
    }
}

impl ServiceFacts {
    /// Reads a text as a service.
    #[must_use]
    pub fn new(source: Source, directories: Directories, live: Option<LiveService>) -> Self {
        let (source, unit) = source.service(directories);
        let configuration = Files::of(&unit);
        Self::with(source, unit, configuration, live)
    }

    /// As [`Self::new`], of a service whose configuration was read already.
    pub(super) fn with(mut source: Source, unit: ServiceUnit, configuration: Files, live: Option<LiveService>) -> Self {
        if live.as_ref().is_some_and(|live| live.unit.load_state == "not-found") {
            // A unit that does not exist has no file, so nothing in it can be wrong.
            source.complaints.clear();
        }
        Self { source, unit, configuration, live }
    }

    /// How its server is started; none where no command is.
    #[must_use]
    pub fn launch(&self) -> Option<Launch> {
        Launch::of(&self.unit)
    }
}

impl Facts {
    /// Both, where both are known.
    #[must_use]
    pub fn pair(&self) -> Option<(&SocketFacts, &ServiceFacts)> {
        self.socket.as_ref().zip(self.service.as_ref())
    }

    /// The texts there are.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let socket = self.socket.as_ref().map(|socket| &socket.source);
        socket.into_iter().chain(self.service.as_ref().map(|service| &service.source))
    }
}
