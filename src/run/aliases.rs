//! One unit has one name in a run: the one that its manager calls it by, whichever alias the scenario uses.
//!
//! Two runs that name one unit differently must meet in the ledger, and systemd's journal, cgroups and signals know the
//! primary name alone.

use super::units::{held_units, is_installed};
use crate::manager::ManagerError;
use crate::model::UnitName;
use crate::scenario::plan::{Action, Plan};

/// The plan with the primary name of each unit, and a sentence for each alias.
///
/// # Errors
/// When the manager cannot be asked.
pub async fn resolve(
    plan: &Plan,
    primary_name: impl AsyncFn(&UnitName) -> Result<UnitName, ManagerError>,
) -> Result<(Plan, Vec<String>), ManagerError> {
    let mut resolved = plan.clone();
    let mut sentences = Vec::new();
    for alias in held_units(plan).into_iter().filter(|unit| !is_installed(plan, unit)) {
        let primary = primary_name(&alias).await?;
        if primary != alias {
            sentences.push(format!("{alias} is another name of {primary}, which stands for it in this run"));
            rename(&mut resolved, &alias, &primary);
        }
    }
    Ok((resolved, sentences))
}

fn rename(plan: &mut Plan, alias: &UnitName, primary: &UnitName) {
    let roles = plan.units.iter_mut().flat_map(|units| units.service.iter_mut().chain(&mut units.socket));
    let acted = plan.steps.iter_mut().filter_map(|step| match &mut step.action {
        Action::Unit { unit, .. } | Action::Kill { unit, .. } => Some(unit),
        Action::Exec { replaces, .. } => replaces.as_mut(),
        Action::DaemonReload | Action::Wait { .. } | Action::Request { .. } | Action::Gate { .. } => None,
    });
    roles.chain(acted).filter(|unit| *unit == alias).for_each(|unit| unit.clone_from(primary));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::plan;

    #[test]
    fn an_alias_is_renamed_wherever_it_stands() {
        let name = |text: &str| UnitName::new(text).unwrap();
        let mut aliased = plan("restart");
        let mut command = aliased.steps[0].clone();
        command.action = Action::Exec { argv: vec!["true".into()], replaces: Some(name("a.service")) };
        aliased.steps.push(command);
        rename(&mut aliased, &name("a.service"), &name("b.service"));
        assert_eq!(held_units(&aliased), [name("b.service")]);
        let Action::Exec { replaces, .. } = &aliased.steps[1].action else { panic!("as above") };
        assert_eq!(*replaces, Some(name("b.service")));
    }
}
