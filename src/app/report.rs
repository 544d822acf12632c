//! `gapless report`: renders a saved run again, from its records alone.

use std::io::BufReader;

use anyhow::Context as _;

use super::exit::Exit;
use super::folder::Folder;
use super::output::{self, complain};
use crate::analysis;
use crate::cli::{OutputArgs, ReportArgs};
use crate::record::Record;
use crate::result::RunResult;

/// Runs the command.
///
/// # Errors
/// When the folder or a record in it cannot be read.
pub fn main(args: &ReportArgs) -> anyhow::Result<Exit> {
    let folder = Folder::existing(&args.dir)?;
    let result = analyse(&folder)?;
    let written = folder.write_reports(&result);
    let mut exit = Exit::of(&result)
        .worst(output::print_result(&result, &OutputArgs { format: args.format, ..OutputArgs::default() }));
    if let Err(error) = written {
        complain(&error);
        exit = exit.worst(Exit::Harness);
    }
    Ok(exit)
}

/// The result of the records in a folder, in the order they were run.
///
/// # Errors
/// When one cannot be read.
pub fn analyse(folder: &Folder) -> anyhow::Result<RunResult> {
    let mut scenarios = Vec::new();
    for name in folder.records()? {
        let what =
            || format!("cannot use the record {}", folder.path().join(format!("records/{name}.jsonl")).display());
        let record = Record::read(BufReader::new(folder.open_record(&name)?)).with_context(what)?;
        scenarios.push((analysis::analyse(&record), record.begin));
    }
    scenarios.sort_by_key(|(_, begin)| begin.anchor);
    let (_, first) = scenarios.first().context("the folder has no record to report on")?;
    let mut result = RunResult::new(first);
    scenarios.into_iter().for_each(|(scenario, _)| result.push(scenario));
    Ok(result)
}
