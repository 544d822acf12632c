//! What is calibrated: every fault, over both transports, on kept and on new connections.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;

use crate::demo::server::{Effect, FaultKind, FaultSpec, Occurrence, Scope, Transport};
use crate::model::{Endpoint, FailureClass};
use crate::scenario::plan::{Cohort, Connections, Destination, Pace, Scheme, StatusPattern, Target};

/// How many requests or connections meet a fault that can be counted out.
const INJECTED: NonZeroU64 = NonZeroU64::new(8).expect("8 is not 0");
/// Requests of a case, at least: some are left that meet no fault.
pub(super) const REQUESTS: u64 = 24;
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
}

impl Injection {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault(kind) => kind.name(),
            Self::ConnectionHeld => "connection-held",
            Self::Interrupt => "interrupt",
        }
    }

    /// What the server does.
    pub(super) const fn fault(self) -> FaultKind {
        match self {
            Self::Fault(kind) => kind,
            Self::ConnectionHeld | Self::Interrupt => FaultKind::Stall,
        }
    }
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
}

impl Case {
    /// Every fault on every transport that has it, with both policies, and what can be done on the client's side.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for &fault in FaultKind::ALL {
            for transport in Transport::ALL {
                if fault.effect(transport) == Effect::Unavailable {
                    continue;
                }
                let injection = Injection::Fault(fault);
                cases.extend(Policy::ALL.map(|policy| Self { injection, transport, policy }));
            }
        }
        for transport in Transport::ALL {
            let held = Self { injection: Injection::ConnectionHeld, transport, policy: Policy::Reused };
            let interrupt = |policy| Self { injection: Injection::Interrupt, transport, policy };
            cases.push(held);
            cases.extend(Policy::ALL.map(interrupt));
        }
        cases
    }

    /// The class that must be counted; none if the fault cannot be noticed.
    #[must_use]
    pub fn class(self) -> Option<FailureClass> {
        match self.injection {
            Injection::Fault(kind) => kind.expected_class(self.transport),
            Injection::ConnectionHeld => Some(FailureClass::NoConnection),
            Injection::Interrupt => Some(FailureClass::Interrupted),
        }
    }

    /// Why it cannot be run here; none if it can.
    pub(super) fn left_out(self) -> Option<&'static str> {
        let is_open = self.injection == Injection::Fault(FaultKind::NoPermission) && crate::probe::host::is_root();
        is_open.then_some("root may connect to any socket")
    }

    /// What the server is asked to do.
    pub(super) fn fault_spec(self) -> FaultSpec {
        let occurrence = match self.injection.fault() {
            _ if !matches!(self.injection, Injection::Fault(_)) => Occurrence::All,
            kind if kind.scope() == Scope::Listener => Occurrence::All,
            // A whole body of that size takes long to read, and the server speaks no TLS at all.
            FaultKind::ResetWhileSending | FaultKind::TlsGarbage | FaultKind::TlsAlert => Occurrence::All,
            _ => Occurrence::First(INJECTED),
        };
        FaultSpec { kind: self.injection.fault(), occurrence }
    }

    /// The load.
    pub(super) fn cohort(self, endpoint: &Endpoint) -> Cohort {
        let timeout = if self.times_out() { IMPATIENT } else { PATIENT };
        let fault = self.injection.fault();
        let is_tls = matches!(fault, FaultKind::TlsGarbage | FaultKind::TlsAlert);
        let is_large = fault == FaultKind::ResetWhileSending;
        let connect = match endpoint {
            Endpoint::Tcp(address) => Destination::Host { host: address.ip().to_string(), port: address.port() },
            Endpoint::Unix(path) => Destination::Unix(path.clone()),
        };
        let target = Target {
            scheme: if is_tls { Scheme::Https } else { Scheme::Http },
            url: format!("{}://localhost/", if is_tls { "https" } else { "http" }),
            connect,
            authority: "localhost".to_owned(),
            method: if is_large { "POST" } else { "GET" }.to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: if is_large { vec![b'x'; LARGE_BODY_BYTES] } else { Vec::new() },
            expect_status: vec![StatusPattern::Class(2)],
            expect_body: (fault == FaultKind::WrongBody).then(|| "^ok".to_owned()),
            timeout,
            connect_timeout: timeout,
            ca_file: None,
            insecure: is_tls,
        };
        Cohort {
            name: self.injection.name().to_owned(),
            pace: match self.injection {
                Injection::Fault(_) => Pace::Rate(RATE),
                // All are due at the same moment, and so time out together.
                Injection::ConnectionHeld | Injection::Interrupt => Pace::Clients(CLIENTS),
            },
            connections: match (self.injection, self.policy) {
                (Injection::ConnectionHeld, _) => Connections::Reused(1),
                (_, Policy::Reused) => Connections::Reused(CONNECTIONS),
                (_, Policy::New) => Connections::New,
            },
            connect_delay: Duration::ZERO,
            target,
        }
    }

    fn times_out(self) -> bool {
        use FailureClass::{ConnectTimeout, NoConnection, ResponseTimeout};
        matches!(self.class(), Some(ResponseTimeout | ConnectTimeout | NoConnection))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_is_calibrated_but_those_that_need_a_machine_of_their_own() {
        let calibrated: BTreeSet<_> = Case::all().into_iter().filter_map(Case::class).collect();
        let missing = FailureClass::ALL.iter().filter(|class| !calibrated.contains(class));
        assert_eq!(
            missing.collect::<Vec<_>>(),
            [&FailureClass::ConnectReset, &FailureClass::LocalPort, &FailureClass::LocalFd]
        );
    }

    #[test]
    fn each_case_is_there_once() {
        let cases = Case::all();
        for (place, case) in cases.iter().enumerate() {
            assert!(!cases[..place].contains(case), "{case:?}");
        }
        let of_stall = cases.iter().filter(|case| case.injection == Injection::Fault(FaultKind::Stall)).count();
        assert_eq!(of_stall, 4);
    }
}
