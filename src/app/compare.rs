//! `gapless compare`, and `run --baseline`: two runs side by side.

use std::path::Path;

use anyhow::Context as _;

use super::exit::Exit;
use super::folder::Folder;
use super::output::{self, say};
use super::report;
use crate::analysis::compare::{Comparison, compare};
use crate::analysis::gate::Gate;
use crate::cli::{CompareArgs, CompareFormat, Format};
use crate::render;
use crate::result::RunResult;
use crate::result::SCHEMA;

/// Runs the command.
///
/// # Errors
/// When a folder cannot be read.
pub fn main(args: &CompareArgs) -> anyhow::Result<Exit> {
    let comparison = compare(&read(&args.before)?, &read(&args.after)?);
    output::write(&rendered(&comparison, args.format))?;
    Ok(judge(&comparison, &args.fail_on))
}

/// Compares a run that is just over with a saved one. On stdout only where tables or Markdown stand there: the
/// other forms are one document.
///
/// # Errors
/// When stdout cannot be written to.
pub(super) fn with_baseline(
    baseline: &RunResult,
    result: &RunResult,
    gates: &[Gate],
    format: Format,
) -> anyhow::Result<Exit> {
    let comparison = compare(baseline, result);
    let below = |format| output::write(&[b"\n", rendered(&comparison, format).as_slice()].concat());
    match format {
        Format::Table => below(CompareFormat::Table)?,
        Format::Markdown => below(CompareFormat::Markdown)?,
        Format::Json | Format::Junit => {
            let text = render::terminal::render_comparison(&comparison, output::stderr_width(), false);
            say(String::from_utf8_lossy(&text).trim_end());
        }
    }
    Ok(judge(&comparison, gates))
}

/// The result of a saved run: from its records, or where only the result was kept, from that.
///
/// # Errors
/// When there is neither, or it cannot be read.
pub(super) fn read(dir: &Path) -> anyhow::Result<RunResult> {
    let folder = Folder::existing(dir)?;
    if dir.join("records").is_dir() {
        return report::analyse(&folder);
    }
    let path = dir.join("result.json");
    let what = || format!("cannot use {}: is {} the folder of a run?", path.display(), dir.display());
    let bytes = folder.read("result.json")?.with_context(what)?;
    let result: RunResult = serde_json::from_slice(&bytes).with_context(what)?;
    anyhow::ensure!(
        result.schema == SCHEMA,
        "{} has schema {}, this version reads {SCHEMA}",
        path.display(),
        result.schema
    );
    Ok(result)
}

fn rendered(comparison: &Comparison, format: CompareFormat) -> Vec<u8> {
    match format {
        CompareFormat::Table => {
            render::terminal::render_comparison(comparison, output::width(), output::stdout_color())
        }
        CompareFormat::Json => render::json::render(comparison),
        CompareFormat::Markdown => render::markdown::render_comparison(comparison),
    }
}

fn judge(comparison: &Comparison, gates: &[Gate]) -> Exit {
    let trips: Vec<String> = gates.iter().flat_map(|gate| gate.trips(comparison)).collect();
    trips.iter().for_each(|trip| say(&render::escape(&format!("worse than allowed: {trip}"))));
    if trips.is_empty() && !gates.is_empty() {
        let held: Vec<String> = gates.iter().map(Gate::to_string).collect();
        say(&format!("no worse than allowed: {}", held.join(", ")));
    }
    if trips.is_empty() { Exit::Passed } else { Exit::Failed }
}
