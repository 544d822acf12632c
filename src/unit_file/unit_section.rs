//! The section `[Unit]`, systemd.unit(5).

use std::time::Duration;

use super::reader::Reader;
use super::value;
use crate::model::UnitName;

/// What is acted on of `[Unit]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitSection {
    /// Requires=: started with this unit, and this one is stopped and restarted with them.
    pub requires: Vec<UnitName>,
    /// BindsTo=: as `requires`, and this unit stops when one of them goes away by itself.
    pub binds_to: Vec<UnitName>,
    /// Requisite=: as `requires`, but they are to run already.
    pub requisite: Vec<UnitName>,
    /// StopPropagatedFrom=: a stop of them stops this unit.
    pub stop_propagated_from: Vec<UnitName>,
    /// PropagatesStopTo=: a stop of this unit stops them.
    pub propagates_stop_to: Vec<UnitName>,
    /// PartOf=: this unit is stopped and restarted with them.
    pub part_of: Vec<UnitName>,
    /// Wants=: started with this unit.
    pub wants: Vec<UnitName>,
    /// After=: order only.
    pub after: Vec<UnitName>,
    /// Before=: order only.
    pub before: Vec<UnitName>,
    /// RefuseManualStart=.
    pub refuse_manual_start: bool,
    /// RefuseManualStop=.
    pub refuse_manual_stop: bool,
    /// StartLimitBurst= and StartLimitIntervalSec=: the maximum number of starts, and the interval; none when the limit is off.
    pub start_limit: Option<(u32, Duration)>,
}

impl UnitSection {
    /// Reads the section. `own` is the section of the unit's type, where older files have the start limit.
    #[must_use]
    pub fn read(reader: &mut Reader<'_>, own: &'static str) -> Self {
        Self {
            requires: reader.units("Unit", "Requires"),
            binds_to: reader.units("Unit", "BindsTo"),
            requisite: reader.watched_units("Unit", "Requisite"),
            stop_propagated_from: reader.watched_units("Unit", "StopPropagatedFrom"),
            propagates_stop_to: reader.watched_units("Unit", "PropagatesStopTo"),
            part_of: reader.units("Unit", "PartOf"),
            wants: reader.units("Unit", "Wants"),
            after: reader.units("Unit", "After"),
            before: reader.units("Unit", "Before"),
            refuse_manual_start: reader.switch("Unit", "RefuseManualStart", false),
            refuse_manual_stop: reader.switch("Unit", "RefuseManualStop", false),
            start_limit: start_limit(reader, own),
        }
    }
}

/// 5 in 10 s unless the unit says otherwise (DefaultStartLimitBurst=, systemd-system.conf(5)). Zero in either
/// place turns it off.
fn start_limit(reader: &mut Reader<'_>, own: &'static str) -> Option<(u32, Duration)> {
    let of_unit = reader.value("Unit", &["StartLimitBurst"], value::number);
    let burst = reader.value(own, &["StartLimitBurst"], value::number).or(of_unit).unwrap_or(5);
    let of_unit = reader.value("Unit", &["StartLimitIntervalSec", "StartLimitInterval"], value::time_span);
    let interval = reader.value(own, &["StartLimitInterval"], value::time_span).or(of_unit);
    // `infinity` never forgets a start: the longest time there is does the same.
    let interval = interval.map_or(Duration::from_secs(10), |span| span.limit().unwrap_or(Duration::MAX));
    (burst > 0 && !interval.is_zero()).then_some((burst, interval))
}
