//! The `gapless` command.

use std::process::ExitCode;

use gapless::app::{self, exit::Exit};
use gapless::cli::Command;
use gapless::demo::calibration::subprocess;
use gapless::manager::embedded::exec;
use gapless::twin;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // Started by the embedded manager, a calibration or a rehearsal, not by a person.
    match args.next() {
        Some(first) if first == exec::SUBCOMMAND => return exec::main(args),
        Some(first) if first == subprocess::SUBCOMMAND => return subprocess::main(args),
        Some(first) if first == twin::SUBCOMMAND => return twin::main(args),
        Some(first) if first == app::rehearse::SUBCOMMAND => return ended(app::rehearse::main_inside(args)),
        _ => {}
    }
    let cli = app::arguments::parse();
    app::output::settle(cli.quiet, cli.color);
    ended(match cli.command {
        Command::Run(args) => app::run::main(args),
        Command::Demo(args) => app::demo::main(&args),
        Command::Watch(args) => app::watch::main(&args),
        Command::Calibrate(args) => app::calibrate::main(&args),
        Command::Check(args) => app::check::main(&args),
        Command::Init(args) => app::init::main(&args),
        Command::Try(args) => app::try_unit::main(args),
        Command::Rehearse(args) => app::rehearse::main(&args),
        Command::Completions(args) => app::completions::main(&args),
        Command::Report(args) => app::report::main(&args),
        Command::Compare(args) => app::compare::main(&args),
        Command::Merge(args) => app::merge::main(&args),
        Command::Schema(args) => app::schema::main(&args),
        Command::Man(args) => app::man::main(&args),
        Command::Probe(_) => app::probe::main(),
        Command::DemoServer(options) => app::demo_server::main(options),
    })
}

fn ended(outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            app::output::complain(&error);
            Exit::Harness.into()
        }
    }
}
