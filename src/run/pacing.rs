//! Spacing of events, so that the harness itself never trips a unit's start limit.

use std::collections::HashMap;
use std::time::Duration;

use super::estimate::StartLimit;
use crate::model::{MonoTime, UnitName, UnitSnapshot};
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

    /// The earliest time, not before `now`, at which the service may be started once more. A limit for all time
    /// (StartLimitIntervalSec=infinity) cannot be waited for: systemd is to say that it was hit.
    #[must_use]
    pub fn earliest(&self, unit: &UnitName, limit: Option<StartLimit>, now: MonoTime) -> MonoTime {
        let Some((burst, interval)) = limit.filter(|(_, interval)| *interval < Duration::MAX) else { return now };
        let Some(starts) = self.starts.get(unit) else { return now };
        let burst = burst as usize;
        if burst == 0 || starts.len() < burst {
            return now;
        }
        let window = starts[starts.len() - burst] + interval;
        window.max(now)
    }
}

/// The start limit of a service. systemd's infinity is the longest duration.
#[must_use]
pub fn limit_of(service: &UnitSnapshot) -> Option<StartLimit> {
    let (burst, interval_us) = service.service.as_ref()?.start_limit?;
    let interval = if interval_us == u64::MAX { Duration::MAX } else { Duration::from_micros(interval_us) };
    Some((burst, interval))
}

/// Whether an action may start its unit.
pub(super) fn brings_a_start(action: &Action) -> bool {
    match action {
        Action::Unit { verb, .. } => verb.starts(),
        Action::Kill { .. } | Action::Exec { .. } => true,
        Action::DaemonReload | Action::Wait { .. } | Action::Request { .. } | Action::Gate { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceState;

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
    fn a_limit_for_all_time_is_not_waited_for() {
        let service = ServiceState { start_limit: Some((3, u64::MAX)), ..ServiceState::default() };
        let unit = UnitName::new("a.service").unwrap();
        let limit = limit_of(&UnitSnapshot { service: Some(service), ..UnitSnapshot::in_state("a.service", "active") });
        assert_eq!(limit, Some((3, Duration::MAX)));
        let mut pacer = StartPacer::default();
        (0..9).for_each(|s| pacer.started(&unit, seconds(s)));
        assert_eq!(pacer.earliest(&unit, limit, seconds(9)), seconds(9));
    }

    #[test]
    fn a_unit_without_a_limit_never_waits() {
        let (mut pacer, unit) = (StartPacer::default(), UnitName::new("a.service").unwrap());
        (0..9).for_each(|s| pacer.started(&unit, seconds(s)));
        assert_eq!(pacer.earliest(&unit, None, seconds(9)), seconds(9));
    }
}
