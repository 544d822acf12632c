//! `gapless init`: a scenario for a unit that is already there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;

use super::check;
use super::exit::Exit;
use super::found::Found;
use super::output::{self, say};
use super::session;
use crate::check::Facts;
use crate::check::facts::Clients;
use crate::check::live::Gatherer;
use crate::cli::{InitArgs, SystemdArg};
use crate::model::UnitName;
use crate::scenario::draft::{Draft, DraftStep};
use crate::secrets::masked;

/// Runs the command.
///
/// # Errors
/// When the unit cannot be looked at, does not answer, or the file cannot be written.
pub fn main(args: &InitArgs) -> anyhow::Result<Exit> {
    let unit = match UnitName::of_service_by_default(&args.unit) {
        Ok(unit) => unit,
        Err(error) => {
            say(&format!("error: {error}"));
            return Ok(Exit::Usage);
        }
    };
    let facts = session::block_on(look(&unit, args.manager))?;
    let found = match Found::of(&facts, args.url.as_deref(), &args.said) {
        Ok(found) => found,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    let chosen = found.chosen();
    let role = if found.service.is_some() { "service" } else { "socket" };
    let step = DraftStep { action: "restart", role, signal: None, times: 5, every: "3s".to_owned() };
    let text = Draft { front: args.front, ..draft(&unit, found, step) }.text();
    let Some(path) = &args.output else {
        let shown = masked(&text);
        output::write(shown.as_bytes())?;
        if shown != text {
            say("the credentials are left out here; write them to a file that only you can read: --output FILE");
        }
        return Ok(Exit::Passed);
    };
    // A scenario that somebody has worked on is not written over.
    let mode = if masked(&text) == text { 0o666 } else { 0o600 };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    output::write(format!("{chosen}\n").as_bytes())?;
    say(&format!("written; run it with: gapless run {}", path.display()));
    Ok(Exit::Passed)
}

/// The facts of a unit; of a service with several sockets, those with its first.
pub(super) async fn look(unit: &UnitName, manager: SystemdArg) -> anyhow::Result<Facts> {
    let gatherer = Gatherer::new(check::inspector(manager).await?, Clients::default()).await?;
    let facts = gatherer.facts(unit).await?;
    facts.into_iter().next().with_context(|| format!("nothing is known of {unit}"))
}

/// The scenario for what was found.
pub(super) fn draft(unit: &UnitName, found: Found, step: DraftStep) -> Draft {
    let (rates, connections) = (found.rates(), found.connections());
    Draft {
        // Unit names have characters that names of scenarios, which are file names, have not.
        name: unit.stem().replace(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)), "-"),
        url: (found.url, found.reason),
        unix: found.unix,
        expect_status: found.expect_status,
        body: found.said.body,
        expect_body: found.said.expect_body,
        service: found.service,
        socket: found.socket,
        rates,
        connections,
        insecure: found.insecure,
        front: false,
        step,
        max_unseen: None,
        notes: found.notes,
    }
}
