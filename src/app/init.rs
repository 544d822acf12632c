//! `gapless init`: a scenario for a unit that is already there.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use toml::Value;

use super::adopt::Asking;
use super::check;
use super::exit::Exit;
use super::found::Found;
use super::output::{self, say};
use super::{place, request, session};
use crate::check::Facts;
use crate::check::facts::Clients;
use crate::check::live::Gatherer;
use crate::cli::{InitArgs, RequestArgs, SystemdArg};
use crate::model::UnitName;
use crate::scenario::draft::{Draft, DraftStep};
use crate::secrets::masked;
use crate::ssh::Place;

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
    session::block_on(write(args, &unit))
}

async fn write(args: &InitArgs, unit: &UnitName) -> anyhow::Result<Exit> {
    let place = place::open(args.host.as_ref()).await?;
    let facts = look(unit, args.manager, &place).await?;
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let request = in_full(&args.request)?;
    let asking = Asking { request: &request, here: &here, there: place::address(&place) };
    let found = match Found::of(&facts, args.url.as_deref(), asking) {
        Ok(found) => found,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    let found = match found.with_requests(&request) {
        Ok(found) => found,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    let told: Vec<String> = std::iter::once(found.chosen()).chain(found.notes.iter().cloned()).collect();
    let role = if found.service.is_some() { "service" } else { "socket" };
    let step =
        DraftStep { action: "restart", role, signal: None, times: 5, every: "3s".to_owned(), command: Vec::new() };
    let mut draft = draft(unit, found, step, &request);
    draft.target.extend(args.front.then(|| ("front", Value::from(true))));
    let text = draft.text();
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
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            say(&format!(
                "error: {0} exists already: remove it, or write to another file: --output FILE",
                path.display()
            ));
            return Ok(Exit::Usage);
        }
        opened => opened.with_context(|| format!("cannot make {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    output::write(format!("{}\n", told.join("\n")).as_bytes())?;
    output::inform(&format!("written; run it with: gapless run {}", path.display()));
    Ok(Exit::Passed)
}

/// What can be loaded without systemd.
const WITHOUT_SYSTEMD: &str = "load any URL while a command of yours restarts the service: gapless watch URL -- COMMAND; or \
                               run a scenario with the unit files in it on the embedded manager: gapless run FILE";

/// The facts of a unit; of a service with several sockets, those with its first.
pub(super) async fn look(unit: &UnitName, manager: SystemdArg, place: &Place) -> anyhow::Result<Facts> {
    let gatherer = Gatherer::new(check::inspector(manager, place, WITHOUT_SYSTEMD).await?, Clients::default()).await?;
    let facts = gatherer.facts(unit).await?;
    facts.into_iter().next().with_context(|| format!("nothing is known of {unit}"))
}

/// The options with the paths in them whole: a scenario may be written elsewhere.
fn in_full(request: &RequestArgs) -> anyhow::Result<RequestArgs> {
    let mut request = request.clone();
    for path in [&mut request.body_file, &mut request.ca_file].into_iter().flatten() {
        *path = std::path::absolute(&path).with_context(|| format!("cannot tell where {} is", path.display()))?;
    }
    Ok(request)
}

/// The scenario for what was found.
pub(super) fn draft(unit: &UnitName, found: Found, step: DraftStep, request: &RequestArgs) -> Draft {
    Draft {
        // Unit names have characters that names of scenarios, which are file names, have not.
        name: unit.stem().replace(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)), "-"),
        reason: found.reason,
        target: found.target,
        service: found.service,
        socket: found.socket,
        loads: found.loads,
        step,
        max_unseen: None,
        cooldown: None,
        expect: request::expectations_of_action(request),
        notes: found.notes,
    }
}
