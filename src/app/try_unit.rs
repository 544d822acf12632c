//! `gapless try`: one action on a unit that is there, under load, several times.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use toml::Value;

use super::adopt::Asking;
use super::exit::Exit;
use super::found::Found;
use super::output::{self, say, say_coloured};
use super::place::Site;
use super::rehearse::Watched;
use super::{init, learn, place, run, session, watch};
use crate::check::{Facts, check, render};
use crate::cli::{Format, ManagerArg, RunArgs, ShardArgs, SystemdArg, TryAction, TryArgs};
use crate::manager::{ManagerError, is_protected};
use crate::model::{UnitKind, UnitName};
use crate::scenario::draft::{Draft, DraftLoad, DraftStep};
use crate::scenario::plan::{Connections, Pace};
use crate::scenario::{self, duration};
use crate::secrets::{masked, masked_arguments};
use crate::ssh::Place;

/// Runs the command.
///
/// # Errors
/// When the harness cannot do its job.
pub fn main(args: TryArgs) -> anyhow::Result<Exit> {
    attempt(args, &Rehearsal::default())
}

/// How long the load goes on after a command, as `watch` has it.
const AFTER_A_COMMAND: &str = "5s";

/// What a rehearsal adds.
#[derive(Debug, Default)]
pub(super) struct Rehearsal<'a> {
    /// A command to be run instead of an action; empty for none.
    pub(super) command: &'a [String],
    /// What every report is to say.
    pub(super) notes: &'a [String],
    /// What is seen of the twin meanwhile.
    pub(super) twin: Option<&'a Watched>,
}

/// The same, in a rehearsal or not.
pub(super) fn attempt(args: TryArgs, rehearsal: &Rehearsal<'_>) -> anyhow::Result<Exit> {
    session::block_on(attempt_at(args, rehearsal))
}

async fn attempt_at(args: TryArgs, rehearsal: &Rehearsal<'_>) -> anyhow::Result<Exit> {
    let unit = match UnitName::of_service_by_default(&args.unit) {
        Ok(unit) => unit,
        Err(error) => return Ok(wrong_usage(&error.to_string())),
    };
    if is_protected(&unit) && !args.force {
        return Err(ManagerError::Protected { action: args.action.key().to_owned(), unit }.into());
    }
    let place = place::open(args.host.as_ref()).await?;
    let kind = place::kind(args.manager, &place)?;
    if let Some(kind) = kind {
        session::recover_first(kind, &place).await?;
    }
    let facts = init::look(&unit, args.manager, &place).await?;
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let asking = Asking { request: &args.request, here: &here, there: place::address(&place) };
    let found = match Found::of(&facts, args.url.as_deref(), asking) {
        Ok(found) => found,
        Err(reason) => return Ok(wrong_usage(&reason)),
    };
    let found = match found.with_requests(&args.request) {
        Ok(found) => found,
        Err(reason) => return Ok(wrong_usage(&reason)),
    };
    let runs_command = !rehearsal.command.is_empty();
    let step = match step(&args, &unit, &found, rehearsal.command) {
        Ok(step) => step,
        Err(reason) => return Ok(wrong_usage(&reason)),
    };
    let site = Site::at(place, kind).await;
    let mut notes = rehearsal.notes.to_vec();
    notes.push(found.chosen());
    notes.extend(site.notes.iter().cloned());
    notes.extend(found.notes.iter().cloned());
    let mut draft = init::draft(&unit, found, step, &args.request);
    draft.target.extend(args.front.then(|| ("front", Value::from(true))));
    draft.max_unseen.clone_from(&args.max_unseen);
    draft.cooldown = runs_command.then_some(AFTER_A_COMMAND);
    say_findings(&facts, &site.place).await;
    // Only a table may stand below it on stdout.
    for note in &notes {
        if args.output.format == Format::Table {
            output::write(format!("{note}\n").as_bytes())?;
        } else {
            output::inform(note);
        }
    }
    say(&announcement(&draft));
    // A probe is to be answered meanwhile.
    if !args.yes && io::stdin().is_terminal() && !tokio::task::spawn_blocking(consents).await?? {
        say("nothing was done");
        return Ok(Exit::Usage);
    }
    let scenario = match scenario::load_text("try.toml", &draft.text(), &here) {
        Ok(scenario) => scenario,
        Err(mistakes) => {
            output::say_mistakes(&mistakes);
            return Ok(Exit::Usage);
        }
    };
    if let Some(twin) = rehearsal.twin.filter(|_| runs_command) {
        return watch::while_command(&args.output, args.force, scenario, &notes, twin).await;
    }
    run::run(run_args(args), run::known(vec![scenario]), &site, &notes, rehearsal.twin).await
}

fn wrong_usage(reason: &str) -> Exit {
    say(&format!("error: {reason}"));
    Exit::Usage
}

/// What is to be done to which of the two units.
fn step(args: &TryArgs, unit: &UnitName, found: &Found, command: &[String]) -> Result<DraftStep, String> {
    if !command.is_empty() {
        let every = duration::format(args.every);
        return Ok(DraftStep {
            action: "exec",
            role: "service",
            signal: None,
            times: 1,
            every,
            command: command.to_vec(),
        });
    }
    let role = match (args.action, unit.kind()) {
        (TryAction::RestartSocket, _) | (_, UnitKind::Socket) => "socket",
        _ => "service",
    };
    if role == "socket" && found.socket.is_none() {
        return Err(format!("{unit} has no socket unit to restart"));
    }
    if args.action != TryAction::Kill && args.signal.is_some() {
        return Err("--signal goes with --action kill only".to_owned());
    }
    let signal = (args.action == TryAction::Kill).then(|| args.signal.clone().unwrap_or_else(|| "KILL".to_owned()));
    let every = duration::format(args.every);
    Ok(DraftStep { action: args.action.key(), role, signal, times: args.times, every, command: Vec::new() })
}

