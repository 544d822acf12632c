//! The part of a rehearsal that runs in the twin: it starts what belongs to the unit, and then does what `try` or `run` does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::suggestion;
use super::tried::Tried;
use super::{Refusal, Subject, Watched, overrides, subject};
use crate::app::exit::Exit;
use crate::app::output::{self, complain, inform, say};
use crate::app::place::Site;
use crate::app::try_unit::Rehearsal;
use crate::app::{arguments, init, run, session, try_unit};
use crate::check::Facts;
use crate::cli::{Command, ManagerArg, RehearseArgs, RunArgs, ShardArgs, SystemdArg, TryArgs};
use crate::clock;
use crate::manager::systemd::Inspector;
use crate::model::{UnitKind, UnitName};
use crate::run::units::{held_units, is_installed};
use crate::scenario::Scenario;
use crate::ssh::Place;
use crate::twin::Space;
use crate::twin::closure::{self, Closure};

/// The first argument of this part. People do not type it.
pub const SUBCOMMAND: &str = "__rehearse";

/// How often a unit that starts is looked at.
const LOOKS: Duration = Duration::from_millis(100);

/// A unit that does not listen this long after its job was done never will.
const LONGEST_START: Duration = Duration::from_secs(30);

/// What this part is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The run's folder, which is the real one.
    pub(super) out: PathBuf,
    /// What every report is to say.
    pub(super) notes: Vec<String>,
    /// The sockets that listen on the machine; none where it was not booted with systemd, and then those count that are
    /// enabled.
    pub(super) listening: Option<Vec<UnitName>>,
    /// The TCP ports on which the machine listens, with the processes that do.
    pub(super) served: BTreeMap<u16, String>,
    /// Where to leave what is suggested for the unit; none where nothing is asked for.
    pub(super) suggested: Option<PathBuf>,
    /// The sockets that the twin has by `--with`.
    pub(super) added: Vec<UnitName>,
}

/// The command line of this part.
pub(super) fn command(program: &str, order: &Order) -> anyhow::Result<Vec<OsString>> {
    let order = serde_json::to_string(order)?;
    let own = [program, SUBCOMMAND, &order].map(OsString::from);
    Ok(own.into_iter().chain(std::env::args_os().skip(1)).collect())
}

pub(super) fn main(mut words: impl Iterator<Item = OsString>) -> anyhow::Result<Exit> {
    let order = words.next().context("the rehearsal in the twin is told nothing")?;
    let order: Order = serde_json::from_str(&order.to_string_lossy())?;
    let cli = arguments::parse_from(std::iter::once("gapless".into()).chain(words));
    output::settle(cli.quiet, cli.color);
    let Command::Rehearse(mut args) = cli.command else { anyhow::bail!("only a rehearsal runs in a twin") };
    args.output.out = Some(order.out.clone());
    args.output.open = false;
    let watched = Watched { tried: Tried::new(order.served.clone()), space: Space::watch() };
    let ended = rehearse(args, order, &watched);
    let Some(shortage) = watched.space.shortage() else { return ended };
    // Whatever else is said is its doing, or may be.
    let is_interrupted = ended.map_err(|error| complain(&error)).is_ok_and(|exit| exit == Exit::Interrupted);
    say(&format!("error: {shortage}"));
    Ok(if is_interrupted { Exit::Interrupted } else { Exit::Harness })
}

