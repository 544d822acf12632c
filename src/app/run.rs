//! `gapless run`: scenarios from files to verdicts.

use std::cell::RefCell;

use anyhow::Context as _;

use super::caller::Caller;
use super::choose::{self, Machine};
use super::exit::Exit;
use super::folder::{Folder, Visibility};
use super::live::watcher::Watcher;
use super::output::{self, complain, inform, say};
use super::place::Site;
use super::rehearse::Watched;
use super::sharing::Shared;
use super::{compare, github, learn, plan, session, stamp};
use crate::analysis;
use crate::cli::{ManagerArg, OutputArgs, RunArgs};
use crate::clock;
use crate::load::LoadHandle;
use crate::model::Share;
use crate::record::begin::{Begin, Host, ManagerChoice, Tool};
use crate::record::line::{EndReason, Line, NoteKind};
use crate::record::shard::Clocks;
use crate::record::{Record, RecordWriter, SCHEMA};
use crate::result::{RunResult, ScenarioResult};
use crate::run::prepare::{PrepareError, prepare};
use crate::run::{Ended, Interrupt, Marks, Recorder, Redaction, Surroundings};
use crate::scenario::plan::Plan;
use crate::scenario::{self, Overrides, Scenario};
use crate::ssh::Place;

/// Runs the command.
///
/// # Errors
/// When the harness cannot do its job: no folder to write to, no runtime.
pub fn main(args: RunArgs) -> anyhow::Result<Exit> {
    let max_unseen = args.max_unseen.iter().map(|max_unseen| format!("run.max_unseen={max_unseen}"));
    let overrides = Overrides { times: args.times, set: args.set.iter().cloned().chain(max_unseen).collect() };
    let scenarios = match scenario::load_all(&args.paths, &args.only, &overrides) {
        Ok(scenarios) => known(scenarios),
        Err(mistakes) => {
            output::say_mistakes(&mistakes);
            return Ok(Exit::Usage);
        }
    };
    if args.plan {
        return session::block_on(plan::main(&args, &scenarios));
    }
    session::block_on(run(args, scenarios, &Site::here(), &[], None))
}

/// Runs scenarios that are loaded already, on the units of a machine, with `notes` for every report.
pub(super) async fn run(
    args: RunArgs,
    scenarios: Vec<Scenario>,
    site: &Site,
    notes: &[String],
    twin: Option<&Watched>,
) -> anyhow::Result<Exit> {
    let shared = match Shared::of(&args.shard, args.duration.as_deref(), &scenarios) {
        Ok(shared) => shared,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
    for scenario in scenarios.iter().filter(|_| shared.share().is_first()) {
        match prepare(&scenario.plan, &interrupt, output::secrets()).await {
            Ok(_) => {}
            Err(PrepareError::Interrupted { .. }) => return Ok(Exit::Interrupted),
            Err(error) => return Err(error.into()),
        }
    }
    if args.prepare_only {
        return Ok(Exit::Passed);
    }
    // Before anything is run: a baseline that cannot be read must not cost a run.
    let baseline = args.baseline.as_deref().map(compare::read).transpose()?;
    let scenarios = pin_loads(scenarios, shared.share())?;
    let how = How {
        shared,
        manager: args.manager,
        site,
        force: args.force,
        surroundings: Surroundings::Stated,
        is_patient: true,
        show_bodies: args.output.show_bodies,
        notes,
        twin,
        marks: None,
    };
    let folder = Folder::create(args.output.out.as_deref(), how.visibility(), Caller::of_sudo())?;
    let (result, mut exit) = record_all(&scenarios, how, &folder, &interrupt).await?;
    exit = finish(&result, exit, &folder, &args.output);
    if let Some(baseline) = baseline {
        let compared = compare::with_baseline(&baseline, &result, &args.fail_on, args.output.format)?;
        exit = exit.worst(compared.mapped(args.output.inconclusive_as));
    }
    Ok(exit)
}

/// What every run ends with: its result on stdout and for GitHub, where it is saved, and how the command ends.
pub(super) fn finish(result: &RunResult, exit: Exit, folder: &Folder, args: &OutputArgs) -> Exit {
    let exit = exit.worst(output::print_result(result, args));
    let report = folder.path().join("report.html");
    github::publish(result, &report);
    inform(&format!("saved in {}", folder.path().display()));
    if args.open {
        output::open(&report);
    }
    exit.mapped(args.inconclusive_as)
}

/// Scenarios whose secrets are known to all that writes and says something from now on.
pub(super) fn known(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    scenarios.iter().for_each(|scenario| output::secrets().learn_from(&scenario.secrets));
    scenarios
}

/// How scenarios are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    /// The part of the load, where several generators share it.
    pub(super) shared: Shared,
    /// What carries actions out.
    pub(super) manager: ManagerArg,
    /// The machine that units are on.
    pub(super) site: &'a Site,
    /// Act on units that the machine depends on as well.
    pub(super) force: bool,
    /// What the commands of its steps get of ours.
    pub(super) surroundings: Surroundings,
    /// A target that fails in the warmup is waited for, and the steps are run; else the run ends.
    pub(super) is_patient: bool,
    /// Record the bodies of requests as well.
    pub(super) show_bodies: bool,
    /// What every report is to say.
    pub(super) notes: &'a [String],
    /// In a twin: what is seen of it, for the reports as well.
    pub(super) twin: Option<&'a Watched>,
    /// What others announce meanwhile.
    pub(super) marks: Option<&'a RefCell<Option<Marks>>>,
}

