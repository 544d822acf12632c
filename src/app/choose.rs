//! Which manager carries a scenario out, and why.

use crate::cli::ManagerArg;
use crate::host::machine;
use crate::record::begin::{ManagerChoice, ManagerKind};
use crate::scenario::plan::Plan;

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// We are root.
    pub root: bool,
    /// systemd is the machine's init.
    pub booted_with_systemd: bool,
    /// The user's own bus has an address.
    pub user_bus: bool,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
        Self {
            root: machine::is_root(),
            booted_with_systemd: machine::booted_with_systemd(),
            user_bus: std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some()
                || runtime_dir.is_some_and(|dir| dir.join("systemd/private").exists()),
        }
    }
}

/// The manager for `plan`; none if no part of it needs one.
#[must_use]
pub fn choose(plan: &Plan, asked: ManagerArg, machine: Machine) -> Option<ManagerChoice> {
    if plan.units.is_none() && !plan.steps.iter().any(|step| step.action.needs_manager()) {
        return None;
    }
    let brings_units = plan.units.as_ref().is_some_and(|units| !units.files.is_empty());
    let (kind, reason) = match asked {
        ManagerArg::System => (ManagerKind::System, "asked for with --manager"),
        ManagerArg::User => (ManagerKind::User, "asked for with --manager"),
        ManagerArg::Embedded => (ManagerKind::Embedded, "asked for with --manager"),
        ManagerArg::Auto if brings_units => automatic_with_files(machine),
        ManagerArg::Auto if machine.booted_with_systemd => {
            (ManagerKind::System, "the units are already there, on a machine booted with systemd")
        }
        ManagerArg::Auto => (ManagerKind::User, "the units are already there, on a machine not booted with systemd"),
    };
    Some(ManagerChoice { kind, reason: reason.to_owned() })
}

fn automatic_with_files(machine: Machine) -> (ManagerKind, &'static str) {
    if machine.root && machine.booted_with_systemd {
        (ManagerKind::System, "root, on a machine booted with systemd")
    } else if machine.user_bus {
        (ManagerKind::User, "the user's own systemd answers")
    } else if machine.booted_with_systemd {
        (ManagerKind::Embedded, "not root, and no systemd of the user's own")
    } else {
        (ManagerKind::Embedded, "the machine was not booted with systemd")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{plan, plan_with_prepare};

    const ROOT: Machine = Machine { root: true, booted_with_systemd: true, user_bus: true };

    fn kind(plan: &Plan, machine: Machine) -> Option<ManagerKind> {
        choose(plan, ManagerArg::Auto, machine).map(|choice| choice.kind)
    }

    fn with_files() -> Plan {
        let mut plan = plan_with_prepare("/".as_ref(), &["true"]);
        let unit = crate::model::UnitName::new("a.service").unwrap();
        plan.units.as_mut().unwrap().files =
            vec![crate::scenario::plan::UnitFile { unit, text: String::new(), is_private: false }];
        plan
    }

    #[test]
    fn own_units_go_to_the_nearest_manager_that_can_take_them() {
        let plan = with_files();
        assert_eq!(kind(&plan, ROOT), Some(ManagerKind::System));
        assert_eq!(kind(&plan, Machine { root: false, ..ROOT }), Some(ManagerKind::User));
        assert_eq!(kind(&plan, Machine { root: false, user_bus: false, ..ROOT }), Some(ManagerKind::Embedded));
        let container = Machine { root: true, booted_with_systemd: false, user_bus: false };
        assert_eq!(kind(&plan, container), Some(ManagerKind::Embedded));
    }

    #[test]
    fn units_that_are_there_are_the_systems_and_a_plan_without_units_needs_no_manager() {
        assert_eq!(kind(&plan("restart"), Machine { root: false, ..ROOT }), Some(ManagerKind::System));
        assert_eq!(kind(&plan(""), ROOT), None);
    }
}
