//! `gapless report`: renders a saved run again, from its records alone.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;

use super::exit::Exit;
use super::output::{self, Folder};
use crate::analysis::{self, RunResult};
use crate::cli::ReportArgs;
use crate::record::Record;

/// Runs the command.
///
/// # Errors
/// When the folder or a record in it cannot be read.
pub fn main(args: &ReportArgs) -> anyhow::Result<Exit> {
    let folder = Folder::existing(&args.dir);
    let result = analyse(&folder.records()?)?;
    folder.write_reports(&result)?;
    output::print(&result, args.format)?;
    Ok(Exit::of(&result))
}

/// The result of the records at these paths, in the order they were run.
///
/// # Errors
/// When one cannot be read.
pub fn analyse<P: AsRef<Path>>(paths: &[P]) -> anyhow::Result<RunResult> {
    let mut records = Vec::new();
    for path in paths {
        records.push(read(path.as_ref())?);
    }
    records.sort_by_key(|record| record.begin.anchor);
    analysis::combine(&records).context("there is no record to report on")
}

/// The record at that path.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path) -> anyhow::Result<Record> {
    let what = || format!("cannot use the record {}", path.display());
    let file = File::open(path).with_context(what)?;
    Record::read(BufReader::new(file)).with_context(what)
}
