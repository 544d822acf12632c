//! Which steps on which units a verb on one unit means: systemd's transactions, as far as restarts need them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::UnitName;

/// What one unit says of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Requires= and BindsTo=.
    pub requires: BTreeSet<UnitName>,
    /// BindsTo=.
    pub binds_to: BTreeSet<UnitName>,
    /// Wants=, and a service's Sockets=.
    pub wants: BTreeSet<UnitName>,
    /// PartOf=.
    pub part_of: BTreeSet<UnitName>,
    /// After=, and the sockets that start a service.
    pub after: BTreeSet<UnitName>,
}

/// One thing to do to one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bring it up.
    Start,
    /// Bring it up, because Restart= says so.
    StartAgain,
    /// Bring it down.
    Stop,
    /// Bring it down, to bring it up again.
    StopToRestart,
    /// Run ExecReload=.
    Reload,
}

/// The units and what they say of each other. Names that no unit has are ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph(BTreeMap<UnitName, Links>);

impl Graph {
    pub(super) fn new(units: impl IntoIterator<Item = (UnitName, Links)>) -> Self {
        Self(units.into_iter().collect())
    }

    /// The steps that start `unit`: what it requires and wants first, where After= says so.
    pub(super) fn start(&self, unit: &UnitName) -> Vec<(UnitName, Step)> {
        let set = self.closure(unit, |links| links.requires.union(&links.wants));
        self.ordered(&set).into_iter().map(|unit| (unit, Step::Start)).collect()
    }

    /// The steps that stop `unit`: what requires it or is part of it as well.
    pub(super) fn stop(&self, unit: &UnitName) -> Vec<(UnitName, Step)> {
        let order = self.ordered(&self.dependents(unit)).into_iter().rev();
        order.map(|unit| (unit, Step::Stop)).collect()
    }

    /// The steps that restart `unit`, and of what depends on it that which is up.
    pub(super) fn restart(&self, unit: &UnitName, is_up: impl Fn(&UnitName) -> bool) -> Vec<(UnitName, Step)> {
        let mut set = self.dependents(unit);
        set.retain(|dependent| dependent == unit || is_up(dependent));
        let downs = self.ordered(&set).into_iter().rev().map(|unit| (unit, Step::StopToRestart));
        let mut steps: Vec<_> = downs.collect();
        set.extend(self.closure(unit, |links| links.requires.union(&links.wants)));
        steps.extend(self.ordered(&set).into_iter().map(|unit| (unit, Step::Start)));
        steps
    }

    /// The units that cannot go on when `unit` could not be started: those that require it, and so on.
    pub(super) fn requiring(&self, unit: &UnitName) -> BTreeSet<UnitName> {
        let mut set = self.reverse_closure(unit, |links, other| links.requires.contains(other));
        set.remove(unit);
        set
    }

    /// The units that are bound to `unit`.
    pub(super) fn bound_to(&self, unit: &UnitName) -> Vec<UnitName> {
        let bound = self.0.iter().filter(|(_, links)| links.binds_to.contains(unit));
        bound.map(|(other, _)| other.clone()).collect()
    }

    fn dependents(&self, unit: &UnitName) -> BTreeSet<UnitName> {
        self.reverse_closure(unit, |links, other| links.requires.contains(other) || links.part_of.contains(other))
    }

    fn closure<'a, I>(&'a self, unit: &UnitName, next: impl Fn(&'a Links) -> I) -> BTreeSet<UnitName>
    where
        I: Iterator<Item = &'a UnitName>,
    {
        let mut set = BTreeSet::from([unit.clone()]);
        let mut open = vec![unit.clone()];
        while let Some(links) = open.pop().and_then(|unit| self.0.get(&unit)) {
            for other in next(links).filter(|other| self.0.contains_key(other)) {
                if set.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        set
    }

    fn reverse_closure(&self, unit: &UnitName, leads: impl Fn(&Links, &UnitName) -> bool) -> BTreeSet<UnitName> {
        let mut set = BTreeSet::from([unit.clone()]);
        let mut open = vec![unit.clone()];
        while let Some(reached) = open.pop() {
            for (other, _) in self.0.iter().filter(|(_, links)| leads(links, &reached)) {
                if set.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        set
    }

    /// `set` so that After= holds; by name where it says nothing. A cycle is broken at its first unit by name.
    fn ordered(&self, set: &BTreeSet<UnitName>) -> Vec<UnitName> {
        let mut order = Vec::with_capacity(set.len());
        let mut rest: BTreeSet<&UnitName> = set.iter().collect();
        while let Some(&first) = rest.first() {
            let is_free = |unit: &UnitName| {
                self.0
                    .get(unit)
                    .is_none_or(|links| links.after.iter().all(|other| other == unit || !rest.contains(other)))
            };
            let next = rest.iter().copied().find(|unit| is_free(unit)).unwrap_or(first);
            rest.remove(next);
            order.push(next.clone());
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).expect("valid")
    }

    fn names(names: &[&str]) -> BTreeSet<UnitName> {
        names.iter().map(|name| unit(name)).collect()
    }

    /// `a.service`, started by `a.socket`.
    fn pair(requires: &[&str]) -> Graph {
        let service =
            Links { requires: names(requires), after: names(&["a.socket", "network.target"]), ..Links::default() };
        Graph::new([(unit("a.service"), service), (unit("a.socket"), Links::default())])
    }

    fn shown(steps: Vec<(UnitName, Step)>) -> String {
        let words: Vec<_> = steps.into_iter().map(|(unit, step)| format!("{step:?} {unit}")).collect();
        words.join(", ")
    }

    #[test]
    fn a_restart_of_the_service_leaves_its_socket_alone() {
        let steps = pair(&[]).restart(&unit("a.service"), |_| true);
        assert_eq!(shown(steps), "StopToRestart a.service, Start a.service");
    }

    #[test]
    fn a_restart_of_the_socket_pulls_a_service_that_requires_it_along() {
        let steps = pair(&["a.socket"]).restart(&unit("a.socket"), |_| true);
        assert_eq!(shown(steps), "StopToRestart a.service, StopToRestart a.socket, Start a.socket, Start a.service");
        let steps = pair(&["a.socket"]).restart(&unit("a.socket"), |_| false);
        assert_eq!(shown(steps), "StopToRestart a.socket, Start a.socket");
        let steps = pair(&[]).restart(&unit("a.socket"), |_| true);
        assert_eq!(shown(steps), "StopToRestart a.socket, Start a.socket");
    }

    #[test]
    fn a_start_brings_what_is_required_up_first() {
        assert_eq!(shown(pair(&["a.socket"]).start(&unit("a.service"))), "Start a.socket, Start a.service");
        assert_eq!(shown(pair(&[]).start(&unit("a.service"))), "Start a.service");
    }

    #[test]
    fn a_stop_takes_what_requires_it_down_first() {
        assert_eq!(shown(pair(&["a.socket"]).stop(&unit("a.socket"))), "Stop a.service, Stop a.socket");
        assert_eq!(shown(pair(&["a.socket"]).stop(&unit("a.service"))), "Stop a.service");
        assert_eq!(pair(&["a.socket"]).requiring(&unit("a.socket")), names(&["a.service"]));
    }

    #[test]
    fn a_cycle_of_orders_ends() {
        let links = |after: &str| Links { after: names(&[after]), wants: names(&[after]), ..Links::default() };
        let graph = Graph::new([(unit("a.service"), links("b.service")), (unit("b.service"), links("a.service"))]);
        assert_eq!(graph.start(&unit("a.service")).len(), 2);
    }
}
