//! Adds up the records of generators that shared a load: N records become one, and every report is made of that.
//!
//! Counts and histograms are added, percentiles never averaged. What was done, and what was seen of the machine, is what
//! shard 1 recorded: its lines stand as they are. The other shards know of no event; their requests are put under the
//! events by their times, which are on shard 1's clock where they ran on its machine, and else mapped by the wall clocks.
//!
//! | file | subject |
//! |---|---|
//! | `agree` | which of the records belong together, and what is missing |
//! | `source` | one record, read line by line on the clock of the merged one |
//! | `marks` | when shard 1 did what, and what a request is counted under |
//! | `rows`, `segments` | what is added up until it is written |
//! | `attempts`, `stalls` | what only all shards together show: times without a connection attempt, and without an answer |
//! | `stale` | who answered after an event that was to replace it |
//! | `notes` | what a reader of the merged record must know |
//! | `merger` | goes through all records at once, and writes one |
//!
//! Memory follows the plan and the number of shards: records are read side by side, and what is added up is written as soon
//! as every shard is past it.

mod agree;
mod attempts;
mod marks;
mod merger;
mod notes;
mod rows;
mod segments;
mod source;
mod stale;
mod stalls;
#[cfg(test)]
mod tests;

use std::io::{BufRead, Write};
use std::time::Duration;

use self::agree::agree;
use self::marks::Marks;
use self::merger::Merger;
use self::source::Source;
use crate::record::line::Line;
use crate::record::reader::{Lines, RecordError};
use crate::record::{Record, RecordWriter};

/// A record that can be opened more than once.
pub struct Input<'a> {
    /// What it is called in sentences: the folder it lies in.
    pub name: String,
    /// Opens it at its beginning.
    pub open: Box<dyn Fn() -> Result<Box<dyn BufRead>, RecordError> + 'a>,
}

/// Why records cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// None of them is of a shard.
    #[error("no record is of a shard: generators that share a load are run with --shard I/N and --start-at TIME")]
    NoShard,
    /// One cannot be read.
    #[error("cannot use the record of {name}: {error}")]
    Record {
        /// Whose.
        name: String,
        /// Why.
        error: RecordError,
    },
    /// What was merged cannot be written, or is more than a record can say.
    #[error("cannot write the merged record: {0}")]
    Write(RecordError),
}

/// Merges records into one, written to `out`. `clock_error` is what the wall clocks of different machines are taken to agree
/// within.
///
/// # Errors
/// When one cannot be read or the merged one not be written. Records that do not fit together are no error: the merged
/// record says so, and its verdict is then at best inconclusive.
pub fn merge(inputs: &[Input<'_>], clock_error: Duration, out: impl Write) -> Result<Record, MergeError> {
    let of_record = |input: &Input<'_>, error| MergeError::Record { name: input.name.clone(), error };
    let mut heads = Vec::new();
    for input in inputs {
        let mut opened = (input.open)().map_err(|error| of_record(input, error))?;
        let first = Lines::default().read(&mut opened, &mut Vec::new()).map_err(|error| of_record(input, error))?;
        if let Some(Line::Begin(begin)) = first {
            heads.push((input.name.clone(), *begin));
        }
    }
    let agreed = agree(&heads)?;
    let base = &inputs[agreed.members[0].place];
    let opened = (base.open)().map_err(|error| of_record(base, error))?;
    let marks = Marks::of(&Record::read(opened).map_err(|error| of_record(base, error))?);
    let mut sources = Vec::new();
    for member in &agreed.members {
        let input = &inputs[member.place];
        let reader = (input.open)().map_err(|error| of_record(input, error))?;
        sources.push(Source::new(input.name.clone(), member.shard.clone(), reader));
    }
    Merger::new(agreed, marks, clock_error, RecordWriter::new(out)).run(sources)
}
