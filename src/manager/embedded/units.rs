//! The installed units: read, found by name, and made from templates.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::task::Poll;

use super::super::error::ManagerError;
use super::event::Findings;
use super::host::Host;
use super::listener::Peer;
use super::service::Service;
use super::socket::Socket;
use super::transaction::{Graph, Links};
use crate::model::{UnitKind, UnitName};
use crate::scenario::plan;
use crate::unit_file::service_choices::{Input, Output, ServiceType};
use crate::unit_file::{Finding, ServiceUnit, Severity, SocketUnit, Specifiers, UnitFile, UnitSection};

/// The installed units.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub(super) services: BTreeMap<UnitName, Service>,
    pub(super) sockets: BTreeMap<UnitName, Socket>,
    /// Files of templates by their name, `app@.service`.
    templates: BTreeMap<String, UnitFile>,
    masked: BTreeSet<UnitName>,
    pub(super) graph: Graph,
    pub(super) findings: Findings,
}

impl Units {
    /// Reads and checks all of `files`, and keeps them if all are good.
    ///
    /// # Errors
    /// When a unit of that name is there, is of a kind that is not supported, or would not load: file and line.
    pub(super) fn install(&mut self, files: &[plan::UnitFile], host: &Host) -> Result<(), ManagerError> {
        let mut new = Self::default();
        for file in files {
            if self.is_known(&file.unit) || new.is_known(&file.unit) {
                let place = "installed before in this run".to_owned();
                return Err(ManagerError::AlreadyThere { unit: file.unit.clone(), place });
            }
            new.read(file, host)?;
        }
        self.services.extend(new.services);
        self.sockets.extend(new.sockets);
        self.templates.extend(new.templates);
        self.masked.extend(new.masked);
        self.findings.warnings.extend(new.findings.warnings);
        self.findings.ignored.extend(new.findings.ignored);
        self.link();
        Ok(())
    }

    fn read(&mut self, file: &plan::UnitFile, host: &Host) -> Result<(), ManagerError> {
        let (parsed, findings) = UnitFile::parse(&file.text);
        if file.text.trim().is_empty() {
            self.masked.insert(file.unit.clone());
            return Ok(());
        }
        let specifiers = Specifiers::new(file.unit.clone(), host.directories.clone());
        let refuse = |finding: &Finding| refused(file, finding);
        if let Some(error) = findings.iter().find(|finding| finding.severity == Severity::Error) {
            return Err(refuse(error));
        }
        let is_template = file.unit.stem().ends_with('@');
        let (more, ignored) = match file.unit.kind() {
            UnitKind::Service => {
                let (definition, mut findings, ignored) = ServiceUnit::read(&parsed, &specifiers);
                findings.extend(unsupported(&definition, &parsed));
                if is_template {
                    self.templates.insert(file.unit.to_string(), parsed);
                } else {
                    self.services.insert(file.unit.clone(), Service::new(definition, host));
                }
                (findings, ignored)
            }
            UnitKind::Socket => {
                let (definition, mut findings, ignored) = SocketUnit::read(&parsed, &specifiers);
                findings.extend(unowned(&parsed, rustix::process::geteuid().is_root()));
                if is_template {
                    self.templates.insert(file.unit.to_string(), parsed);
                } else {
                    self.sockets.insert(file.unit.clone(), Socket::new(definition));
                }
                (findings, ignored)
            }
            UnitKind::Other => {
                let finding = Finding::error(0, "the embedded manager knows services and sockets only");
                return Err(refuse(&finding));
            }
        };
        if let Some(error) = more.iter().find(|finding| finding.severity == Severity::Error) {
            return Err(refuse(error));
        }
        let all = findings.into_iter().chain(more);
        self.findings.warnings.extend(all.map(|finding| (file.unit.clone(), finding)));
        self.findings.ignored.extend(ignored);
        Ok(())
    }

    /// Whether a unit, or the template of it, is installed.
    pub(super) fn is_known(&self, unit: &UnitName) -> bool {
        self.services.contains_key(unit)
            || self.sockets.contains_key(unit)
            || self.is_masked(unit)
            || self.templates.contains_key(unit.as_str())
            || unit.template().is_some_and(|template| self.templates.contains_key(&template))
    }

    /// Whether there is a template of that name.
    pub(super) fn has_template(&self, name: &str) -> bool {
        self.templates.contains_key(name)
    }

    /// Whether the unit's file is empty, which is what systemd calls masked.
    pub(super) fn is_masked(&self, unit: &UnitName) -> bool {
        self.masked.contains(unit)
    }

