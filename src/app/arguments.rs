//! The command line of this process.

use std::ffi::OsString;
use std::process;

use clap::Parser as _;

use super::exit::Exit;
use super::output;
use crate::cli::Cli;
use crate::visible;

/// Parses it. Where it is wrong, that is said and the process ends; what it quotes holds no secret, and nothing that a
/// terminal would obey.
#[must_use]
pub fn parse() -> Cli {
    parse_from(std::env::args_os())
}

/// The same for the command line of another process, whose first word is the program.
#[must_use]
pub fn parse_from(words: impl IntoIterator<Item = OsString>) -> Cli {
    let error = match Cli::try_parse_from(words) {
        Ok(cli) => return cli,
        Err(error) => error,
    };
    let plain = error.render().to_string();
    let safe = visible::escape_lines(&output::secrets().hide(&plain));
    // Help quotes nothing.
    if safe == plain || !error.use_stderr() {
        error.exit();
    }
    output::say(safe.trim_end());
    process::exit(Exit::Usage.code().into());
}
