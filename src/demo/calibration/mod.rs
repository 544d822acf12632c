//! Calibration: known faults, an exact number of each, and what the instrument counted for them.
//!
//! Each [`Case`] has a server of its own that injects one kind of fault, and a load of its own. The server counts
//! what it injected, the load what it saw, and neither knows of the other. What would disturb the rest of the machine
//! is done in a process of its own ([`subprocess`]).

mod case;
mod confine;
mod exhaustion;
mod folder;
mod measure;
pub mod subprocess;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;

pub use case::{Case, Injection, Policy};
use folder::Folder;
pub use measure::CalibrationError;

use super::server::Transport;
use crate::model::FailureClass;
use crate::scenario::plan::Protocol;

/// The identifier of the JSON that `gapless calibrate --format json` prints.
pub const SCHEMA: &str = "gapless/calibration/1";

/// The number of cases that run at once: most of their time is waiting.
const CASES_AT_ONCE: usize = 4;

/// What was injected on this machine, and what was counted for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Whether every count is exact.
    pub exact: bool,
    /// One row for each fault, transport, connection policy, protocol and number of streams.
    pub rows: Vec<Row>,
}

/// One case and its counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What went wrong.
    pub fault: Injection,
    /// `tcp` or `unix`; or what takes messages: `udp`, `unix_dgram`, `unix_seqpacket` or `fifo`.
    pub transport: Transport,
    /// `reused` or `new`.
    pub connections: Policy,
    /// `http1`, `http2` or `grpc`; none with messages.
    pub protocol: Option<Protocol>,
    /// Whether the client spoke TLS.
    pub tls: bool,
    /// The most requests at once on one connection.
    pub streams: u32,
    /// The failure class that must be counted; none where the fault cannot be noticed: those count as `ok`.
    pub class: Option<FailureClass>,
    /// Why the case could not be run here; none if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Requests that met the fault.
    pub injected: u64,
    /// Requests of the class, as the load counted.
    pub counted: u64,
    /// Failures of other classes, which nothing injected.
    pub strays: BTreeMap<FailureClass, u64>,
}

impl Row {
    /// Counted less injected.
    #[must_use]
    pub fn difference(&self) -> i64 {
        // Counts of a calibration are some dozens.
        i64::try_from(self.counted).unwrap_or(i64::MAX) - i64::try_from(self.injected).unwrap_or(i64::MAX)
    }

    /// Whether all that was injected was counted as what it was, and nothing else was.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.left_out.is_some() || (self.injected > 0 && self.difference() == 0 && self.strays.is_empty())
    }
}

impl Calibration {
    /// What the rows come to.
    #[must_use]
    pub fn of(rows: Vec<Row>) -> Self {
        Self { schema: SCHEMA, exact: rows.iter().all(Row::is_exact), rows }
    }
}

/// Runs `cases`; `done` is called after each, with how many are done. `own` is our binary, for the cases that need a
/// process of their own.
///
/// # Errors
/// When a server, a load or a process cannot be started.
pub async fn calibrate(cases: Vec<Case>, own: &Path, done: impl Fn(usize)) -> Result<Calibration, CalibrationError> {
    let folder = Folder::create()?;
    let mut rows = Vec::with_capacity(cases.len());
    let mut measured =
        stream::iter(cases).map(|case| measure::measure(case, own, folder.path())).buffered(CASES_AT_ONCE);
    while let Some(row) = measured.next().await {
        rows.push(row?);
        done(rows.len());
    }
    Ok(Calibration::of(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::server::FaultKind;

    fn row(injected: u64, counted: u64) -> Row {
        Row {
            fault: Injection::Fault(FaultKind::Stall),
            transport: Transport::Tcp,
            connections: Policy::New,
            protocol: Some(Protocol::Http1),
            tls: false,
            streams: 1,
            class: Some(FailureClass::ResponseTimeout),
            left_out: None,
            injected,
            counted,
            strays: BTreeMap::new(),
        }
    }

    #[test]
    fn a_row_is_exact_when_it_counts_what_was_injected_and_nothing_else() {
        assert!(row(8, 8).is_exact());
        assert_eq!((row(8, 7).difference(), row(8, 7).is_exact()), (-1, false));
        assert_eq!((row(8, 9).difference(), row(8, 9).is_exact()), (1, false));
        assert!(!Row { strays: [(FailureClass::Refused, 1)].into(), ..row(8, 8) }.is_exact());
    }

    #[test]
    fn a_row_for_which_nothing_was_injected_shows_nothing() {
        assert!(!row(0, 0).is_exact());
        assert!(Row { left_out: Some("root may connect".to_owned()), ..row(0, 0) }.is_exact());
    }
}
