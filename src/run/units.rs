//! Which of the units that a scenario names are held, brought along and started.

use crate::model::{UnitKind, UnitName};
use crate::scenario::plan::{Plan, UnitFile};
use crate::unit_file::UnitFile as Syntax;

/// Every unit the scenario names: its roles, and what its steps act on.
pub(crate) fn held_units(plan: &Plan) -> Vec<UnitName> {
    let roles = plan.units.iter().flat_map(|units| units.socket.iter().chain(&units.service));
    let acted = plan.steps.iter().filter_map(|step| step.action.unit());
    let mut held: Vec<UnitName> = Vec::new();
    for unit in roles.chain(acted) {
        if !held.contains(unit) {
            held.push(unit.clone());
        }
    }
    held
}

/// Whether the unit comes from the scenario's own files.
pub(crate) fn is_installed(plan: &Plan, unit: &UnitName) -> bool {
    let files = plan.units.iter().flat_map(|units| &units.files);
    files.into_iter().any(|file| file.unit == *unit || Some(file.unit.as_str()) == unit.template().as_deref())
}

/// Of the scenario's own units, those to start: where there are sockets just these, and the service that the scenario
/// is about, if none of them starts it.
pub(crate) fn units_to_start(plan: &Plan) -> Vec<UnitName> {
    let named = plan.units.iter().flat_map(|units| &units.files).map(|file| &file.unit);
    let roles = plan.units.iter().flat_map(|units| units.socket.iter().chain(&units.service));
    let mut own: Vec<UnitName> = Vec::new();
    for unit in named.chain(roles) {
        let is_template = unit.stem().ends_with('@');
        if !is_template && !own.contains(unit) && is_installed(plan, unit) {
            own.push(unit.clone());
        }
    }
    if own.iter().any(|unit| unit.kind() == UnitKind::Socket) {
        let service = plan.units.as_ref().and_then(|units| units.service.as_ref()).filter(|_| !is_triggered(plan));
        own.retain(|unit| unit.kind() == UnitKind::Socket || Some(unit) == service);
    }
    own
}

/// Whether a socket is there to start the scenario's service.
fn is_triggered(plan: &Plan) -> bool {
    let Some(units) = &plan.units else { return false };
    let Some(service) = &units.service else { return false };
    let sockets = units.files.iter().filter(|file| file.unit.kind() == UnitKind::Socket);
    let triggers = |file: &UnitFile| {
        let named = Syntax::parse(&file.text).0.last("Socket", "Service").map(|entry| entry.value.clone());
        named.map_or_else(|| file.unit.stem() == service.stem(), |named| named == service.as_str())
    };
    units.socket.is_some() || sockets.into_iter().any(triggers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::plan_with_prepare;

    fn with_files(names: &[&str]) -> Plan {
        let mut plan = plan_with_prepare("/".as_ref(), &["true"]);
        let file =
            |name: &&str| UnitFile { unit: UnitName::new(*name).unwrap(), text: String::new(), is_private: false };
        plan.units.as_mut().unwrap().files = names.iter().map(file).collect();
        plan
    }

    fn names(units: &[UnitName]) -> Vec<&str> {
        units.iter().map(UnitName::as_str).collect()
    }

    #[test]
    fn only_the_socket_of_the_scenarios_own_units_is_started() {
        assert_eq!(names(&units_to_start(&with_files(&["a.service", "a.socket"]))), ["a.socket"]);
        assert_eq!(names(&units_to_start(&with_files(&["a.service"]))), ["a.service"]);
    }

    #[test]
    fn a_service_without_a_socket_is_started_beside_the_sockets_of_others() {
        let mut plan = with_files(&["app.socket", "app.service", "front.service"]);
        let mut started_for = |service: &str, of_app_socket: &str| {
            let units = plan.units.as_mut().unwrap();
            units.service = Some(UnitName::new(service).unwrap());
            units.files[0].text = of_app_socket.to_owned();
            names(&units_to_start(&plan)).join(" ")
        };
        assert_eq!(started_for("front.service", ""), "app.socket front.service");
        assert_eq!(started_for("app.service", ""), "app.socket");
        assert_eq!(started_for("front.service", "[Socket]\nService=front.service\n"), "app.socket");
    }

    #[test]
    fn an_instance_of_an_installed_template_is_started_the_template_is_not() {
        let mut plan = with_files(&["a@.service"]);
        assert_eq!(names(&units_to_start(&plan)), Vec::<&str>::new());
        plan.units.as_mut().unwrap().service = Some(UnitName::new("a@1.service").unwrap());
        assert_eq!(names(&units_to_start(&plan)), ["a@1.service"]);
    }

    #[test]
    fn a_unit_that_was_already_there_is_never_started() {
        let mut plan = with_files(&[]);
        plan.units.as_mut().unwrap().service = Some(UnitName::new("a.service").unwrap());
        assert_eq!(names(&units_to_start(&plan)), Vec::<&str>::new());
        assert_eq!(names(&held_units(&plan)), ["a.service"]);
    }
}
