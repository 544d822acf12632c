//! Which units a job pulls along, systemd.unit(5): asked of systemd, before anything is done.

use super::inspect::Inspector;
use crate::manager::ManagerError;
use crate::model::{UnitKind, UnitName};

/// That a directive of one unit ties it to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The unit that is pulled along.
    pub unit: UnitName,
    /// The directive, in the unit that has it: `PartOf=`.
    pub directive: &'static str,
    /// The other of the two units: the one that pulls.
    pub to: UnitName,
}

/// What stops with a unit, by the properties that systemd keeps of others' directives.
const STOP: &[(&str, &str)] = &[
    ("RequiredBy", "Requires="),
    ("BoundBy", "BindsTo="),
    ("ConsistsOf", "PartOf="),
    ("PropagatesStopTo", "StopPropagatedFrom="),
];

/// What a unit is started with.
const START: &[(&str, &str)] = &[("Requires", "Requires="), ("BindsTo", "BindsTo="), ("Wants", "Wants=")];

/// A unit that another one names, by a directive that starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The unit that is named.
    pub unit: UnitName,
    /// The directive: `Requires=`.
    pub directive: &'static str,
    /// The unit that names it cannot do without.
    pub is_needed: bool,
}

/// What a unit cannot do without. A socket and its service belong together, whichever of the two is asked for.
const NEEDED: &[(&str, &str)] = &[
    ("Requires", "Requires="),
    ("Requisite", "Requisite="),
    ("BindsTo", "BindsTo="),
    ("TriggeredBy", "Sockets="),
    ("Triggers", "Service="),
];

/// What is started as well, now or when something happens.
const WANTED: &[(&str, &str)] =
    &[("Wants", "Wants="), ("Upholds", "Upholds="), ("OnFailure", "OnFailure="), ("OnSuccess", "OnSuccess=")];

impl Inspector {
    /// The units that `unit` names, whether they are up or not. Of what triggers it, and of what it triggers, those by
    /// sockets alone: timers and paths are others' business.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn pulled(&self, unit: &UnitName) -> Result<Vec<Pulled>, ManagerError> {
        let is_socket = |unit: &UnitName| unit.kind() == UnitKind::Socket;
        let mut pulled = Vec::new();
        for (properties, is_needed) in [(NEEDED, true), (WANTED, false)] {
            for (other, directive) in self.linked(unit, properties).await? {
                let is_trigger = matches!(directive, "Sockets=" | "Service=");
                if !is_trigger || is_socket(unit) || is_socket(&other) {
                    pulled.push(Pulled { unit: other, directive, is_needed });
                }
            }
        }
        Ok(pulled)
    }

    /// The units that stop with `unit`, and theirs, as far as they are up.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn stopped_with(&self, unit: &UnitName) -> Result<Vec<Link>, ManagerError> {
        self.follow(unit, STOP, true).await
    }

    /// The units that are started with `unit`, and theirs, as far as they are down.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn started_with(&self, unit: &UnitName) -> Result<Vec<Link>, ManagerError> {
        self.follow(unit, START, false).await
    }

    /// Follows the properties from unit to unit, over those that are `up` or not.
    async fn follow(
        &self,
        from: &UnitName,
        along: &[(&str, &'static str)],
        up: bool,
    ) -> Result<Vec<Link>, ManagerError> {
        let mut links: Vec<Link> = Vec::new();
        let mut open = vec![from.clone()];
        while let Some(to) = open.pop() {
            for (unit, directive) in self.linked(&to, along).await? {
                let is_new = unit != *from && links.iter().all(|link| link.unit != unit);
                if !is_new {
                    continue;
                }
                let there = self.look(&unit).await?.snapshot;
                if there.load_state == "loaded" && there.is_active() == up {
                    open.push(unit.clone());
                    links.push(Link { unit, directive, to: to.clone() });
                }
            }
        }
        Ok(links)
    }
}