fn rehearse(mut args: RehearseArgs, order: Order, watched: &Watched) -> anyhow::Result<Exit> {
    let tried = &watched.tried;
    let subject = match subject(&args) {
        Ok(subject) => subject,
        // Refused outside already.
        Err(Refusal::Usage(_) | Refusal::Scenario(_)) => return Ok(Exit::Usage),
    };
    let mut listening = order.listening.unwrap_or_else(closure::enabled_sockets);
    listening.extend(order.added);
    let started = match session::block_on(start(&subject, &args, &listening))? {
        Ok(closure) => closure,
        Err(Obstacle::Impossible(reasons)) => {
            reasons.iter().for_each(|reason| say(&format!("error: {reason}")));
            return Ok(Exit::Harness);
        }
        Err(Obstacle::Fails(unit, reason)) => {
            return session::block_on(does_not_start(&unit, &reason, tried));
        }
    };
    let mut notes = order.notes;
    notes.insert(0, told(&started));
    let unit = match subject {
        Subject::Unit(unit) => unit,
        Subject::Scenarios(scenarios) => {
            return session::block_on(run::run(run_args(args), scenarios, &Site::here(), &notes, Some(watched)));
        }
    };
    if !session::block_on(wait_until_it_listens(&unit, &args))? {
        return session::block_on(does_not_start(&unit, "it does not listen there", tried));
    }
    let command = std::mem::take(&mut args.command);
    let rehearsal = Rehearsal { command: &command, notes: &notes, twin: Some(watched) };
    let exit = try_unit::attempt(try_args(args), &rehearsal)?;
    if let Some(folder) = order.suggested.filter(|_| matches!(exit, Exit::Passed | Exit::Failed | Exit::Inconclusive)) {
        leave_suggestion(&unit, &folder)?;
    }
    if exit == Exit::Usage {
        // It was never loaded, so that no report says why it does not answer as it should.
        tried.sentences().iter().for_each(|sentence| say(sentence));
    }
    Ok(exit)
}

/// Leaves what is suggested for the unit, by what is seen of it while it runs.
fn leave_suggestion(unit: &UnitName, folder: &Path) -> anyhow::Result<()> {
    let facts = session::block_on(init::look(unit, SystemdArg::System, &Place::Here))?;
    match suggestion::suggest(&facts) {
        Ok(files) => suggestion::write(folder, &files).with_context(|| format!("cannot write to {}", folder.display())),
        Err(reason) => {
            say(&format!("error: nothing can be suggested: {reason}"));
            Ok(())
        }
    }
}

/// Says why a unit is not there to be loaded: what was tried in vain, and its last words.
async fn does_not_start(unit: &UnitName, reason: &str, tried: &Tried) -> anyhow::Result<Exit> {
    say(&format!("error: {unit} cannot be rehearsed: {reason}"));
    tried.sentences().iter().for_each(|sentence| say(sentence));
    let last = closure::last_words(unit).await;
    if !last.is_empty() {
        say(&format!("its last words in the twin:\n{}", output::secrets().hide(&last)));
    }
    Ok(Exit::Harness)
}

/// The units that are acted on and that the scenarios do not bring, and what is to be there as well.
pub(super) fn roots(subject: &Subject, also: &[String]) -> anyhow::Result<Vec<UnitName>> {
    let mut roots = match subject {
        Subject::Unit(unit) => vec![unit.clone()],
        Subject::Scenarios(scenarios) => scenarios.iter().flat_map(existing_units).collect(),
    };
    for name in also {
        roots.push(UnitName::of_service_by_default(name).with_context(|| format!("--also {name}"))?);
    }
    roots.sort();
    roots.dedup();
    Ok(roots)
}

fn existing_units(scenario: &Scenario) -> Vec<UnitName> {
    let mut units = held_units(&scenario.plan);
    units.retain(|unit| !is_installed(&scenario.plan, unit));
    units
}

/// Why there is nothing to rehearse.
enum Obstacle {
    /// Units that cannot be had in a twin, a sentence each.
    Impossible(Vec<String>),
    /// A unit that does not start there, and what systemctl says.
    Fails(UnitName, String),
}

