//! The section `[Socket]`, systemd.socket(5).

use std::time::Duration;

use strum::IntoEnumIterator as _;

use super::finding::{Finding, IgnoredDirective, ValueError};
use super::listen::{ListenAddress, ListenType};
use super::reader::Reader;
use super::service_choices::is_descriptor_name;
use super::specifier::Specifiers;
use super::syntax::UnitFile;
use super::unit_section::UnitSection;
use super::value;
use crate::model::UnitName;

/// What a `.socket` file says, as far as it is acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive that is yes or no")]
pub struct SocketUnit {
    /// Its name; an instance's where the file is a template.
    pub name: UnitName,
    /// `[Unit]`.
    pub unit: UnitSection,
    /// ListenStream=, ListenDatagram=, ListenSequentialPacket= and ListenFIFO=, with the line of each.
    pub listen: Vec<(ListenAddress, u32)>,
    /// What is listened on that no client here can speak to: directive and value, with the line of each.
    pub unspoken: Vec<(String, u32)>,
    /// ReceiveBuffer=, in bytes.
    pub receive_buffer: Option<u64>,
    /// Accept=.
    pub accept: bool,
    /// Service=; else the service of the same name, which with Accept=yes is a template.
    pub service: Option<UnitName>,
    /// Backlog=.
    pub backlog: u32,
    /// BindIPv6Only=: true for `ipv6-only`, false for `both`, none for the system's default.
    pub ipv6_only: Option<bool>,
    /// ReusePort=.
    pub reuse_port: bool,
    /// FreeBind=.
    pub free_bind: bool,
    /// NoDelay=.
    pub no_delay: bool,
    /// KeepAlive=.
    pub keep_alive: bool,
    /// FileDescriptorName=, by default the unit's name; one for all its sockets.
    pub descriptor_name: String,
    /// SocketMode=.
    pub socket_mode: u32,
    /// SocketUser= and SocketGroup=.
    pub owner: (Option<String>, Option<String>),
    /// DirectoryMode=.
    pub directory_mode: u32,
    /// RemoveOnStop=.
    pub remove_on_stop: bool,
    /// BindToDevice=: only connections that come in by this interface.
    pub bind_to_device: Option<String>,
    /// IPAddressDeny=any is set, or PrivateNetwork=: connections are let in by exception.
    pub denies_by_default: bool,
    /// FlushPending=: with Accept=no, drop what waits when the service has exited.
    pub flush_pending: bool,
    /// MaxConnections=, with Accept=yes.
    pub max_connections: u32,
    /// MaxConnectionsPerSource=, with Accept=yes: of one address or user; 0 for no such limit.
    pub max_connections_per_source: u32,
    /// TriggerLimitBurst= and TriggerLimitIntervalSec=; none when it is off.
    pub trigger_limit: Option<(u32, Duration)>,
}

impl SocketUnit {
    /// Reads a file as the socket that `specifiers` names. A finding of severity error means that systemd
    /// would not load it.
    #[must_use]
    pub fn read(file: &UnitFile, specifiers: &Specifiers) -> (Self, Vec<Finding>, Vec<IgnoredDirective>) {
        let mut reader = Reader::new(file, specifiers);
        let unit = read_socket(&mut reader);
        check(&unit, &mut reader);
        let (findings, ignored) = reader.finish("Socket");
        (unit, findings, ignored)
    }

    /// Whether connections from elsewhere do not get to it, whatever address it listens at.
    #[must_use]
    pub fn is_kept_inside(&self) -> bool {
        self.denies_by_default || self.bind_to_device.as_deref() == Some("lo")
    }

    /// The service it starts; with Accept=yes the name of its template, `foo@.service`.
    #[must_use]
    pub fn triggers(&self) -> String {
        let suffix = if self.accept { "@" } else { "" };
        self.service.as_ref().map_or_else(|| format!("{}{suffix}.service", self.name.stem()), ToString::to_string)
    }
}

