//! Which units a job pulls along, systemd.unit(5): asked of systemd, before anything is done.

use super::inspect::Inspector;
use crate::manager::ManagerError;
use crate::model::UnitName;

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

impl Inspector {
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