/// What is about to happen, to which unit, at which address.
fn announcement(draft: &Draft) -> String {
    let step = &draft.step;
    let unit = if step.role == "socket" { &draft.socket } else { &draft.service };
    let unit = unit.as_ref().map(ToString::to_string).unwrap_or_default();
    let signal = step.signal.as_ref().map(|signal| format!(" with SIG{signal}")).unwrap_or_default();
    let times = if step.times == 1 { "once".to_owned() } else { format!("{} times, every {}", step.times, step.every) };
    let text = |key: &str| draft.target.iter().find(|(known, _)| *known == key).and_then(|(_, value)| value.as_str());
    let unix = text("unix").map(|path| format!(" through {path}")).unwrap_or_default();
    let url = masked(text("url").unwrap_or_default());
    let what = match masked_arguments(&step.command).join(" ") {
        command if command.is_empty() => format!("{} {unit}{signal} {times}", step.action),
        command => format!("run {command}"),
    };
    format!("about to {what}, under load on {url}{unix}: {}", load(&draft.loads))
}

/// Such as `200/s on kept connections and 50/s on new ones`.
fn load(loads: &[DraftLoad]) -> String {
    let one = |load: &DraftLoad| {
        let pace = match load.pace {
            Pace::Clients(clients) => format!("{clients} clients"),
            Pace::Rate(rate) => format!("{rate}/s"),
            Pace::OnDemand | Pace::Health { .. } => String::new(),
        };
        format!("{pace} on {} connections", if load.connections == Connections::New { "new" } else { "kept" })
    };
    loads.iter().map(one).collect::<Vec<_>>().join(" and ")
}

fn consents() -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "go on? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What could be seen without dropping a request.
async fn say_findings(facts: &Facts, place: &Place) {
    learn::from_facts(facts, place).await;
    let findings = learn::without_secrets(check(facts, &[]));
    if !findings.is_empty() && !output::is_quiet() {
        say_coloured(&render::table(&findings, output::stderr_width(), output::stderr_color()));
    }
}

fn run_args(args: TryArgs) -> RunArgs {
    RunArgs {
        shard: ShardArgs::default(),
        duration: None,
        paths: Vec::new(),
        manager: match args.manager {
            SystemdArg::Auto if args.host.is_some() => ManagerArg::System,
            SystemdArg::Auto => ManagerArg::Auto,
            SystemdArg::System => ManagerArg::System,
            SystemdArg::User => ManagerArg::User,
            SystemdArg::Embedded => ManagerArg::Embedded,
        },
        only: Vec::new(),
        times: None,
        set: Vec::new(),
        max_unseen: None,
        output: args.output,
        plan: false,
        prepare_only: false,
        baseline: None,
        fail_on: Vec::new(),
        force: args.force,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::app::request::{self, Bears};
    use crate::cli::{Cli, Command, LoadArgs, RequestArgs};

    fn args(words: &[&str]) -> TryArgs {
        let all = ["gapless", "try", "a.service"].iter().chain(words);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Try(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn found(socket: Option<&str>) -> Found {
        Found {
            service: Some(UnitName::new("a.service").unwrap()),
            socket: socket.map(|name| UnitName::new(name).unwrap()),
            target: vec![("url", Value::from("http://127.0.0.1:80/"))],
            reason: String::new(),
            loads: request::loads(&LoadArgs::default(), true, Bears::USUAL),
            backlog: None,
            notes: Vec::new(),
        }
    }

    fn step_of(words: &[&str], socket: Option<&str>) -> Result<DraftStep, String> {
        step(&args(words), &UnitName::new("a.service").unwrap(), &found(socket), &[])
    }

    #[test]
    fn an_action_names_its_unit_and_its_signal() {
        let restart = step_of(&[], None).unwrap();
        assert_eq!(
            (restart.action, restart.role, restart.times, restart.every.as_str()),
            ("restart", "service", 5, "3s")
        );
        let kill = step_of(&["--action", "kill", "--signal", "TERM"], None).unwrap();
        assert_eq!((kill.action, kill.signal.as_deref()), ("kill", Some("TERM")));
        let socket = step_of(&["--action", "restart-socket"], Some("a.socket")).unwrap();
        assert_eq!((socket.action, socket.role), ("restart", "socket"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(step_of(&["--action", "restart-socket"], None).is_err());
        assert!(step_of(&["--signal", "TERM"], None).is_err());
    }

    #[test]
    fn it_is_said_what_is_about_to_happen() {
        let unit = UnitName::new("a.service").unwrap();
        let step = step_of(&["--action", "kill", "--times", "1"], None).unwrap();
        let text = announcement(&init::draft(&unit, found(None), step, &RequestArgs::default()));
        let load = "200/s on kept connections and 50/s on new connections";
        assert_eq!(
            text,
            format!("about to kill a.service with SIGKILL once, under load on http://127.0.0.1:80/: {load}")
        );
    }
}
