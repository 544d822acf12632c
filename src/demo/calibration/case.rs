//! What is calibrated: every fault, over both transports, on kept and on new connections; those of HTTP/2, with one stream
//! and with several, in the clear and over TLS.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;

use super::exhaustion::Resource;
use crate::demo::server::{Effect, FaultKind, FaultSpec, Occurrence, Scope, Transport};
use crate::model::{Endpoint, FailureClass, GrpcStatus};
use crate::scenario::plan::{
    Cohort, Connections, Destination, GRPC_HEALTH, Pace, Protocol, Scheme, StatusPattern, Target,
};

/// How many requests or connections meet a fault that can be counted out.
pub(super) const INJECTED: NonZeroU64 = NonZeroU64::new(8).expect("8 is not 0");
/// Requests of a case, at least: some are left that meet no fault.
pub(super) const REQUESTS: u64 = 24;
/// Streams on a connection of HTTP/2, where there are several.
const STREAMS: u32 = 8;
/// Clients of a closed loop, where all requests must be due at once.
pub(super) const CLIENTS: u32 = 24;
/// Requests per second.
const RATE: f64 = 200.0;
/// More than requests that can wait for their timeout at once.
const CONNECTIONS: u32 = 256;
/// Where an answer comes, it comes long before.
const PATIENT: Duration = Duration::from_secs(10);
/// Where none comes, there is no use in waiting; yet far longer than an answer takes.
const IMPATIENT: Duration = Duration::from_secs(2);
/// More than the buffers of both sides hold.
const LARGE_BODY_BYTES: usize = 64 << 20;

/// PIPE_BUF: what a FIFO takes whole or not at all (pipe(7)).
const LINE_BYTES_MAX: usize = 4096;

/// Whether connections serve more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They are kept alive.
    Reused,
    /// Every request has its own.
    New,
}

impl Policy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reused, Self::New];

    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::New => "new",
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// A fault of the server.
    Fault(FaultKind),
    /// More requests are due at once than there are connections, and a stalled one holds the only connection.
    ConnectionHeld,
    /// The run is interrupted while every client waits for its answer.
    Interrupt,
    /// The process has no descriptor left while this number of requests is made.
    DescriptorsHeld,
    /// The network has no local port left while this number of requests is made.
    PortsHeld,
}

impl Injection {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault(kind) => kind.name(),
            Self::ConnectionHeld => "connection-held",
            Self::Interrupt => "interrupt",
            Self::DescriptorsHeld => "descriptors-held",
            Self::PortsHeld => "ports-held",
        }
    }

    /// What the server does; none if it answers as it should.
    pub(super) const fn fault(self) -> Option<FaultKind> {
        match self {
            Self::Fault(kind) => Some(kind),
            Self::ConnectionHeld | Self::Interrupt => Some(FaultKind::Stall),
            Self::DescriptorsHeld | Self::PortsHeld => None,
        }
    }

    /// What is all held while [`INJECTED`] requests are made, and let go for those after them.
    pub(super) const fn held(self) -> Option<Resource> {
        match self {
            Self::DescriptorsHeld => Some(Resource::Descriptors),
            Self::PortsHeld => Some(Resource::Ports),
            Self::Fault(_) | Self::ConnectionHeld | Self::Interrupt => None,
        }
    }

    /// Where it can be done: a resource that is all held, and packets that are forged, must be nobody else's.
    pub(super) fn place(self) -> Place {
        match self {
            Self::DescriptorsHeld => Place::OwnProcess,
            Self::Fault(FaultKind::NoPermission) if crate::host::machine::is_root() => Place::WithoutRoot,
            Self::PortsHeld | Self::Fault(FaultKind::ResetHandshake) => Place::OwnNetwork,
            Self::Fault(_) | Self::ConnectionHeld | Self::Interrupt => Place::Here,
        }
    }

    /// Whether its client speaks TLS, whatever the server does.
    fn is_of_tls(self) -> bool {
        matches!(self, Self::Fault(FaultKind::TlsGarbage | FaultKind::TlsAlert))
    }

    /// Whether it exists on a transport.
    fn is_on(self, transport: Transport) -> bool {
        match self {
            Self::Fault(kind) => kind.effect(transport) != Effect::Unavailable,
            Self::PortsHeld => transport == Transport::Tcp,
            Self::ConnectionHeld => Transport::ALL.contains(&transport),
            // The queue of a Unix socket for datagrams holds fewer than there are clients, and nobody waits at a FIFO.
            Self::Interrupt => !matches!(transport, Transport::UnixDgram | Transport::Fifo),
            Self::DescriptorsHeld => true,
        }
    }

    /// Whether it exists on connections of a kind.
    fn is_with(self, policy: Policy) -> bool {
        self != Self::ConnectionHeld || policy == Policy::Reused
    }
}

/// Where a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In our own process.
    Here,
    /// In a process of its own with few descriptors.
    OwnProcess,
    /// In a process of its own in a network of its own.
    OwnNetwork,
    /// In a process of its own without root's rights, who may connect to any socket.
    WithoutRoot,
}

