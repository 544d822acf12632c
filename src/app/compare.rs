//! `gapless compare`, and `run --baseline`: two runs or more next to each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::Exit;
use super::folder::Folder;
use super::output::{self, say};
use super::report;
use crate::analysis::compare::{Comparison, compare};
use crate::analysis::gate::Gate;
use crate::cli::{CompareArgs, CompareFormat, Format};
use crate::render;
use crate::result::{RunResult, SCHEMA, Strategy};

/// Runs the command.
///
/// # Errors
/// When a folder cannot be read.
pub fn main(args: &CompareArgs) -> anyhow::Result<Exit> {
    let folders: Vec<&Path> = [&args.before, &args.after].into_iter().chain(&args.more).map(PathBuf::as_path).collect();
    let names = names(&folders);
    let runs = folders.iter().zip(names).map(|(folder, name)| Ok((name, read(folder)?)));
    let runs = runs.collect::<anyhow::Result<Vec<(String, RunResult)>>>()?;
    let strategies = Strategy::of_runs(&runs);
    let [(_, first), others @ ..] = runs.as_slice() else { return Ok(Exit::Passed) };
    if let [(_, after)] = others {
        let comparison = compare(first, after);
        output::write(&rendered(&comparison, &strategies, args.format))?;
        return Ok(judge(&comparison, &args.fail_on));
    }
    output::write(&rendered_all(&strategies, args.format))?;
    let mut exit = Exit::Passed;
    for (name, run) in others.iter().filter(|_| !args.fail_on.is_empty()) {
        say(&format!("{name}, compared with the first:"));
        if judge(&compare(first, run), &args.fail_on) != Exit::Passed {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// What runs are called: by their folders, with as much of the path as tells them from each other.
fn names(folders: &[&Path]) -> Vec<String> {
    let last = |folder: &&Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let short: Option<Vec<String>> = folders.iter().map(last).collect();
    let is_telling = |names: &Vec<String>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    short.filter(is_telling).unwrap_or_else(|| folders.iter().map(|folder| folder.display().to_string()).collect())
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
    let below = |format| output::write(&[b"\n", rendered(&comparison, &[], format).as_slice()].concat());
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

fn rendered(comparison: &Comparison, strategies: &[Strategy], format: CompareFormat) -> Vec<u8> {
    match format {
        CompareFormat::Table => {
            render::terminal::render_comparison(comparison, output::width(), output::stdout_color())
        }
        CompareFormat::Json => render::json::render(comparison),
        CompareFormat::Markdown => render::markdown::render_comparison(comparison, strategies),
        CompareFormat::Html => render::html::render_comparison(comparison, strategies),
        CompareFormat::Svg => render::svg::comparison(strategies).unwrap_or_default(),
    }
}

/// More than two runs.
fn rendered_all(strategies: &[Strategy], format: CompareFormat) -> Vec<u8> {
    match format {
        CompareFormat::Table => {
            render::terminal::render_strategies(strategies, output::width(), output::stdout_color())
        }
        CompareFormat::Json => render::json::render(&strategies),
        CompareFormat::Markdown => render::markdown::render_strategies(strategies),
        CompareFormat::Html => render::html::render_strategies(strategies),
        CompareFormat::Svg => render::svg::comparison(strategies).unwrap_or_default(),
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
