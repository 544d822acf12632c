//! `gapless man`: the pages of the manual.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::exit::Exit;
use super::output;
use crate::cli::{Cli, ManArgs};
use crate::render::manual::{self, Format};
use crate::result::RunResult;
use crate::scenario;

/// Runs the command.
///
/// # Errors
/// When a page cannot be written.
pub fn main(args: &ManArgs) -> anyhow::Result<Exit> {
    let pages = pages()?;
    if let Some(directory) = &args.out {
        write_all(directory, &pages)?;
        return Ok(Exit::Passed);
    }
    let name = args.page.as_deref().map_or("gapless".to_owned(), |page| {
        if page.starts_with("gapless") { page.to_owned() } else { format!("gapless-{page}") }
    });
    let Some((_, page)) = pages.iter().find(|(file, _)| file.rsplit_once('.').is_some_and(|(page, _)| page == name))
    else {
        let names: Vec<&str> =
            pages.iter().filter_map(|(file, _)| file.rsplit_once('.')).map(|(name, _)| name).collect();
        output::say(&format!("error: the manual has no page {name}; choose one of {}", names.join(", ")));
        return Ok(Exit::Usage);
    };
    output::write(page)?;
    Ok(Exit::Passed)
}

fn write_all(directory: &Path, pages: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (file, page) in pages {
        let path = directory.join(file);
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every page by the name of its file: `gapless-run.1`.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let commands: Vec<clap::Command> =
        std::iter::once(command.clone()).chain(command.get_subcommands().cloned()).collect();
    let mut pages = Vec::new();
    for command in commands {
        let man = clap_mangen::Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page).context("cannot write a page of the manual")?;
        pages.push((man.get_filename(), page));
    }
    let scenario = Format {
        name: "gapless-scenario",
        about: "scenario files of gapless, in TOML",
        see_also: "gapless-run",
        is_toml: true,
    };
    pages.push(("gapless-scenario.5".to_owned(), manual::page(scenario, &scenario::schema::schema())));
    let result = Format {
        name: "gapless-result",
        about: "result.json, what a run of gapless came to",
        see_also: "gapless-report",
        is_toml: false,
    };
    pages.push(("gapless-result.5".to_owned(), manual::page(result, &schemars::schema_for!(RunResult).to_value())));
    Ok(pages)
}
