//! The `gapless` command.

use std::process::ExitCode;

use clap::Parser as _;
use gapless::app::{self, exit::Exit};
use gapless::cli::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => app::run::main(args),
        Command::Check(args) => app::check::main(&args),
        Command::Init(args) => app::init::main(&args),
        Command::Try(args) => app::try_unit::main(args),
        Command::Completions(args) => app::completions::main(&args),
        Command::Report(args) => app::report::main(&args),
        Command::DemoServer(options) => app::demo_server::main(options),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            app::output::complain(&error);
            Exit::Harness.into()
        }
    }
}
