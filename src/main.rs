//! The `gapless` command.

use std::process::ExitCode;

use gapless::manager::embedded::exec;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        // Started by the embedded manager, not by a person.
        Some(first) if first == exec::SUBCOMMAND => exec::main(args),
        _ => ExitCode::SUCCESS,
    }
}
