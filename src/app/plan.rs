//! `gapless run --plan`: says what would be done; starts nothing and changes nothing.

use super::choose::{self, Machine};
use super::exit::Exit;
use super::output::{self, complain};
use crate::cli::RunArgs;
use crate::manager::ManagerError;
use crate::manager::is_protected;
use crate::manager::systemd::{Inspector, Link};
use crate::model::{UnitKind, UnitName};
use crate::record::begin::{ManagerChoice, ManagerKind};
use crate::run::outline::{Along, UnitView, outline};
use crate::run::{aliases, pacing, units};
use crate::scenario::plan::{Plan, UnitFile};
use crate::scenario::{self, Scenario};
use crate::unit_file::specifier::Directories;
use crate::unit_file::{self, ServiceUnit, SocketUnit, Specifiers, UnitSection};

/// Prints what a run of `scenarios` would do, in their order. Ends as [`Exit::Harness`] if a run could not.
///
/// # Errors
/// When stdout cannot be written to.
pub(super) async fn main(args: &RunArgs, scenarios: &[Scenario]) -> anyhow::Result<Exit> {
    let mut exit = Exit::Passed;
    for Scenario { plan, .. } in scenarios {
        let choice = choose::choose(plan, args.manager, Machine::here());
        let (plan, notes, views) = match known(plan, choice.as_ref(), args.force).await {
            Ok(known) => known,
            Err(error) => {
                complain(&anyhow::Error::new(error).context(format!("cannot tell all of {}", plan.name)));
                exit = exit.worst(Exit::Harness);
                (plan.clone(), Vec::new(), Vec::new())
            }
        };
        if views.iter().any(|view| view.refused.is_some()) {
            exit = exit.worst(Exit::Harness);
        }
        let text = outline(&scenario::masked(&plan, false), choice.as_ref(), &views);
        output::write(output::secrets().hide_known(&text).as_bytes())?;
        notes.iter().for_each(|note| output::say(note));
    }
    output::write(b"nothing was started\n")?;
    Ok(exit)
}

/// The plan as it is run, with a sentence for each alias in it, and the units that it brings or names.
async fn known(
    plan: &Plan,
    choice: Option<&ManagerChoice>,
    force: bool,
) -> Result<(Plan, Vec<String>, Vec<UnitView>), ManagerError> {
    let inspector = match choice.map(|choice| choice.kind) {
        Some(ManagerKind::System) => Some(Inspector::system().await?),
        Some(ManagerKind::User) => Some(Inspector::user().await?),
        Some(ManagerKind::Embedded) | None => None,
    };
    let (plan, notes) = match &inspector {
        Some(inspector) => aliases::resolve(plan, async |unit| Ok(inspector.look(unit).await?.name)).await?,
        None => (plan.clone(), Vec::new()),
    };
    let mut views = Vec::new();
    for unit in units::held_units(&plan) {
        let refused = (!force && is_protected(&unit))
            .then(|| "the machine depends on this unit; --force acts on it all the same".to_owned());
        let mut view = match (brought(&plan, &unit), &inspector) {
            (Some(file), _) => of_file(&plan, &unit, file),
            (None, Some(inspector)) => there(inspector, unit).await?,
            (None, None) => missing(unit, "not among the scenario's own files, and there is no systemd to ask"),
        };
        view.refused = refused.or(view.refused);
        views.push(view);
    }
    Ok((plan, notes, views))
}

/// The file of the scenario that the unit, or its template, comes from.
fn brought<'a>(plan: &'a Plan, unit: &UnitName) -> Option<&'a UnitFile> {
    let mut files = plan.units.iter().flat_map(|units| &units.files);
    files.find(|file| file.unit == *unit || Some(file.unit.as_str()) == unit.template().as_deref())
}

fn missing(unit: UnitName, why: &str) -> UnitView {
    UnitView {
        unit,
        state: "not there".to_owned(),
        start_limit: None,
        stop_along: Vec::new(),
        start_along: Vec::new(),
        refused: Some(why.to_owned()),
    }
}

/// A unit that systemd knows, or should.
async fn there(inspector: &Inspector, unit: UnitName) -> Result<UnitView, ManagerError> {
    let snapshot = inspector.look(&unit).await?.snapshot;
    if snapshot.load_state != "loaded" {
        return Ok(missing(unit, &format!("systemd says that it is {}", snapshot.load_state)));
    }
    let along =
        |link: Link| Along { because: format!("{} has {}{}", link.unit, link.directive, link.to), unit: link.unit };
    let pulled =
        |link: Link| Along { because: format!("{} has {}{}", link.to, link.directive, link.unit), unit: link.unit };
    let stopped = inspector.stopped_with(&unit).await?;
    let started = inspector.started_with(&unit).await?;
    Ok(UnitView {
        state: format!("{} ({})", snapshot.active_state, snapshot.sub_state),
        start_limit: pacing::limit_of(&snapshot),
        stop_along: stopped.into_iter().map(along).collect(),
        start_along: started.into_iter().map(pulled).collect(),
        refused: None,
        unit,
    })
}

/// A unit that the scenario brings: what its files say of each other.
fn of_file(plan: &Plan, unit: &UnitName, file: &UnitFile) -> UnitView {
    let own = section(unit, &file.text);
    let mut stop_along = Vec::new();
    for other in plan.units.iter().flat_map(|units| &units.files).filter(|other| other.unit != file.unit) {
        let says = section(&other.unit, &other.text);
        let directives = [("Requires=", &says.requires), ("BindsTo=", &says.binds_to), ("PartOf=", &says.part_of)];
        if let Some((directive, _)) = directives.iter().find(|(_, named)| named.contains(unit)) {
            let because = format!("{} has {directive}{unit}", other.unit);
            stop_along.push(Along { unit: other.unit.clone(), because });
        }
    }
    let starts = units::units_to_start(plan).contains(unit);
    UnitView {
        unit: unit.clone(),
        state: format!("installed for this run only{}", if starts { ", and started" } else { "" }),
        start_limit: own.start_limit.filter(|_| unit.kind() == UnitKind::Service),
        stop_along,
        start_along: Vec::new(),
        refused: None,
    }
}

fn section(unit: &UnitName, text: &str) -> UnitSection {
    let (file, _) = unit_file::UnitFile::parse(text);
    let specifiers = Specifiers::new(unit.clone(), Directories::system());
    match unit.kind() {
        UnitKind::Socket => SocketUnit::read(&file, &specifiers).0.unit,
        UnitKind::Service | UnitKind::Other => ServiceUnit::read(&file, &specifiers).0.unit,
    }
}