    /// Makes the unit from its template, if it is an instance that is not there yet.
    pub(super) fn instantiate(&mut self, unit: &UnitName, host: &Host) {
        if self.services.contains_key(unit) || self.sockets.contains_key(unit) {
            return;
        }
        let Some(file) = unit.template().and_then(|template| self.templates.get(&template)) else { return };
        let specifiers = Specifiers::new(unit.clone(), host.directories.clone());
        if unit.kind() == UnitKind::Service {
            let (definition, ..) = ServiceUnit::read(file, &specifiers);
            self.services.insert(unit.clone(), Service::new(definition, host));
        } else {
            let (definition, ..) = SocketUnit::read(file, &specifiers);
            self.sockets.insert(unit.clone(), Socket::new(definition));
        }
        self.link();
    }

    /// Makes a service for one connection of `socket`. None when its template is not there.
    pub(super) fn instantiate_for(&mut self, socket: &UnitName, connection: OwnedFd, host: &Host) -> Option<UnitName> {
        let socket = self.sockets.get_mut(socket)?;
        let template = socket.definition.triggers();
        let file = self.templates.get(&template)?;
        let number = socket.accepted;
        socket.accepted += 1;
        let peer = Peer::of(&connection).ok()?;
        let unit = UnitName::new(template.replacen('@', &format!("@{number}-{}", peer.instance), 1)).ok()?;
        let (definition, ..) = ServiceUnit::read(file, &Specifiers::new(unit.clone(), host.directories.clone()));
        self.services.insert(unit.clone(), Service::for_connection(definition, connection, peer, host));
        Some(unit)
    }

    /// How many connections of `socket` are served now.
    pub(super) fn connections_of(&self, socket: &UnitName) -> usize {
        let Some(socket) = self.sockets.get(socket) else { return 0 };
        let template = socket.definition.triggers();
        let instances = self.services.values().filter(|service| service.is_for_connection());
        instances.filter(|service| service.name().template().as_deref() == Some(template.as_str())).count()
    }

    /// The service that a socket without Accept=yes starts, if it is installed.
    pub(super) fn service_of(&self, socket: &UnitName) -> Option<&Service> {
        let socket = self.sockets.get(socket).filter(|socket| !socket.definition.accept)?;
        self.services.get(&UnitName::new(socket.definition.triggers()).ok()?)
    }

    /// The sockets that start a service, and those it names in Sockets=; by name.
    pub(super) fn sockets_of(&self, service: &UnitName) -> Vec<UnitName> {
        let named = self.services.get(service).map_or(&[][..], |service| &service.definition.sockets);
        let starts = |socket: &&Socket| socket.definition.triggers() == service.as_str();
        let is_his = |socket: &&Socket| starts(socket) || named.contains(socket.name());
        self.sockets.values().filter(is_his).map(|socket| socket.name().clone()).collect()
    }

    /// The sockets whose first connection starts a service.
    pub(super) fn triggered_by(&self, service: &UnitName) -> Vec<UnitName> {
        let sockets = self.sockets.values();
        sockets.filter(|socket| socket.definition.triggers() == service.as_str()).map(|s| s.name().clone()).collect()
    }

    /// The units at whose descriptors something came: connections at sockets, messages at services.
    pub(super) async fn readable(&self) -> Vec<UnitName> {
        poll_fn(|context| {
            let services = self.services.values().filter(|service| service.poll_notified(context));
            let mut units: Vec<UnitName> = services.map(|service| service.name().clone()).collect();
            let sockets = self.sockets.values().filter(|socket| socket.poll_readable(context));
            units.extend(sockets.map(|socket| socket.name().clone()));
            if units.is_empty() { Poll::Pending } else { Poll::Ready(units) }
        })
        .await
    }

    /// Whether a unit is up or coming up.
    pub(super) fn is_up(&self, unit: &UnitName) -> bool {
        let service = self.services.get(unit).map(Service::state);
        service.is_some_and(|state| !state.is_down() && !state.is_stopping())
            || self.sockets.get(unit).is_some_and(Socket::is_active)
    }

    /// Settles who depends on whom.
    fn link(&mut self) {
        let services = self.services.values().filter(|service| !service.is_for_connection());
        let services = services.map(|service| {
            let mut links = links(&service.definition.unit);
            links.after.extend(self.sockets_of(service.name()));
            links.wants.extend(service.definition.sockets.iter().cloned());
            (service.name().clone(), links)
        });
        let sockets = self.sockets.values().map(|socket| (socket.name().clone(), links(&socket.definition.unit)));
        let mut all: BTreeMap<UnitName, Links> = services.chain(sockets).collect();
        for (unit, before) in self.befores() {
            if let Some(links) = all.get_mut(&before) {
                links.after.insert(unit);
            }
        }
        self.graph = Graph::new(all);
    }