fn read_socket(reader: &mut Reader<'_>) -> SocketUnit {
    const S: &str = "Socket";
    let specifiers = reader.specifiers();
    let mut listen = reader.list(S, "ListenStream", |text| listen_address(specifiers, text));
    for kind in ListenType::iter() {
        listen.extend(reader.list(S, kind.directive(), |text| kind.parse(&specifiers.replace(text)?)));
    }
    listen.sort_by_key(|(_, line)| *line);
    let accept = reader.switch(S, "Accept", false);
    let name = specifiers.unit().clone();
    SocketUnit {
        unit: UnitSection::read(reader, S),
        listen,
        unspoken: unspoken(reader),
        receive_buffer: reader.value(S, &["ReceiveBuffer"], value::size_bytes),
        accept,
        service: reader.units(S, "Service").pop(),
        backlog: reader.value(S, &["Backlog"], value::number).unwrap_or(u32::MAX),
        ipv6_only: reader
            .value(S, &["BindIPv6Only"], |text| match text {
                "default" => Ok(None),
                "both" => Ok(Some(false)),
                "ipv6-only" => Ok(Some(true)),
                _ => value::boolean(text).map(Some).map_err(|_| ValueError::not(text, "choice for BindIPv6Only=")),
            })
            .flatten(),
        reuse_port: reader.switch(S, "ReusePort", false),
        free_bind: reader.switch(S, "FreeBind", false),
        no_delay: reader.switch(S, "NoDelay", false),
        keep_alive: reader.switch(S, "KeepAlive", false),
        // With Accept=yes each connection is called `connection`, whatever the unit says.
        descriptor_name: reader
            .value(S, &["FileDescriptorName"], |text| {
                let name = specifiers.replace(text)?;
                if is_descriptor_name(&name) { Ok(name) } else { Err(ValueError::not(text, "name of a descriptor")) }
            })
            .unwrap_or_else(|| name.to_string()),
        socket_mode: reader.value(S, &["SocketMode"], value::mode).unwrap_or(0o666),
        owner: (reader.text(S, "SocketUser"), reader.text(S, "SocketGroup")),
        directory_mode: reader.value(S, &["DirectoryMode"], value::mode).unwrap_or(0o755),
        remove_on_stop: reader.switch(S, "RemoveOnStop", false),
        flush_pending: reader.switch(S, "FlushPending", false),
        bind_to_device: reader.watched_text(S, "BindToDevice"),
        denies_by_default: denies_by_default(reader),
        max_connections: reader.value(S, &["MaxConnections"], value::number).unwrap_or(64),
        max_connections_per_source: max_connections_per_source(reader),
        trigger_limit: trigger_limit(reader, accept),
        name,
    }
}

fn max_connections_per_source(reader: &mut Reader<'_>) -> u32 {
    let limit = reader.watched_text("Socket", "MaxConnectionsPerSource");
    limit.and_then(|text| value::number(&text).ok()).unwrap_or(0)
}

fn denies_by_default(reader: &mut Reader<'_>) -> bool {
    let denied = reader.watched_text("Socket", "IPAddressDeny").unwrap_or_default();
    let is_private = reader.watched_text("Socket", "PrivateNetwork").and_then(|text| value::boolean(&text).ok());
    denied.split_whitespace().any(|range| range == "any") || is_private == Some(true)
}

/// Listeners of which neither connections nor messages of a client come.
const UNSPOKEN: [&str; 4] = ["ListenNetlink", "ListenMessageQueue", "ListenSpecial", "ListenUSBFunction"];

fn unspoken(reader: &mut Reader<'_>) -> Vec<(String, u32)> {
    let of = |key: &'static str| {
        let values = reader.list("Socket", key, |text| Ok(text.to_owned()));
        values.into_iter().map(move |(value, line)| (format!("{key}={value}"), line))
    };
    UNSPOKEN.into_iter().flat_map(of).collect()
}

/// A template's address may be what its instance gives: it is read when there is an instance.
fn listen_address(specifiers: &Specifiers, text: &str) -> Result<ListenAddress, ValueError> {
    let read = ListenAddress::parse(&specifiers.replace(text)?);
    if specifiers.depends_on_instance(text) && !matches!(read, Ok(ListenAddress::Path(_) | ListenAddress::Abstract(_)))
    {
        return Ok(ListenAddress::Other(text.to_owned()));
    }
    read
}

