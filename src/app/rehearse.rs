//! `gapless rehearse`: what `try` and `run` do, in a twin of this machine.
//!
//! The command makes the twin and runs itself in there, with the same arguments; [`inside`] is what it does there. Of this
//! machine it changes nothing but the run's folder and what `prepare` makes, and says whether the units are as they were.

mod brought;
mod inside;
mod suggestion;
mod tried;
mod untouched;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::brought::Brought;
use self::inside::Order;
pub use self::inside::SUBCOMMAND;
use self::tried::Tried;
use self::untouched::Untouched;
use super::caller::Caller;
use super::exit::Exit;
use super::folder::{Folder, Visibility};
use super::output::{self, complain, inform, say};
use super::{compare, github, session};
use crate::cli::{RehearseArgs, TryAction};
use crate::model::UnitName;
use crate::result::RunResult;
use crate::run::Interrupt;
use crate::run::prepare::{PrepareError, prepare};
use crate::scenario::{self, Overrides, Scenario};
use crate::twin::{self, PROGRAM, Scratch, Space, Spec, Twin, TwinError};

/// What is rehearsed.
#[derive(Debug)]
enum Subject {
    /// A unit of the machine, as `try` has it.
    Unit(UnitName),
    /// Scenarios, as `run` has them.
    Scenarios(Vec<Scenario>),
}

/// What is seen of a twin while something is measured in it.
#[derive(Debug)]
pub(crate) struct Watched {
    /// What was tried there in vain.
    pub(super) tried: Tried,
    /// Whether it was full.
    pub(super) space: Space,
}

/// Runs the command.
///
/// # Errors
/// When there can be no twin, or the harness cannot do its job.
pub fn main(args: &RehearseArgs) -> anyhow::Result<Exit> {
    let subject = match subject(args) {
        Ok(subject) => subject,
        Err(Refusal::Usage(reason)) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
        Err(Refusal::Scenario(mistakes)) => {
            output::say_mistakes(&mistakes);
            return Ok(Exit::Usage);
        }
    };
    if let Some(obstacle) = twin::machine::obstacle() {
        anyhow::bail!(obstacle);
    }
    session::block_on(rehearse(args, &subject))
}

/// Runs the part of the command that is in the twin. Its arguments are what it was told, then the command's own.
///
/// # Errors
/// As [`main`].
pub fn main_inside(words: impl Iterator<Item = OsString>) -> anyhow::Result<Exit> {
    inside::main(words)
}

/// Why nothing is rehearsed.
enum Refusal {
    Usage(String),
    Scenario(scenario::ScenarioErrors),
}

fn subject(args: &RehearseArgs) -> Result<Subject, Refusal> {
    if !is_path(&args.targets[0]) {
        return unit(args).map(Subject::Unit).map_err(Refusal::Usage);
    }
    if let Some(unit) = args.targets.iter().find(|target| !is_path(target)) {
        return Err(Refusal::Usage(format!(
            "{unit} is not a file or folder: rehearse one UNIT, or any number of PATHs"
        )));
    }
    if !args.command.is_empty() {
        return Err(Refusal::Usage("a COMMAND goes with a UNIT; a scenario has steps".to_owned()));
    }
    if args.suggest {
        return Err(Refusal::Usage("--suggest goes with a UNIT; a scenario names its units".to_owned()));
    }
    if let Some(option) = option_of_units(args) {
        return Err(Refusal::Usage(format!("{option} goes with a UNIT; a scenario says that itself")));
    }
    let paths: Vec<PathBuf> = args.targets.iter().map(PathBuf::from).collect();
    let scenarios = scenario::load_all(&paths, &args.only, &overrides(args)).map_err(Refusal::Scenario)?;
    Ok(Subject::Scenarios(super::run::known(scenarios)))
}

/// As `check` tells files from units.
fn is_path(target: &str) -> bool {
    target.contains('/') || Path::new(target).exists()
}

fn unit(args: &RehearseArgs) -> Result<UnitName, String> {
    let [name] = &args.targets[..] else {
        return Err("give one UNIT, or scenario files and folders".to_owned());
    };
    if !args.only.is_empty() || !args.set.is_empty() {
        return Err("--only and --set go with a scenario; there is no such file or folder".to_owned());
    }
    UnitName::of_service_by_default(name).map_err(|error| error.to_string())
}

