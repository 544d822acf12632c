//! Everything the server opens at its start, and what a fault of the listeners makes of it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use rustix::net::SocketType;

use super::datagrams::Datagrams;
use super::error::ServerError;
use super::fault::FaultKind;
use super::fifo::Fifo;
use super::inherited::Inherited;
use super::listener::Listener;
use super::options::ServerOptions;
use super::stream::Stream;
use super::unread::Unread;
use super::unserved::{self, Unserved};
use crate::model::Endpoint;

/// What the server holds open besides the connections it accepts.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// What it accepts on; empty with a fault that lets it serve nowhere.
    pub(super) listeners: Vec<Listener>,
    /// What it takes datagrams at.
    pub(super) datagrams: Vec<Datagrams>,
    /// The FIFOs that it reads.
    pub(super) fifos: Vec<Fifo>,
    /// Queues that it leaves as they are until it stops.
    pub(super) unread: Vec<Unread>,
    /// Connections that the manager had accepted itself (Accept=yes), with their names.
    pub(super) connections: Vec<(String, Stream)>,
    /// Addresses that are taken and not served.
    pub(super) unserved: Vec<Unserved>,
}

impl Sockets {
    /// Opens everything, with the fault of the listeners that `options` ask for. Within a runtime only.
    pub(super) fn open(inherited: Vec<Inherited>, options: &ServerOptions) -> Result<Self, ServerError> {
        let fault = options.listener_fault();
        let mut sockets = Self::default();
        for socket in inherited {
            sockets.take_over(socket, fault)?;
        }
        for endpoint in sockets.own_endpoints(options) {
            let opened = sockets.open_own(&endpoint, options.backlog, fault);
            opened.map_err(|error| ServerError::Listen { endpoint, error })?;
        }
        if let Some(kind) = fault.filter(|&kind| !unserved::is_unserved(kind)) {
            sockets.endpoints().iter().try_for_each(|endpoint| spoil_path(endpoint, kind))?;
        }
        Ok(sockets)
    }

    /// The addresses, those included that are taken and not served; ports as the kernel chose them.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let served = self.listeners.iter().map(|listener| &listener.endpoint);
        let served = served.chain(self.datagrams.iter().map(|datagrams| &datagrams.endpoint));
        let served = served.chain(self.fifos.iter().map(|fifo| &fifo.endpoint));
        let served = served.chain(self.unread.iter().map(|unread| &unread.endpoint));
        served.chain(self.unserved.iter().map(|unserved| &unserved.endpoint)).cloned().collect()
    }

    /// Those of `options`; the default when nothing at all was given.
    fn own_endpoints(&self, options: &ServerOptions) -> Vec<Endpoint> {
        let passed = self.listeners.len() + self.datagrams.len() + self.connections.len();
        if passed == 0 && options.listen.is_empty() {
            vec![Endpoint::Tcp(([127, 0, 0, 1], 8010).into())]
        } else {
            options.listen.clone()
        }
    }

    fn take_over(&mut self, inherited: Inherited, fault: Option<FaultKind>) -> Result<(), ServerError> {
        let Inherited { descriptor, name, socket, family, kind } = inherited;
        let bad = |reason: String| ServerError::Inherited { descriptor, reason };
        if let Some(fault) = fault.filter(|&fault| unserved::is_unserved(fault)) {
            return Err(bad(format!("{fault} needs an address of the server's own: say --listen")));
        }
        let is_listening = rustix::net::sockopt::socket_acceptconn(&socket).map_err(|error| bad(error.to_string()))?;
        let taken = if kind == SocketType::DGRAM {
            Datagrams::inherit(name, socket, family).map(|datagrams| self.datagrams.push(datagrams))
        } else if is_listening {
            Listener::inherit(name, socket, family, kind).map(|listener| self.listeners.push(listener))
        } else {
            Stream::inherit(socket, family).map(|stream| self.connections.push((name, stream)))
        };
        taken.map_err(|error| bad(error.to_string()))
    }

    fn open_own(&mut self, endpoint: &Endpoint, backlog: u32, fault: Option<FaultKind>) -> io::Result<()> {
        match fault.filter(|&kind| unserved::is_unserved(kind)) {
            Some(kind @ (FaultKind::Unread | FaultKind::Overflow)) => {
                self.unread.push(Unread::open(kind, endpoint, backlog)?);
            }
            Some(kind) => self.unserved.push(unserved::occupy(kind, endpoint)?),
            None if endpoint.takes_datagrams() => self.datagrams.push(Datagrams::bind(endpoint)?),
            None => match endpoint {
                Endpoint::Fifo(path) => self.fifos.push(Fifo::open(path)?),
                _ => self.listeners.push(Listener::bind(endpoint, backlog)?),
            },
        }
        Ok(())
    }
}

/// Takes a listening socket out of the clients' reach; what listens keeps listening.
fn spoil_path(endpoint: &Endpoint, kind: FaultKind) -> Result<(), ServerError> {
    let spoilt = match (kind, endpoint.path()) {
        (FaultKind::PathMissing, Some(path)) => fs::remove_file(path),
        (FaultKind::NoPermission, Some(path)) => fs::set_permissions(path, fs::Permissions::from_mode(0o000)),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "only a Unix socket has a path")),
    };
    spoilt.map_err(|error| ServerError::Fault { kind, endpoint: endpoint.clone(), error })
}
