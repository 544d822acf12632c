//! `gapless probe`.

use std::io;
use std::rc::Rc;

use super::exit::Exit;
use super::session::block_on;
use crate::host::{Local, probe};

/// Runs the command until its input ends.
///
/// # Errors
/// When its input has a line that is not a request.
pub fn main() -> anyhow::Result<Exit> {
    block_on(async {
        probe::run(Rc::new(Local), io::stdin(), io::stdout()).await?;
        Ok(Exit::Passed)
    })
}
