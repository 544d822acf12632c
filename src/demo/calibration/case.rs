//! What is calibrated: every fault, over both transports, on kept and on new connections.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;

use crate::demo::server::{Effect, FaultKind, FaultSpec, Occurrence, Scope, Transport};
use crate::model::{Endpoint, FailureClass};
use crate::scenario::plan::{Cohort, Connections, Destination, Pace, Scheme, StatusPattern, Target};

/// How many requests or connections meet a fault that can be counted out.
const INJECTED: NonZeroU64 = NonZeroU64::new(8).expect("8 is not 0");
/// So many where each keeps a processor busy until its timeout: more would slow the innocent down.
const INJECTED_BUSY: NonZeroU64 = NonZeroU64::new(2).expect("2 is not 0");
/// Requests of a case, at least: some are left that meet no fault.
pub(super) const REQUESTS: u64 = 24;
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

/// One fault on one kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The fault.
    pub fault: FaultKind,
    /// What client and server speak over.
    pub transport: Transport,
    /// Whether connections are kept.
    pub policy: Policy,
}

impl Case {
    /// Every fault on every transport that has it, with both policies.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for &fault in FaultKind::ALL {
            for transport in Transport::ALL {
                if fault.effect(transport) == Effect::Unavailable {
                    continue;
                }
                cases.extend(Policy::ALL.map(|policy| Self { fault, transport, policy }));
            }
        }
        cases
    }

    /// The class that must be counted; none if the fault cannot be noticed.
    #[must_use]
    pub fn class(self) -> Option<FailureClass> {
        self.fault.expected_class(self.transport)
    }

    /// Why it cannot be run here; none if it can.
    pub(super) fn left_out(self) -> Option<&'static str> {
        let is_open = self.fault == FaultKind::NoPermission && crate::probe::host::is_root();
        is_open.then_some("root may connect to any socket")
    }

    /// What the server is asked to do.
    pub(super) fn fault_spec(self) -> FaultSpec {
        let occurrence = match self.fault {
            kind if kind.scope() == Scope::Listener => Occurrence::All,
            // A whole body of that size takes long to read, and the server speaks no TLS at all.
            FaultKind::ResetWhileSending | FaultKind::TlsGarbage | FaultKind::TlsAlert => Occurrence::All,
            FaultKind::EndlessBody => Occurrence::First(INJECTED_BUSY),
            _ => Occurrence::First(INJECTED),
        };
        FaultSpec { kind: self.fault, occurrence }
    }

    /// The load.
    pub(super) fn cohort(self, endpoint: &Endpoint) -> Cohort {
        let timeout = if self.times_out() { IMPATIENT } else { PATIENT };
        let is_tls = matches!(self.fault, FaultKind::TlsGarbage | FaultKind::TlsAlert);
        let is_large = self.fault == FaultKind::ResetWhileSending;
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
            expect_body: (self.fault == FaultKind::WrongBody).then(|| "^ok".to_owned()),
            timeout,
            connect_timeout: timeout,
            ca_file: None,
            insecure: is_tls,
        };
        Cohort {
            name: self.fault.name().to_owned(),
            pace: Pace::Rate(RATE),
            connections: match self.policy {
                Policy::Reused => Connections::Reused(CONNECTIONS),
                Policy::New => Connections::New,
            },
            connect_delay: Duration::ZERO,
            target,
        }
    }

    fn times_out(self) -> bool {
        matches!(self.class(), Some(FailureClass::ResponseTimeout | FailureClass::ConnectTimeout))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_that_a_fault_of_the_server_injects_is_calibrated() {
        let calibrated: BTreeSet<_> = Case::all().into_iter().filter_map(Case::class).collect();
        let by_client = [
            FailureClass::ConnectReset,
            FailureClass::NoConnection,
            FailureClass::LocalPort,
            FailureClass::LocalFd,
            FailureClass::Interrupted,
        ];
        let missing: Vec<_> = FailureClass::ALL.iter().filter(|class| !calibrated.contains(class)).collect();
        assert_eq!(missing, by_client.iter().collect::<Vec<_>>());
    }

    #[test]
    fn each_case_is_there_once() {
        let cases = Case::all();
        for (place, case) in cases.iter().enumerate() {
            assert!(!cases[..place].contains(case), "{case:?}");
        }
        let of_stall = cases.iter().filter(|case| case.fault == FaultKind::Stall).count();
        assert_eq!(of_stall, 4);
    }
}