impl std::fmt::Display for Injection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Injection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One thing that goes wrong, on one kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What goes wrong.
    pub injection: Injection,
    /// What client and server speak over.
    pub transport: Transport,
    /// Whether connections are kept.
    pub policy: Policy,
    /// What they speak; HTTP/1.1 where that means nothing, with messages.
    pub protocol: Protocol,
    /// Whether they speak it over TLS.
    pub is_tls: bool,
    /// The most requests at once on one connection.
    pub streams: u32,
}

impl Case {
    /// Every fault on every transport that has it, with both policies, and what can be done on the client's side.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use Injection::{ConnectionHeld, DescriptorsHeld, Interrupt, PortsHeld};
        let faults = FaultKind::ALL.iter().map(|&kind| Injection::Fault(kind));
        let injections = faults.chain([ConnectionHeld, Interrupt, DescriptorsHeld, PortsHeld]);
        let of_injection = |injection: Injection| {
            let transports = Transport::ALL.into_iter().chain(Transport::MESSAGES);
            let transports = transports.filter(move |&transport| injection.is_on(transport));
            let policies = move |transport| {
                let is_with = move |policy: &Policy| match transport {
                    Transport::Tcp | Transport::Unix => injection.is_with(*policy),
                    Transport::Udp | Transport::UnixDgram | Transport::UnixSeqpacket | Transport::Fifo => {
                        *policy == Policy::New
                    }
                };
                Policy::ALL.into_iter().filter(is_with)
            };
            let case = move |transport| {
                policies(transport).map(move |policy| {
                    let (protocol, streams) = (Protocol::Http1, 1);
                    Self { injection, transport, policy, protocol, is_tls: injection.is_of_tls(), streams }
                })
            };
            transports.flat_map(case)
        };
        let of_http1 = injections.flat_map(of_injection);
        of_http1.chain(FaultKind::ALL.iter().flat_map(|&kind| Self::of_streams(kind))).collect()
    }

    /// A fault over HTTP/2, or over gRPC if it is of gRPC alone: in the clear and over TLS, with one stream and with several.
    fn of_streams(kind: FaultKind) -> impl Iterator<Item = Self> {
        let has = move |protocol: &Protocol| kind.effect_over(*protocol, Transport::Tcp) != Effect::Unavailable;
        let protocol = [Protocol::Http2, Protocol::Grpc].into_iter().find(has);
        protocol.into_iter().flat_map(move |protocol| {
            let ways = [false, true].into_iter().flat_map(|is_tls| [(is_tls, 1), (is_tls, STREAMS)]);
            ways.map(move |(is_tls, streams)| Self {
                injection: Injection::Fault(kind),
                transport: Transport::Tcp,
                policy: Policy::Reused,
                protocol,
                is_tls,
                streams,
            })
        })
    }

    /// The class that must be counted; none if the fault cannot be noticed.
    #[must_use]
    pub fn class(self) -> Option<FailureClass> {
        match self.injection {
            Injection::Fault(kind) => kind.effect_over(self.protocol, self.transport).class(),
            Injection::ConnectionHeld => Some(FailureClass::NoConnection),
            Injection::Interrupt => Some(FailureClass::Interrupted),
            Injection::DescriptorsHeld => Some(FailureClass::LocalFd),
            Injection::PortsHeld => Some(FailureClass::LocalPort),
        }
    }

    /// What the server is asked to do wrong.
    pub(super) fn fault_spec(self) -> Option<FaultSpec> {
        let kind = self.injection.fault()?;
        let occurrence = match kind {
            _ if !matches!(self.injection, Injection::Fault(_)) => Occurrence::All,
            _ if kind.scope() == Scope::Listener => Occurrence::All,
            // A whole body of that size takes long to read, and the server speaks no TLS over Unix sockets.
            _ if self.is_large() => Occurrence::All,
            FaultKind::TlsGarbage | FaultKind::TlsAlert | FaultKind::NoStreams => Occurrence::All,
            // One stream stalls, beside healthy ones.
            FaultKind::Stall if self.protocol.is_http2() => Occurrence::First(NonZeroU64::MIN),
            _ => Occurrence::First(INJECTED),
        };
        Some(FaultSpec { kind, occurrence })
    }

    /// The load.
    pub(super) fn cohort(self, endpoint: &Endpoint) -> Cohort {
        let timeout = if self.times_out() { IMPATIENT } else { PATIENT };
        let fault = self.injection.fault();
        let is_tls = self.is_tls;
        let is_grpc = self.protocol == Protocol::Grpc;
        let is_large = self.is_large();
        let is_message = Transport::MESSAGES.contains(&self.transport);
        let target = Target {
            protocol: self.protocol,
            scheme: if self.transport == Transport::Fifo {
                Scheme::Fifo
            } else if is_message {
                Scheme::Message
            } else if is_tls {
                Scheme::Https
            } else {
                Scheme::Http
            },
            url: if is_message {
                endpoint.to_string()
            } else {
                format!("{}://localhost/", if is_tls { "https" } else { "http" })
            },
            connect: Destination::at(endpoint),
            authority: "localhost".to_owned(),
            method: if is_large || is_grpc { "POST" } else { "GET" }.to_owned(),
            path: if is_grpc { GRPC_HEALTH } else { "/" }.to_owned(),
            headers: Vec::new(),
            body: match (is_large, is_message) {
                (true, _) => vec![b'x'; LARGE_BODY_BYTES],
                (false, true) => self.message(),
                (false, false) => Vec::new(),
            },
            expect_status: if is_message || is_grpc { Vec::new() } else { vec![StatusPattern::Class(2)] },
            expect_body: (is_message && self.transport != Transport::Fifo || fault == Some(FaultKind::WrongBody))
                .then(|| "^ok".to_owned()),
            instance: None,
            expect_grpc_status: if is_grpc { vec![GrpcStatus::Ok] } else { Vec::new() },
            requests: Vec::new(),
            timeout,
            connect_timeout: timeout,
            ca_file: None,
            insecure: is_tls,
            front: false,
        };
        Cohort {
            name: self.injection.name().to_owned(),
            streams: self.streams,
            pace: match self.injection {
                // All are due at the same moment, and so time out together.
                Injection::ConnectionHeld | Injection::Interrupt | Injection::Fault(FaultKind::NoStreams) => {
                    Pace::Clients(CLIENTS)
                }
                // As many as there are streams: all are open when a connection ends.
                Injection::Fault(_) if self.protocol.is_http2() => Pace::Clients(self.streams),
                Injection::Fault(_) if is_large => Pace::OnDemand,
                Injection::Fault(_) => Pace::Rate(RATE),
                // None is due before all is held.
                Injection::DescriptorsHeld | Injection::PortsHeld => Pace::OnDemand,
            },
            connections: match (self.injection, self.policy) {
                (Injection::ConnectionHeld, _) => Connections::Reused(1),
                _ if self.protocol.is_http2() => Connections::Reused(1),
                (_, Policy::Reused) => Connections::Reused(CONNECTIONS),
                (_, Policy::New) => Connections::New,
            },
            connect_delay: Duration::ZERO,
            target,
        }
    }

    /// Whether its requests are so large that they are made one after the other: at once, they would take longer than
    /// anybody waits.
    pub(super) fn is_large(self) -> bool {
        matches!(self.injection, Injection::Fault(FaultKind::ResetWhileSending | FaultKind::CloseWhileSending))
    }

    /// The case of that name, which is its [`Display`](std::fmt::Display).
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|case| case.to_string() == name)
    }

    /// A line, of which few fill a FIFO that has little room.
    fn message(self) -> Vec<u8> {
        let is_long = self.transport == Transport::Fifo && self.injection == Injection::Fault(FaultKind::Overflow);
        let text = if is_long { "x".repeat(LINE_BYTES_MAX - 1) } else { "ping".to_owned() };
        (text + "\n").into_bytes()
    }

    fn times_out(self) -> bool {
        use FailureClass::{ConnectTimeout, NoConnection, ResponseTimeout};
        // What does fit into a queue waits there.
        let overflows = self.injection == Injection::Fault(FaultKind::Overflow);
        overflows || matches!(self.class(), Some(ResponseTimeout | ConnectTimeout | NoConnection))
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} over {} on {} connections", self.injection, self.transport.name(), self.policy.name())?;
        if !self.protocol.is_http2() {
            return Ok(());
        }
        let protocol: &str = self.protocol.into();
        let tls = if self.is_tls { " with TLS" } else { "" };
        let s = if self.streams == 1 { "" } else { "s" };
        write!(f, ", {protocol}{tls}, {} stream{s}", self.streams)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_is_calibrated() {
        let calibrated: BTreeSet<_> = Case::all().into_iter().filter_map(Case::class).collect();
        assert_eq!(calibrated, FailureClass::ALL.iter().copied().collect());
    }

    #[test]
    fn each_case_is_found_by_its_name() {
        for case in Case::all() {
            assert_eq!(Case::named(&case.to_string()), Some(case));
        }
    }

    #[test]
    fn each_case_is_there_once() {
        let cases = Case::all();
        for (place, case) in cases.iter().enumerate() {
            assert!(!cases[..place].contains(case), "{case:?}");
        }
        let of_stall = cases.iter().filter(|case| case.injection == Injection::Fault(FaultKind::Stall));
        let (of_streams, others): (Vec<&Case>, Vec<&Case>) = of_stall.partition(|case| case.protocol.is_http2());
        assert_eq!(others.len(), 4 + 3, "messages have one policy, and a FIFO nobody waits at");
        assert_eq!(of_streams.iter().map(|case| case.streams).collect::<Vec<_>>(), [1, STREAMS, 1, STREAMS]);
    }
}
