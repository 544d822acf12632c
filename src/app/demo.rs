//! `gapless demo`: the main job on the embedded manager, with nothing to set up.

use anyhow::Context as _;

use super::exit::Exit;
use super::folder::{Folder, Visibility};
use super::output::{self, inform};
use super::place::Site;
use super::run::{How, record_all};
use super::session;
use super::sharing::Shared;
use crate::cli::{DemoArgs, ManagerArg, OutputArgs};
use crate::demo::scenarios;
use crate::run::{Interrupt, Surroundings};
use crate::scenario::{self, Overrides, Scenario};

/// Runs the command.
///
/// # Errors
/// When the harness cannot do its job: no folder to write to, no free port.
pub fn main(args: &DemoArgs) -> anyhow::Result<Exit> {
    // It stays root's, where root runs it: what lies in it is run.
    let folder = Folder::create(args.out.as_deref(), Visibility::Umask, None)?;
    let own = std::env::current_exe().context("cannot tell where our own binary is")?;
    let files = folder.path().join("scenarios");
    let paths = scenarios::write_to(&files, &own)
        .with_context(|| format!("cannot write the scenarios to {}", files.display()))?;
    match scenario::load_all(&paths, &[], &Overrides::default()) {
        Ok(scenarios) => session::block_on(demonstrate(args, &scenarios, &folder)),
        Err(mistakes) => {
            output::say_mistakes(&mistakes);
            Ok(Exit::Usage)
        }
    }
}

async fn demonstrate(args: &DemoArgs, scenarios: &[Scenario], folder: &Folder) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
    inform(&format!("{} scenarios, one after the other; less than a minute", scenarios.len()));
    let how = How {
        shared: Shared::ALONE,
        manager: ManagerArg::Embedded,
        site: &Site::here(),
        force: false,
        surroundings: Surroundings::Stated,
        is_patient: true,
        show_bodies: false,
        notes: &[],
        twin: None,
        marks: None,
    };
    let (result, mut exit) = record_all(scenarios, how, folder, &interrupt).await?;
    let output = OutputArgs { format: args.format, summary: true, ..OutputArgs::default() };
    exit = exit.worst(output::print_result(&result, &output));
    inform(&format!("saved in {}, the scenarios too", folder.path().display()));
    Ok(exit)
}
