//! `gapless calibrate`: shows that the instrument counts right on this machine.

use anyhow::Context as _;

use super::exit::Exit;
use super::output::{self, say};
use super::session;
use crate::cli::{CalibrateArgs, CalibrateFormat};
use crate::demo::calibration::{Calibration, Case, calibrate};
use crate::render;

/// On stderr, a line after each of this number of cases.
const CASES_PER_LINE: usize = 20;

/// Runs the command.
///
/// # Errors
/// When a server or a load cannot be started, or stdout not be written to.
pub fn main(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let own = std::env::current_exe().context("cannot tell which program this is")?;
    let cases = Case::all();
    let total = cases.len();
    let done = |count: usize| {
        if count.is_multiple_of(CASES_PER_LINE) || count == total {
            say(&format!("{count} of {total} faults injected"));
        }
    };
    let calibration = session::block_on(async { Ok(calibrate(cases, &own, done).await?) })?;
    output::write(&match args.format {
        CalibrateFormat::Table => {
            render::terminal::render_calibration(&calibration, output::width(), output::stdout_color())
        }
        CalibrateFormat::Json => render::json::render(&calibration),
    })?;
    Ok(exit(&calibration))
}

/// A single difference is a failure.
fn exit(calibration: &Calibration) -> Exit {
    if calibration.exact { Exit::Passed } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::demo::calibration::{Injection, Policy, Row};
    use crate::demo::server::{FaultKind, Transport};
    use crate::model::FailureClass;
    use crate::scenario::plan::Protocol;

    /// Eight were injected each time, and this number was counted.
    fn calibration(counted: &[u64]) -> Calibration {
        let row = |&counted| Row {
            fault: Injection::Fault(FaultKind::Stall),
            transport: Transport::Tcp,
            connections: Policy::New,
            protocol: Some(Protocol::Http1),
            tls: false,
            streams: 1,
            class: Some(FailureClass::ResponseTimeout),
            left_out: None,
            injected: 8,
            counted,
            strays: BTreeMap::new(),
        };
        Calibration::of(counted.iter().map(row).collect())
    }

    #[test]
    fn one_request_too_few_or_too_many_exits_1() {
        assert_eq!(exit(&calibration(&[8, 8])).code(), 0);
        assert_eq!(exit(&calibration(&[8, 7])).code(), 1);
        assert_eq!(exit(&calibration(&[9, 8])).code(), 1);
    }
}
