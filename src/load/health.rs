//! What a load balancer's check makes of the outcomes: healthy or not, and how often that changed.

use super::ended::Ended;
use crate::scenario::plan::Pace;

/// The state of one check. It counts as healthy until its first `fall` failures in a row, as haproxy's server does.
#[derive(Debug)]
pub(super) struct HealthWatch {
    rise: u32,
    fall: u32,
    healthy: bool,
    /// Outcomes in a row, up to the last one, that speak against the state.
    against: u32,
}

impl HealthWatch {
    /// Of a cohort with that pace; none if it is no health check.
    pub(super) fn of(pace: Pace) -> Option<Self> {
        match pace {
            Pace::Health { rise, fall, .. } => Some(Self { rise, fall, healthy: true, against: 0 }),
            Pace::Rate(_) | Pace::Clients(_) | Pace::OnDemand => None,
        }
    }

    /// A request ended, in the order in which they end: whether the state changed. One that was never sent says
    /// nothing of the target.
    pub(super) fn ended(&mut self, ended: &Ended) -> bool {
        if ended.result.is_err_and(|key| key.class.is_unsent()) {
            return false;
        }
        self.outcome(ended.result.is_ok())
    }

    fn outcome(&mut self, ok: bool) -> bool {
        if ok == self.healthy {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let needed = if self.healthy { self.fall } else { self.rise };
        let flaps = self.against >= needed;
        if flaps {
            self.healthy = ok;
            self.against = 0;
        }
        flaps
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The places, from 0, of the outcomes that change the state: `+` is an ok, `-` is none.
    fn flaps(rise: u32, fall: u32, outcomes: &str) -> Vec<usize> {
        let mut watch = HealthWatch::of(Pace::Health { interval: Duration::from_secs(1), rise, fall }).unwrap();
        let ended = outcomes.chars().enumerate().filter(|&(_, outcome)| watch.outcome(outcome == '+'));
        ended.map(|(place, _)| place).collect()
    }

    #[test]
    fn it_falls_after_so_many_failures_in_a_row_and_rises_after_so_many_successes() {
        assert_eq!(flaps(2, 3, "++---++"), [4, 6]);
        assert_eq!(flaps(1, 1, "+-+-"), [1, 2, 3]);
    }

    #[test]
    fn one_outcome_of_the_other_kind_starts_the_count_again() {
        assert_eq!(flaps(2, 3, "--+--+--+"), [0; 0]);
        assert_eq!(flaps(2, 3, "---+-+-++"), [2, 8]);
    }

    #[test]
    fn what_is_healthy_from_the_start_has_not_changed() {
        assert_eq!(flaps(2, 3, "+++++"), [0; 0]);
        assert_eq!(flaps(2, 3, "-----"), [2]);
    }

    #[test]
    fn other_paces_have_no_health() {
        assert!(HealthWatch::of(Pace::Rate(200.0)).is_none() && HealthWatch::of(Pace::Clients(4)).is_none());
    }
}