fn option_of_units(args: &RehearseArgs) -> Option<&'static str> {
    let request = &args.request;
    let given = [
        (args.url.is_some(), "--url"),
        (args.action != TryAction::Restart, "--action"),
        (args.signal.is_some(), "--signal"),
        (args.front, "--front"),
        (request.protocol.is_some(), "--protocol"),
        (request.method.is_some(), "--method"),
        (!request.headers.is_empty(), "--header"),
        (request.body.is_some() || request.body_file.is_some(), "--body"),
        (!request.expect_status.is_empty(), "--expect-status"),
        (!request.expect_grpc_status.is_empty(), "--expect-grpc-status"),
        (request.expect_body.is_some(), "--expect-body"),
        (request.ca_file.is_some() || request.insecure, "--ca-file or --insecure"),
        (request.unix.is_some(), "--unix"),
        (request.timeout.is_some(), "--timeout"),
        (request.instance.is_some(), "--instance"),
        (!request.expect.is_empty(), "--expect"),
        (request.load.rate.is_some() || request.load.clients.is_some(), "--rate or --clients"),
        (request.load.fresh || request.load.connections.is_some(), "--fresh or --connections"),
    ];
    given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
}

fn overrides(args: &RehearseArgs) -> Overrides {
    let max_unseen = args.max_unseen.iter().map(|max_unseen| format!("run.max_unseen={max_unseen}"));
    Overrides { times: args.times, set: args.set.iter().cloned().chain(max_unseen).collect() }
}

/// Makes the twin, has the rehearsal run in it, and ends it.
async fn rehearse(args: &RehearseArgs, subject: &Subject) -> anyhow::Result<Exit> {
    let brought = match Brought::read(&args.with) {
        Ok(brought) => brought,
        Err(reason) => {
            say(&format!("error: {reason:#}"));
            return Ok(Exit::Usage);
        }
    };
    let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    if let Subject::Scenarios(scenarios) = subject {
        // Out here: a twin has no network to download from.
        for scenario in scenarios {
            match prepare(&scenario.plan, &interrupt, output::secrets()).await {
                Err(PrepareError::Interrupted { .. }) => return Ok(Exit::Interrupted),
                prepared => prepared?,
            };
        }
    }
    let untouched = Untouched::look(&inside::roots(subject, &args.also)?).await;
    let listening = untouched.listening().await;
    let visibility = if args.output.show_bodies { Visibility::Owner } else { Visibility::Umask };
    let folder = Folder::reserve(args.output.out.as_deref(), visibility, Caller::of_sudo())?;
    let stage =
        Stage { args, here: &here, interrupt: &interrupt, listening, spec: spec(args, subject, &here, &folder)? };
    let out = std::path::absolute(folder.path())?;
    let exit = if args.suggest { stage.both(&out).await } else { stage.run(&out, &brought, None).await };
    // A run that never began leaves nothing, not even an empty folder.
    let _ = std::fs::remove_dir(folder.path());
    for sentence in untouched.compare().await {
        match sentence {
            Ok(same) => inform(&same),
            Err(changed) => say(&changed),
        }
    }
    exit
}

/// Where rehearsals take place, each in a twin of its own.
struct Stage<'a> {
    args: &'a RehearseArgs,
    here: &'a Path,
    interrupt: &'a Interrupt,
    listening: Option<Vec<UnitName>>,
    spec: Spec,
}

