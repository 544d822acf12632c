//! `gapless merge`: the runs of generators that shared a load become one run.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter};
use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;

use super::caller::Caller;
use super::exit::Exit;
use super::folder::{Folder, Visibility};
use super::output::{complain, say};
use super::run::finish;
use crate::analysis;
use crate::cli::{MergeArgs, OutputArgs};
use crate::merge::{self, Input, MergeError};
use crate::record::reader::RecordError;
use crate::result::RunResult;

/// Runs the command.
///
/// # Errors
/// When a folder or a record cannot be read, or the merged run cannot be written.
pub fn main(args: &MergeArgs) -> anyhow::Result<Exit> {
    let folders = args.dirs.iter().map(|dir| Folder::existing(dir)).collect::<anyhow::Result<Vec<_>>>()?;
    let names = folders.iter().map(only_record).collect::<anyhow::Result<Vec<_>>>()?;
    let visibility = visibility(&folders, &names)?;
    let out = Folder::create(args.out.as_deref(), visibility, Caller::of_sudo())?;
    let merged = merge_into(&out, &folders, &names, args);
    let result = match merged {
        Ok(result) => result,
        Err(error) => {
            out.discard(&names[0]);
            if error.downcast_ref::<MergeError>().is_some_and(|error| matches!(error, MergeError::NoShard)) {
                say(&format!("error: {error:#}"));
                return Ok(Exit::Usage);
            }
            return Err(error);
        }
    };
    let mut exit = Exit::of(&result);
    if let Err(error) = out.write_reports(&result) {
        complain(&error);
        exit = exit.worst(Exit::Harness);
    }
    let output = OutputArgs {
        format: args.format,
        summary: args.summary,
        open: args.open,
        inconclusive_as: args.inconclusive_as,
        ..OutputArgs::default()
    };
    Ok(finish(&result, exit, &out, &output))
}

fn merge_into(out: &Folder, folders: &[Folder], names: &[String], args: &MergeArgs) -> anyhow::Result<RunResult> {
    let open = |folder: &Folder, name: &str| -> Result<Box<dyn BufRead>, RecordError> {
        let file =
            folder.open_record(name).map_err(|error| std::io::Error::other(format!("{:#}", error.root_cause())))?;
        Ok(Box::new(BufReader::new(file)))
    };
    let inputs: Vec<Input<'_>> = folders
        .iter()
        .zip(names)
        .map(|(folder, name)| Input {
            name: folder.path().display().to_string(),
            open: Box::new(move || open(folder, name)),
        })
        .collect();
    let file = out.create_record(&names[0])?;
    let record = merge::merge(&inputs, args.clock_error, BufWriter::new(file))?;
    let mut result = RunResult::new(&record.begin);
    result.push(analysis::analyse(&record));
    Ok(result)
}

/// The one record of a shard's folder.
fn only_record(folder: &Folder) -> anyhow::Result<String> {
    let mut names = folder.records()?;
    let count = names.len();
    let name = names.pop().filter(|_| count == 1);
    name.with_context(|| {
        format!(
            "{} holds {count} records, and a shard leaves one: a load is shared for one scenario",
            folder.path().display()
        )
    })
}

/// What only the owner may read of one of them, only the owner may read of all.
fn visibility(folders: &[Folder], names: &[String]) -> anyhow::Result<Visibility> {
    for (folder, name) in folders.iter().zip(names) {
        let file: File = folder.open_record(name)?;
        let what = || format!("cannot use the record of {}", folder.path().display());
        let of_others = file.metadata().with_context(what)?.mode() & 0o077;
        if of_others == 0 {
            return Ok(Visibility::Owner);
        }
    }
    Ok(Visibility::Umask)
}
