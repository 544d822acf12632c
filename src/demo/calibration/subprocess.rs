//! Cases in a process of their own: our own binary again, which confines itself, runs one case and prints its figures.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::case::{Case, Injection, Place};
use super::confine;
use super::measure::{self, CalibrationError, Figures};

/// The first argument that makes our binary call [`main`].
pub const SUBCOMMAND: &str = "__calibrate-subprocess";

/// What became of a case.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Finding {
    /// It was run.
    Measured(Figures),
    /// It cannot be run here: why not.
    LeftOut(String),
}

/// Runs the case in a process of `own`, which is our binary.
pub(super) async fn measure(case: Case, own: &Path, folder: &Path) -> Result<Finding, CalibrationError> {
    let failed = |why: String| CalibrationError::Apart { case: case.to_string(), why };
    let mut command = Command::new(own);
    command.arg(SUBCOMMAND).arg(case.to_string()).arg(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(format!("cannot start {}: {error}", own.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim_end())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("it printed something else: {error}")))
}

/// Runs the process. `args` are those behind [`SUBCOMMAND`]; there must be no other thread yet.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let case = args.next().and_then(|name| Case::named(name.to_str()?));
    let (Some(case), Some(folder)) = (case, args.next()) else { return ExitCode::from(2) };
    match find(case, Path::new(&folder)).and_then(|finding| Ok(serde_json::to_vec(&finding)?)) {
        Ok(json) => io::stdout().write_all(&json).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(error) => {
            // Who started us reads it, or is gone.
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn find(case: Case, folder: &Path) -> anyhow::Result<Finding> {
    // A calibration that is killed leaves nothing behind.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Err(why) = confine(case) {
        return Ok(Finding::LeftOut(why));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(Finding::Measured(runtime.block_on(measure::run(case, folder))?))
}

/// Goes where the case can be done; in words, why this machine does not let us.
fn confine(case: Case) -> Result<(), String> {
    match case.injection.place() {
        Place::Here => Ok(()),
        Place::OwnProcess => {
            confine::limit_descriptors().map_err(|error| format!("cannot lower the limit of descriptors: {error}"))
        }
        Place::WithoutRoot => confine::give_up_root(),
        Place::OwnNetwork => {
            confine::enter_own_network()?;
            if case.injection == Injection::PortsHeld { confine::narrow_ports() } else { Ok(()) }
        }
    }
}
