//! The output options: where results go, and in which form.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Format;

/// Options of every command that runs something.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputArgs {
    /// Where to leave records and reports [default: a new folder under reports/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print one line for each scenario, and all only of those that did not pass
    #[arg(long)]
    pub summary: bool,
    /// Record the bodies of requests as well: the folder is then readable by its owner alone
    #[arg(long)]
    pub show_bodies: bool,
    /// Open report.html when the run is over
    #[arg(long)]
    pub open: bool,
    /// Exit with 0 or with 1 instead of 3 when the verdict is inconclusive, for gates that know only two answers
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub inconclusive_as: Option<InconclusiveAs>,
}

/// `--inconclusive-as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InconclusiveAs {
    /// Exit with 0
    Pass,
    /// Exit with 1
    Fail,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}