    /// Before= of every unit, pair by pair.
    fn befores(&self) -> Vec<(UnitName, UnitName)> {
        let services = self.services.values().map(|service| (service.name(), &service.definition.unit));
        let sockets = self.sockets.values().map(|socket| (socket.name(), &socket.definition.unit));
        let all = services.chain(sockets);
        all.flat_map(|(name, unit)| unit.before.iter().map(move |other| (name.clone(), other.clone()))).collect()
    }
}

fn links(unit: &UnitSection) -> Links {
    Links {
        requires: unit.requires.iter().chain(&unit.binds_to).cloned().collect(),
        binds_to: unit.binds_to.iter().cloned().collect(),
        wants: unit.wants.iter().cloned().collect(),
        part_of: unit.part_of.iter().cloned().collect(),
        after: unit.after.iter().cloned().collect(),
    }
}

fn refused(file: &plan::UnitFile, finding: &Finding) -> ManagerError {
    ManagerError::File {
        action: "install",
        path: PathBuf::from(file.unit.as_str()),
        error: std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{}:{finding}", file.unit)),
    }
}

/// What systemd does and this does not: an error where leaving it out would change the outcome.
fn unsupported(definition: &ServiceUnit, file: &UnitFile) -> Vec<Finding> {
    let supported = matches!(
        definition.service_type,
        ServiceType::Simple | ServiceType::Exec | ServiceType::Notify | ServiceType::Oneshot | ServiceType::Idle
    );
    let line = file.last("Service", "Type").map_or(0, |entry| entry.line);
    let name = definition.service_type.name();
    let of_type = || Finding::error(line, format!("the embedded manager does not support Type={name}"));
    let privileged = definition.commands.all().filter(|command| command.privileged).map(|command| {
        let message = "the embedded manager does not act on the prefixes `+`, `!` and `!!`: this runs as all else does";
        Finding::warning(command.line, message)
    });
    let exec = &definition.exec;
    let streams = [
        ("StandardInput", matches!(exec.input, Input::Other(_))),
        ("StandardOutput", matches!(exec.output, Output::Other(_))),
        ("StandardError", matches!(exec.error, Output::Other(_))),
    ];
    let unconnected = streams.into_iter().filter(|(_, is_other)| *is_other).filter_map(|(key, _)| {
        let entry = file.last("Service", key)?;
        let instead = if key == "StandardInput" { "/dev/null" } else { "the output that is kept" };
        let message = format!("the embedded manager does not act on {key}={}: it is {instead}", entry.value);
        Some(Finding::warning(entry.line, message))
    });
    privileged.chain(unconnected).chain((!supported).then(of_type)).collect()
}

/// SocketUser= and SocketGroup= where they cannot be acted on.
fn unowned(file: &UnitFile, is_root: bool) -> Vec<Finding> {
    let keys = ["SocketUser", "SocketGroup"].into_iter().filter(|_| !is_root);
    let given = keys.filter_map(|key| file.last("Socket", key).map(|entry| (key, entry.line)));
    let told = |(key, line)| {
        Finding::warning(
            line,
            format!("not run as root, the embedded manager does not act on {key}=: the socket is ours"),
        )
    };
    given.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_named_where_only_root_could_give_it() {
        let (file, _) =
            UnitFile::parse("[Socket]\nListenStream=/run/x\nSocketUser=www\nSocketMode=0600\nSocketGroup=www\n");
        let lines = |is_root| unowned(&file, is_root).iter().map(|finding| finding.line).collect::<Vec<_>>();
        assert_eq!((lines(false), lines(true)), (vec![3, 5], vec![]));
    }

    #[test]
    fn a_prefix_that_gives_privileges_is_named_with_its_line() {
        let text = "[Service]\nExecStartPre=+/bin/true\nExecStart=-/bin/true\nExecStop=!!/bin/true\n";
        let (file, _) = UnitFile::parse(text);
        let name = UnitName::new("a.service").unwrap();
        let (service, ..) =
            ServiceUnit::read(&file, &Specifiers::new(name, crate::unit_file::specifier::Directories::system()));
        let found = unsupported(&service, &file);
        assert_eq!(
            found.iter().map(|finding| (finding.line, finding.severity)).collect::<Vec<_>>(),
            [(2, Severity::Warning), (4, Severity::Warning)]
        );
    }
}
