//! `gapless calibrate`: shows that the instrument counts right on this machine.

use super::exit::Exit;
use super::output::{self, say};
use super::session;
use crate::cli::{CalibrateArgs, CalibrateFormat};
use crate::demo::calibration::{Case, calibrate};
use crate::render;

/// On stderr, a line after so many cases.
const CASES_PER_LINE: usize = 20;

/// Runs the command.
///
/// # Errors
/// When a server or a load cannot be started, or stdout not be written to.
pub fn main(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let cases = Case::all();
    let total = cases.len();
    let done = |count: usize| {
        if count.is_multiple_of(CASES_PER_LINE) || count == total {
            say(&format!("{count} of {total} faults injected"));
        }
    };
    let calibration = session::block_on(async { Ok(calibrate(cases, done).await?) })?;
    output::write(&match args.format {
        CalibrateFormat::Table => {
            render::terminal::render_calibration(&calibration, output::width(), output::stdout_color())
        }
        CalibrateFormat::Json => render::json::render(&calibration),
    })?;
    Ok(if calibration.exact { Exit::Passed } else { Exit::Failed })
}