/// Starts them with what they need: what was started, or why they cannot be.
async fn start(
    subject: &Subject,
    args: &RehearseArgs,
    listening: &[UnitName],
) -> anyhow::Result<Result<Closure, Obstacle>> {
    let roots = roots(subject, &args.also)?;
    if roots.is_empty() {
        return Ok(Ok(Closure::default()));
    }
    let inspector = Inspector::system().await?;
    let closure = closure::find(&inspector, &roots, listening).await?;
    inform(&told(&closure));
    if !closure.impossible.is_empty() {
        let in_words = |(unit, reason): &(UnitName, String)| {
            format!("{unit} cannot be started in a twin: {reason}; what is to be rehearsed requires it")
        };
        return Ok(Err(Obstacle::Impossible(closure.impossible.iter().map(in_words).collect())));
    }
    closure.mask_the_rest().await?;
    let sockets = closure.taken.iter().filter(|unit| unit.kind() == UnitKind::Socket);
    let to_start: Vec<&str> = sockets.chain(&roots).map(UnitName::as_str).collect();
    if let Err(error) = closure::start(&to_start).await {
        return Ok(Err(Obstacle::Fails(roots[0].clone(), format!("it does not start in the twin: {error:#}"))));
    }
    Ok(Ok(closure))
}

/// What a twin has of the machine's units.
fn told(closure: &Closure) -> String {
    let names = closure.names();
    let started = if names.is_empty() { "no unit of the machine".to_owned() } else { names.join(", ") };
    let left_out: Vec<String> = closure.left_out.iter().map(|(unit, why)| format!("{unit} ({why})")).collect();
    let left_out = if left_out.is_empty() {
        String::new()
    } else {
        format!("; left out: {}; --also adds one", left_out.join(", "))
    };
    format!(
        "This is a rehearsal in a throw-away copy of the machine, with loopback as its only network. It starts {started}{left_out}."
    )
}

/// Waits until somebody listens for the unit, or it is clear that nobody will: whether there is something to load. Where the
/// user says what to load, it need not be the unit that listens there.
async fn wait_until_it_listens(unit: &UnitName, args: &RehearseArgs) -> anyhow::Result<bool> {
    let is_told = args.url.is_some() || args.request.unix.is_some();
    let begin = clock::now();
    loop {
        let facts = init::look(unit, SystemdArg::System, &Place::Here).await?;
        let waited = Duration::from_nanos(clock::now().nanos_since(begin));
        if listens(&facts) {
            return Ok(true);
        }
        if is_down(&facts) || waited > LONGEST_START {
            return Ok(is_told);
        }
        tokio::time::sleep(LOOKS).await;
    }
}

fn listens(facts: &Facts) -> bool {
    let sockets = facts.socket.iter().filter_map(|socket| socket.live.as_ref()).flat_map(|live| &live.addresses);
    let service = facts.service.iter().filter_map(|service| service.live.as_ref());
    sockets.into_iter().any(|address| !address.listeners.is_empty())
        || service.into_iter().any(|live| !live.listens_at.is_empty() || !live.receives_at.is_empty())
}

fn is_down(facts: &Facts) -> bool {
    let service = facts.service.as_ref().and_then(|service| service.live.as_ref());
    service.is_some_and(|live| live.unit.active_state.is_stopped())
}

/// As often as `try` does it.
const TIMES: u32 = 5;

fn try_args(args: RehearseArgs) -> TryArgs {
    TryArgs {
        unit: args.targets.into_iter().next().unwrap_or_default(),
        action: args.action,
        signal: args.signal,
        times: args.times.unwrap_or(TIMES),
        every: args.every,
        url: args.url,
        request: args.request,
        front: args.front,
        max_unseen: args.max_unseen,
        host: None,
        yes: true,
        force: args.force,
        manager: SystemdArg::System,
        output: args.output,
    }
}

fn run_args(args: RehearseArgs) -> RunArgs {
    let overrides = overrides(&args);
    RunArgs {
        shard: ShardArgs::default(),
        duration: None,
        paths: args.targets.into_iter().map(Into::into).collect(),
        manager: ManagerArg::System,
        only: args.only,
        times: overrides.times,
        set: overrides.set,
        max_unseen: None,
        output: args.output,
        plan: false,
        prepare_only: false,
        baseline: None,
        fail_on: Vec::new(),
        force: args.force,
    }
}
