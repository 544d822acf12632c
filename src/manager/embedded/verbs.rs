//! What a verb means for a unit in its present state.

use tokio::sync::oneshot;

use super::engine::Engine;
use super::jobs::Waiter;
use super::transaction::Step;
use super::units::Units;
use crate::model::{UnitName, UnitVerb};

/// What is to be done.
pub(super) enum Meaning {
    /// These steps.
    Steps(Vec<(UnitName, Step)>),
    /// Nothing: it is so already.
    Nothing,
    /// The failed state is forgotten.
    Reset,
    /// Nothing, for this reason.
    Refused(String),
}

impl Engine {
    /// What `verb` means for `unit` now.
    pub(super) fn meaning(&self, unit: &UnitName, verb: UnitVerb) -> Meaning {
        let graph = &self.units.graph;
        let restart = || graph.restart(unit, |other| self.units.is_up(other));
        let can_reload = self.units.services.get(unit).is_some_and(|s| !s.definition.commands.reload.is_empty());
        if let Some(reason) = self.units.refusal(unit, verb) {
            return Meaning::Refused(reason);
        }
        match verb {
            UnitVerb::Start => Meaning::Steps(graph.start(unit)),
            UnitVerb::Stop => Meaning::Steps(graph.stop(unit)),
            UnitVerb::Restart => Meaning::Steps(restart()),
            UnitVerb::TryRestart if self.units.is_up(unit) => Meaning::Steps(restart()),
            UnitVerb::TryRestart => Meaning::Nothing,
            UnitVerb::ReloadOrRestart if !can_reload => Meaning::Steps(restart()),
            UnitVerb::ReloadOrRestart if !self.units.is_up(unit) => Meaning::Steps(graph.start(unit)),
            UnitVerb::Reload if !can_reload => Meaning::Refused(format!("{unit} has no ExecReload=")),
            UnitVerb::Reload if !self.units.is_up(unit) => {
                Meaning::Refused(format!("{unit} is not active, cannot reload"))
            }
            UnitVerb::Reload | UnitVerb::ReloadOrRestart => Meaning::Steps(vec![(unit.clone(), Step::Reload)]),
            UnitVerb::ResetFailed => Meaning::Reset,
        }
    }

    /// Stops everything and forgets every unit; answers when it is done.
    pub(super) fn uninstall(&mut self, reply: oneshot::Sender<()>) {
        for socket in self.units.sockets.values_mut() {
            // Whatever RemoveOnStop= says: nothing is to be left of the run.
            socket.remove_paths();
        }
        // Sockets first, so that no connection starts a service again.
        let all = self.units.sockets.keys().chain(self.units.services.keys());
        let steps = all.map(|unit| (unit.clone(), Step::Stop)).collect();
        self.queue(None, steps, Waiter::Uninstall(reply));
    }
}

impl Units {
    /// RefuseManualStart= and RefuseManualStop=.
    fn refusal(&self, unit: &UnitName, verb: UnitVerb) -> Option<String> {
        let of_service = self.services.get(unit).map(|service| &service.definition.unit);
        let section = of_service.or_else(|| self.sockets.get(unit).map(|socket| &socket.definition.unit))?;
        let starts =
            matches!(verb, UnitVerb::Start | UnitVerb::Restart | UnitVerb::TryRestart | UnitVerb::ReloadOrRestart);
        let stops = matches!(verb, UnitVerb::Stop | UnitVerb::Restart | UnitVerb::TryRestart);
        if starts && section.refuse_manual_start {
            Some(format!("{unit} has RefuseManualStart=yes: it may be started by a dependency only"))
        } else if stops && section.refuse_manual_stop {
            Some(format!("{unit} has RefuseManualStop=yes: it may be stopped by a dependency only"))
        } else {
            None
        }
    }

    /// Whether the services of a socket with Accept=yes can be made.
    pub(super) fn has_template_for(&self, socket: &UnitName) -> bool {
        let socket = self.sockets.get(socket).filter(|socket| socket.definition.accept);
        socket.is_some_and(|socket| self.has_template(&socket.definition.triggers()))
    }
}
