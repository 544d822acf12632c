//! `gapless demo-server`.

use super::exit::Exit;
use crate::demo::server::{self, ServerOptions};

/// Runs the command until the server ends.
///
/// # Errors
/// When it cannot listen.
pub fn main(options: ServerOptions) -> anyhow::Result<Exit> {
    server::run(options)?;
    Ok(Exit::Passed)
}
