//! The `gapless` command.

use std::process::ExitCode;

use gapless::app::{self, exit::Exit};
use gapless::cli::Command;
use gapless::demo::calibration::apart;
use gapless::manager::embedded::exec;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // Started by the embedded manager or by a calibration, not by a person.
    match args.next() {
        Some(first) if first == exec::SUBCOMMAND => return exec::main(args),
        Some(first) if first == apart::SUBCOMMAND => return apart::main(args),
        _ => {}
    }
    let cli = app::arguments::parse();
    app::output::settle(cli.quiet, cli.color);
    let outcome = match cli.command {
        Command::Run(args) => app::run::main(args),
        Command::Demo(args) => app::demo::main(&args),
        Command::Watch(args) => app::watch::main(&args),
        Command::Calibrate(args) => app::calibrate::main(&args),
        Command::Check(args) => app::check::main(&args),
        Command::Init(args) => app::init::main(&args),
        Command::Try(args) => app::try_unit::main(args),
        Command::Completions(args) => app::completions::main(&args),
        Command::Report(args) => app::report::main(&args),
        Command::Compare(args) => app::compare::main(&args),
        Command::Schema(args) => app::schema::main(&args),
        Command::Man(args) => app::man::main(&args),
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