impl How<'_> {
    /// Who may read what is recorded.
    pub(super) fn visibility(self) -> Visibility {
        if self.show_bodies { Visibility::Owner } else { Visibility::Umask }
    }
}

/// Makes sure that each load can be started here, before any unit is touched: hosts resolve, to the addresses that
/// they stand for from then on, and descriptors suffice.
///
/// # Errors
/// The first thing in the way, with its remedy.
pub(super) fn pin_loads(mut scenarios: Vec<Scenario>, share: Share) -> anyhow::Result<Vec<Scenario>> {
    for Scenario { plan, .. } in &mut scenarios {
        LoadHandle::pin(&mut plan.cohorts, share).with_context(|| format!("{} cannot be run here", plan.name))?;
    }
    Ok(scenarios)
}

/// Runs `scenarios` one after the other into `folder`, until one was interrupted: their result, and how the
/// command ends for it. Reports that cannot be written are said, and change no verdict: the record is what counts.
///
/// # Errors
/// When a record cannot be made, written or read.
pub(super) async fn record_all(
    scenarios: &[Scenario],
    how: How<'_>,
    folder: &Folder,
    interrupt: &Interrupt,
) -> anyhow::Result<(RunResult, Exit)> {
    let mut exit = Exit::Passed;
    let mut result: Option<RunResult> = None;
    let mut unwritten = None;
    for (place, scenario) in scenarios.iter().enumerate() {
        if interrupt.is_raised() {
            let left: Vec<&str> = scenarios[place..].iter().map(|scenario| scenario.plan.name.as_str()).collect();
            say(&format!(
                "interrupted: {} of {} scenarios never ran: {}",
                left.len(),
                scenarios.len(),
                left.join(", ")
            ));
            break;
        }
        let recorded = record_one(how, scenario, folder, interrupt, &scenarios[place + 1..]).await;
        let (record, ended) = match recorded {
            Ok(recorded) => recorded,
            Err(error) if result.is_none() => return Err(error),
            Err(error) => {
                // What was measured before it counts all the same.
                complain(&error);
                exit = exit.worst(Exit::Harness);
                break;
            }
        };
        exit = exit.worst(ended);
        let result = result.get_or_insert_with(|| RunResult::new(&record.begin));
        result.push(analysis::analyse(&record));
        if let (true, Some(ended)) = (scenarios.len() > 1, result.scenarios.last()) {
            inform(&in_one_line(result, ended));
        }
        // After each scenario: a later one that fails must not take these with it.
        unwritten = folder.write_reports(result).err();
    }
    if let Some(error) = unwritten {
        complain(&error.context("the reports are not complete (`gapless report` makes them again from the records)"));
    }
    let result = result.context("no scenario was run")?;
    let interrupted = if interrupt.is_raised() { Exit::Interrupted } else { Exit::Passed };
    let exit = exit.worst(Exit::of(&result)).worst(interrupted);
    Ok((result, exit))
}

/// What became of a scenario, as soon as it has ended.
fn in_one_line(result: &RunResult, scenario: &ScenarioResult) -> String {
    let (verdict, due) = (scenario.verdict_in_words(), scenario.requests.due);
    let rehearsed = result.host.rehearsed();
    format!("{}: {verdict}{rehearsed}, {} of {due} requests dropped", scenario.name, scenario.dropped)
}

