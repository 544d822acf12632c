//! `gapless merge`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Format, InconclusiveAs};

/// `gapless merge`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless merge out/1 out/2 out/3 --out merged

Each DIR is what one generator left (gapless run or watch with --shard). Counts and histograms are added up; percentiles
are never averaged. A shard that is missing, there twice, or of another plan or version is named, and the verdict is
inconclusive. Exit codes are those of run. gapless report renders the merged folder again.")]
pub struct MergeArgs {
    /// The folders of the shards, in any order
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Where to leave the merged record and its reports [default: a new folder under reports/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What the wall clocks of the generators' machines agree within. It cannot be measured here: what depends on it is said
    /// to. Shards of one machine are on one clock, and need none
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = crate::scenario::duration::parse)]
    pub clock_error: Duration,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print one line for each scenario, and all only of those that did not pass
    #[arg(long)]
    pub summary: bool,
    /// Open report.html when it is written
    #[arg(long)]
    pub open: bool,
    /// Exit with 0 or with 1 instead of 3 when the verdict is inconclusive, for gates that know only two answers
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub inconclusive_as: Option<InconclusiveAs>,
}
