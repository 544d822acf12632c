//! `gapless demo`.

use super::exit::Exit;
use crate::cli::DemoArgs;

/// Runs the command.
///
/// # Errors
/// Always, for now.
pub fn main(_args: &DemoArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("not there yet")
}