/// What a shard other than the first has to do of a plan: the load.
fn without_steps(plan: &Plan) -> Plan {
    Plan { steps: Vec::new(), units: None, ..plan.clone() }
}

/// Runs one scenario: its record, as it was written.
async fn record_one(
    how: How<'_>,
    scenario: &Scenario,
    folder: &Folder,
    interrupt: &Interrupt,
    rest: &[Scenario],
) -> anyhow::Result<(Record, Exit)> {
    let sharing = how.shared.sharing(&scenario.plan);
    // Shard 1 alone acts: the others load.
    let plan = &if sharing.acts() { scenario.plan.clone() } else { without_steps(&scenario.plan) };
    let choice = choose::choose(plan, how.manager, Machine::here()).filter(|_| sharing.acts());
    let choice = choice.map(|choice| match &how.site.place {
        Place::Here => choice,
        Place::There(ssh) => ManagerChoice { reason: format!("its units are on {}", ssh.destination()), ..choice },
    });
    if let Some(choice) = &choice {
        learn::from_units(plan, choice.kind, &how.site.place).await;
    }
    let writer = RecordWriter::new(folder.create_record(&plan.name)?);
    let own = std::env::current_exe().ok();
    let redaction = Redaction::of(plan, output::secrets().clone(), own.as_deref()).showing_bodies(how.show_bodies);
    let recorder = Recorder::new(writer, redaction);
    let begin = |acted: &Plan, manager_version| {
        let plan = if sharing.acts() { acted } else { &scenario.plan };
        Line::Begin(Box::new(Begin {
            schema: SCHEMA.to_owned(),
            tool: Tool { name: "gapless".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            host: Host {
                units_on: how.site.place.there().map(|ssh| ssh.destination().to_string()),
                ..crate::host::machine::describe(manager_version)
            },
            started_at: stamp::started_at(),
            anchor: clock::now(),
            manager: choice.clone(),
            plan: scenario::masked(plan, how.show_bodies),
            scenario_text: if how.show_bodies { &scenario.text_with_bodies } else { &scenario.text }.clone(),
            shard: how.shared.recorded(sharing),
            merged: None,
        }))
    };
    let watcher = Watcher::new(plan, how.surroundings);
    let Ended { reason, not_put_back } = session::drive(session::Request {
        plan,
        choice: choice.as_ref(),
        site: how.site,
        force: how.force,
        begin: &begin,
        recorder: &recorder,
        interrupt,
        progress: &watcher,
        surroundings: how.surroundings,
        is_patient: how.is_patient,
        notes: how.notes,
        marks: how.marks.and_then(RefCell::take),
        sharing,
    })
    .await;
    drop(watcher);
    for sentence in how.twin.iter().flat_map(|twin| twin.tried.sentences()) {
        recorder.note(NoteKind::Info, sentence);
    }
    if let EndReason::Error(message) | EndReason::Lost(message) = &reason {
        complain(&anyhow::anyhow!("{}: {message}", plan.name));
    }
    if interrupt.is_raised() && !rest.is_empty() {
        let names: Vec<&str> = rest.iter().map(|scenario| scenario.plan.name.as_str()).collect();
        let message = format!("the run was interrupted: {} more scenarios never ran: {}", rest.len(), names.join(", "));
        recorder.note(NoteKind::Info, message);
    }
    for sentence in &not_put_back {
        complain(&anyhow::anyhow!("{}: {sentence}", plan.name));
    }
    // Said once, at the end of the rehearsal.
    let reason = how.twin.and_then(|twin| twin.space.shortage()).map_or(reason, EndReason::Full);
    let left = if not_put_back.is_empty() { Exit::Passed } else { Exit::Harness };
    let exit = left.worst(match &reason {
        EndReason::Error(_) | EndReason::Lost(_) | EndReason::Full(_) => Exit::Harness,
        EndReason::Interrupted => Exit::Interrupted,
        _ => Exit::Passed,
    });
    if !sharing.share.is_whole() {
        let (at, wall_ns) = clock::both();
        recorder.write(&Line::WallClock(Clocks { at, wall_ns }));
    }
    let record = recorder.finish(reason, clock::now());
    let record = record.with_context(|| format!("cannot finish the record of {}", plan.name))?;
    Ok((record, exit))
}
