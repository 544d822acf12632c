//! Spacing of events, so that the harness itself never trips a unit's start limit.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{MonoTime, UnitName, UnitSnapshot};

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
    pub fn earliest(&self, service: &UnitSnapshot, now: MonoTime) -> MonoTime {
        let Some((burst, interval_us)) = service.service.as_ref().and_then(|state| state.start_limit) else {
            return now;
        };
        let Some(starts) = self.starts.get(&service.unit) else { return now };
        let burst = burst as usize;
        if burst == 0 || starts.len() < burst {
            return now;
        }
        let window = starts[starts.len() - burst] + Duration::from_micros(interval_us);
        window.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceState;

    fn service(limit: Option<(u32, u64)>) -> UnitSnapshot {
        UnitSnapshot {
            unit: UnitName::new("a.service").unwrap(),
            at: MonoTime::default(),
            load_state: "loaded".into(),
            active_state: "active".into(),
            sub_state: "running".into(),
            result: "success".into(),
            invocation_id: None,
            need_daemon_reload: false,
            service: Some(ServiceState { start_limit: limit, ..ServiceState::default() }),
            socket: None,
        }
    }

    fn seconds(s: u64) -> MonoTime {
        MonoTime::from_nanos(s * 1_000_000_000)
    }

    #[test]
    fn the_start_that_would_trip_the_limit_waits_for_the_oldest_to_leave_the_window() {
        let (mut pacer, unit) = (StartPacer::default(), service(Some((3, 10_000_000))));
        for start in [0, 1, 2] {
            assert_eq!(pacer.earliest(&unit, seconds(start)), seconds(start));
            pacer.started(&unit.unit, seconds(start));
        }
        assert_eq!(pacer.earliest(&unit, seconds(3)), seconds(10));
        assert_eq!(pacer.earliest(&unit, seconds(12)), seconds(12));
    }

    #[test]
    fn a_unit_without_a_limit_never_waits() {
        let (mut pacer, unit) = (StartPacer::default(), service(None));
        (0..9).for_each(|s| pacer.started(&unit.unit, seconds(s)));
        assert_eq!(pacer.earliest(&unit, seconds(9)), seconds(9));
    }
}