/// 20 in 2 s, with Accept=yes 200, unless the unit says otherwise. Zero in either place turns it off.
fn trigger_limit(reader: &mut Reader<'_>, accept: bool) -> Option<(u32, Duration)> {
    let default = if accept { 200 } else { 20 };
    let burst = reader.value("Socket", &["TriggerLimitBurst"], value::number).unwrap_or(default);
    let interval = reader.value("Socket", &["TriggerLimitIntervalSec"], value::time_span);
    let interval = interval.map_or(Duration::from_secs(2), |span| span.limit().unwrap_or(Duration::MAX));
    (burst > 0 && !interval.is_zero()).then_some((burst, interval))
}

/// What systemd refuses to load (`socket_verify` in its socket.c), and what only it can listen on.
fn check(unit: &SocketUnit, reader: &mut Reader<'_>) {
    let non_accepting = |(address, _): &&(ListenAddress, u32)| {
        matches!(address, ListenAddress::OfType(ListenType::Datagram | ListenType::Fifo, _))
    };
    if let (true, Some((address, _))) = (unit.accept, unit.listen.iter().find(non_accepting)) {
        let line = reader.line_of("Socket", "Accept");
        let directive = address.directive();
        reader
            .report(Finding::error(line, format!("Accept=yes does not go with {directive}=: it makes no connections")));
    }
    if unit.listen.is_empty() && unit.unspoken.is_empty() {
        reader.report(Finding::error(0, "the socket has no valid ListenStream= or other Listen setting"));
    }
    if unit.accept && unit.max_connections == 0 {
        let line = reader.line_of("Socket", "MaxConnections");
        reader.report(Finding::error(line, "Accept=yes needs MaxConnections= above 0"));
    }
    if unit.accept && unit.service.is_some() {
        let line = reader.line_of("Socket", "Service");
        reader.report(Finding::error(line, "Service= does not go with Accept=yes"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::super::specifier::Directories;
    use super::*;

    fn read(text: &str) -> (SocketUnit, Vec<Finding>) {
        let (file, _) = UnitFile::parse(text);
        let name = UnitName::new("ledger.socket").expect("valid");
        let (unit, findings, _) = SocketUnit::read(&file, &Specifiers::new(name, Directories::system()));
        (unit, findings)
    }

    #[test]
    fn defaults_are_those_of_the_man_page() {
        let (unit, findings) = read("[Socket]\nListenStream=8080\n");
        assert_eq!(findings, []);
        assert_eq!((unit.socket_mode, unit.directory_mode, unit.max_connections), (0o666, 0o755, 64));
        assert_eq!(unit.trigger_limit, Some((20, Duration::from_secs(2))));
        assert_eq!((unit.descriptor_name.as_str(), unit.triggers().as_str()), ("ledger.socket", "ledger.service"));
    }

    #[test]
    fn accept_starts_instances_and_has_a_trigger_limit_of_its_own() {
        let (unit, _) = read("[Socket]\nListenStream=%t/%N.sock\nAccept=yes\n");
        assert_eq!(unit.listen, [(ListenAddress::Path("/run/ledger.sock".into()), 2)]);
        assert_eq!(
            (unit.triggers().as_str(), unit.trigger_limit),
            ("ledger@.service", Some((200, Duration::from_secs(2))))
        );
    }

    #[test]
    fn what_systemd_would_not_load_is_an_error_with_its_line() {
        for (text, line) in [
            ("[Socket]\nListenStream=localhost:80\n", 0),
            ("[Socket]\nListenStream=80\nAccept=yes\nService=x.service\n", 4),
            ("[Socket]\nListenStream=80\nAccept=yes\nMaxConnections=0\n", 4),
            ("[Socket]\nListenDatagram=80\nAccept=yes\n", 3),
        ] {
            let (_, findings) = read(text);
            let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
            assert_eq!(errors.map(|finding| finding.line).collect::<Vec<_>>(), [line], "{text}");
        }
    }
}
