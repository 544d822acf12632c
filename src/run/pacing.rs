//! Spacing of events, so that the harness itself never trips a unit's start limit.

use std::collections::HashMap;
use std::time::Duration;

use super::estimate::StartLimit;
use crate::model::{MonoTime, UnitName, UnitSnapshot, UnitVerb};
use crate::scenario::plan::Action;

/// Remembers when services were started and says when the next start is safe.
///
/// systemd allows StartLimitBurst= starts within a window of StartLimitIntervalSec= that opens with the first
/// start. Keeping to that many in *every* span of the interval keeps to it in its windows too, wherever they open.
#[derive(Debug, Default)]
pub struct StartPacer {
    starts: HashMap<UnitName, Vec<MonoTime>>,
}

impl StartPacer {
    /// Notes that a service was or will be started at that time.
    pub fn started(&mut self, unit: &UnitName, at: MonoTime) {
        self.starts.entry(unit.clone()).or_default().push(at);
    }

    /// The earliest time, not before `now`, at which the service may be started once more.
    #[must_use]
    pub fn earliest(&self, unit: &UnitName, limit: Option<StartLimit>, now: MonoTime) -> MonoTime {
        let Some((burst, interval)) = limit else { return now };
        let Some(starts) = self.starts.get(unit) else { return now };
        let burst = burst as usize;
        if burst == 0 || starts.len() < burst {
            return now;
        }
        let window = starts[starts.len() - burst] + interval;
        window.max(now)
    }
}

/// The start limit of a service.
#[must_use]
pub fn limit_of(service: &UnitSnapshot) -> Option<StartLimit> {
    let (burst, interval_us) = service.service.as_ref()?.start_limit?;
    Some((burst, Duration::from_micros(interval_us)))
}

/// Whether an action may start its unit.
pub(super) fn brings_a_start(action: &Action) -> bool {
    match action {
        Action::Unit { verb, .. } => !matches!(verb, UnitVerb::Stop | UnitVerb::Reload | UnitVerb::ResetFailed),
        Action::Kill { .. } | Action::Exec { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> MonoTime {
        MonoTime::from_nanos(s * 1_000_000_000)
    }

    #[test]
    fn the_start_that_would_trip_the_limit_waits_for_the_oldest_to_leave_the_window() {
        let (mut pacer, unit) = (StartPacer::default(), UnitName::new("a.service").unwrap());
        let limit = Some((3, Duration::from_secs(10)));
        for start in [0, 1, 2] {
            assert_eq!(pacer.earliest(&unit, limit, seconds(start)), seconds(start));
            pacer.started(&unit, seconds(start));
        }
        assert_eq!(pacer.earliest(&unit, limit, seconds(3)), seconds(10));
        assert_eq!(pacer.earliest(&unit, limit, seconds(12)), seconds(12));
    }

    #[test]
    fn a_unit_without_a_limit_never_waits() {
        let (mut pacer, unit) = (StartPacer::default(), UnitName::new("a.service").unwrap());
        (0..9).for_each(|s| pacer.started(&unit, seconds(s)));
        assert_eq!(pacer.earliest(&unit, None, seconds(9)), seconds(9));
    }
}
