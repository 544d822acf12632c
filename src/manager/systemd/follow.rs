//! State changes of held units.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::OwnedVariant;
use zbus::fdo::{PropertiesChanged, PropertiesChangedStream};

use super::bus::{Bus, is_unit_interface};
use super::properties::Properties;
use super::snapshot::Brief;
use crate::clock;
use crate::model::UnitName;
use crate::record::line::UnitChange;
use crate::ssh::Clock;

/// The units whose changes are passed on, for as long as this lives.
#[derive(Debug)]
pub(super) struct Followers {
    units: HashSet<UnitName>,
    tasks: JoinSet<()>,
    sender: mpsc::UnboundedSender<UnitChange>,
    changes: Option<mpsc::UnboundedReceiver<UnitChange>>,
}

impl Followers {
    pub(super) fn none() -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        Self { units: HashSet::new(), tasks: JoinSet::new(), sender, changes: Some(changes) }
    }

    pub(super) fn has(&self, unit: &UnitName) -> bool {
        self.units.contains(unit)
    }

    /// What all of them say; can be taken once.
    pub(super) fn take_changes(&mut self) -> Option<mpsc::UnboundedReceiver<UnitChange>> {
        self.changes.take()
    }

    /// Keeps the unit loaded and follows it.
    pub(super) async fn start(&mut self, bus: &Bus, unit: &UnitName) -> zbus::Result<()> {
        let path = bus.systemd().load_unit(unit.as_str()).await?;
        bus.hold(&path).await?;
        let signals = bus.properties_proxy(&path).await?.receive_properties_changed().await?;
        let known = bus.all_properties(unit).await?;
        self.tasks.spawn(follow(unit.clone(), signals, known, bus.place().clock(), self.sender.clone()));
        self.units.insert(unit.clone());
        Ok(())
    }
}

/// Passes on every change of the unit's state until the bus is lost or nobody listens. A unit that is unloaded
/// and comes back has the same path: it is followed on.
///
/// `known` are all properties of the unit, read after `signals` began.
async fn follow(
    unit: UnitName,
    mut signals: PropertiesChangedStream,
    mut known: Properties,
    theirs: Clock,
    to: mpsc::UnboundedSender<UnitChange>,
) {
    let mut last = Brief::of(&known);
    while let Some(signal) = signals.next().await {
        let at = clock::now();
        let Some((is_complete, changed)) = read(&signal, &theirs) else { continue };
        known.update(changed);
        if !is_complete {
            continue;
        }
        let now = Brief::of(&known);
        if now == last {
            continue;
        }
        last = now.clone();
        let change = UnitChange {
            unit: unit.clone(),
            at,
            changed_at: now.changed_at_there.map(|time| theirs.here(time)),
            active_state: now.active_state,
            sub_state: now.sub_state,
            main_pid: now.main_pid,
            result: now.result,
            main_exit: now.main_exit,
        };
        if to.send(change).is_err() {
            return;
        }
    }
}

/// What changed, and whether that is all that changed at this moment.
fn read(signal: &PropertiesChanged, theirs: &Clock) -> Option<(bool, Properties)> {
    let args = signal.args().ok()?;
    let values = args.changed_properties().iter();
    let owned = values.filter_map(|(name, value)| Some(((*name).to_owned(), OwnedVariant::try_from(value).ok()?)));
    Some((is_unit_interface(args.interface_name()), Properties::new(owned.collect(), theirs.clone())))
}
