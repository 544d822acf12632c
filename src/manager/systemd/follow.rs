//! State changes of held units.

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use zbus::OwnedVariant;
use zbus::fdo::{PropertiesChanged, PropertiesChangedStream};

use super::bus::is_unit_interface;
use super::properties::Properties;
use super::snapshot::Brief;
use crate::clock;
use crate::model::UnitName;
use crate::record::line::UnitChange;

/// Passes on every change of the unit's state until the bus is lost or nobody listens. A unit that is unloaded
/// and comes back has the same path: it is followed on.
///
/// `known` are all properties of the unit, read after `signals` began.
pub(super) async fn follow(
    unit: UnitName,
    mut signals: PropertiesChangedStream,
    mut known: Properties,
    to: mpsc::UnboundedSender<UnitChange>,
) {
    let mut last = Brief::of(&known);
    while let Some(signal) = signals.next().await {
        let at = clock::now();
        let Some((is_complete, changed)) = read(&signal) else { continue };
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
            changed_at: now.changed_at,
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
fn read(signal: &PropertiesChanged) -> Option<(bool, Properties)> {
    let args = signal.args().ok()?;
    let values = args.changed_properties().iter();
    let owned = values.filter_map(|(name, value)| Some(((*name).to_owned(), OwnedVariant::try_from(value).ok()?)));
    Some((is_unit_interface(args.interface_name()), Properties::new(owned.collect())))
}