impl Stage<'_> {
    /// One rehearsal, with its results in `out`.
    async fn run(&self, out: &Path, brought: &Brought, suggested: Option<PathBuf>) -> anyhow::Result<Exit> {
        let spec = Spec { units: brought.files.clone(), ..self.spec.clone() };
        let order = |notes: Vec<String>| Order {
            out: out.to_owned(),
            notes: notes.into_iter().chain(brought.note()).collect(),
            listening: self.listening.clone(),
            added: brought.sockets(),
            served: tried::served_here(),
            suggested,
        };
        let exit = in_twin(&spec, order, self.here, self.args.keep, self.interrupt).await?;
        told_outside(out, self.args);
        Ok(exit)
    }

    /// The unit as it is, then with what is suggested for it, and the two side by side.
    async fn both(&self, out: &Path) -> anyhow::Result<Exit> {
        let (before, after, suggested) = (out.join("as-it-is"), out.join("with-socket"), out.join("suggested"));
        let exit = self.run(&before, &Brought::default(), Some(suggested.clone())).await?;
        if !suggested.is_dir() {
            // Why is said already.
            return Ok(exit.worst(Exit::Harness));
        }
        let files = suggestion::written(&suggested)?;
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        inform(&format!("once more, with what is suggested: {}", names.join(", ")));
        let exit = self.run(&after, &Brought::read(&files)?, None).await?;
        if after.join("result.json").exists() {
            let (before, after) = (compare::read(&before)?, compare::read(&after)?);
            compare::with_baseline(&before, &after, &[], self.args.output.format)?;
        }
        Ok(exit)
    }
}

async fn in_twin(
    spec: &Spec,
    order: impl FnOnce(Vec<String>) -> Order,
    here: &Path,
    keep: bool,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    inform(&format!("booting a twin of {}", spec.host));
    let twin = match Twin::boot(spec, interrupt).await {
        Err(TwinError::Interrupted) => return Ok(Exit::Interrupted),
        Err(error @ TwinError::Booted(_)) => {
            say(&format!("error: {}", output::secrets().hide(&error.to_string())));
            return Ok(Exit::Harness);
        }
        booted => booted?,
    };
    let command = inside::command(PROGRAM, &order(twin.notes.clone()))?;
    let status = twin.run(&command, here, interrupt).await;
    let ended = if keep && !interrupt.is_raised() {
        say(&format!("the twin is left running: enter it with: {} -- bash", twin.how_to_enter()));
        say(&format!("end it with: kill -KILL {}", twin.pid()));
        twin.keep().await
    } else {
        twin.end().await
    };
    if let Err(error) = ended {
        complain(&anyhow::Error::from(error).context("the twin may have left something behind"));
        return Ok(Exit::Harness);
    }
    let status = status.context("cannot run the rehearsal in the twin")?;
    match status.code().and_then(Exit::of_code) {
        Some(exit) => Ok(exit),
        None => anyhow::bail!("the rehearsal in the twin ended with {status}"),
    }
}

/// What is told outside of the twin, from the result that was saved.
fn told_outside(out: &Path, args: &RehearseArgs) {
    let saved = std::fs::read(out.join("result.json")).ok();
    let result = saved.and_then(|bytes| serde_json::from_slice::<RunResult>(&bytes).ok());
    let report = out.join("report.html");
    let Some(result) = result else { return };
    github::publish(&result, &report);
    if args.output.open {
        output::open(&report);
    }
}

fn spec(args: &RehearseArgs, subject: &Subject, here: &Path, folder: &Folder) -> anyhow::Result<Spec> {
    let mut needed = vec![here.to_owned()];
    if let Subject::Scenarios(scenarios) = subject {
        needed.extend(scenarios.iter().map(|scenario| scenario.plan.directory.clone()));
    }
    let files = [&args.request.body_file, &args.request.ca_file];
    for file in files.into_iter().flatten() {
        needed.extend(std::path::absolute(file)?.parent().map(Path::to_owned));
    }
    let scratch = args
        .scratch
        .as_ref()
        .map(|folder| folder.canonicalize().with_context(|| format!("cannot use --scratch {}", folder.display())));
    Ok(Spec {
        host: crate::host::machine::describe(None).name,
        program: std::env::current_exe().context("cannot tell which program this is")?,
        needed: needed.iter().map(|folder| folder.canonicalize()).collect::<io::Result<_>>()?,
        kept: vec![folder.path().canonicalize()?],
        longest_boot: args.boot_timeout,
        scratch: Scratch { folder: scratch.transpose()?, size_bytes: args.scratch_size },
        units: std::collections::BTreeMap::new(),
    })
}
