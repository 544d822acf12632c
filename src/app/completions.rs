//! `gapless completions`: for the shell.

use clap::CommandFactory as _;

use super::exit::Exit;
use super::output;
use crate::cli::{Cli, CompletionsArgs};

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gapless", &mut script);
    output::write(&script)?;
    Ok(Exit::Passed)
}
