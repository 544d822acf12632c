//! When requests are due: a pure function of their index, so that no error adds up.

use std::time::Duration;

use crate::model::time::nanos;
use crate::model::{MonoTime, Share};

/// An open loop's schedule: `due(i) = start + floor(i * numerator / denominator)` nanoseconds, where `i` is the number of a
/// request in the whole schedule, whichever share of it is sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) struct Schedule {
    start: MonoTime,
    numerator: u128,
    denominator: u128,
    share: Share,
}

/// Rates are taken to a millionth of a request per second, so that 0.1 is exactly one in ten seconds.
const RATE_STEPS: f64 = 1e6;
const MAX_RATE: f64 = 1e7;

/// A rate in millionths of a request per second; none if it is not within 0.000001 to 10 million a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be from 1 to 1e13")]
pub(in crate::load) fn rate_micros(rate: f64) -> Option<u64> {
    let micros = (rate * RATE_STEPS).round();
    (micros >= 1.0 && rate <= MAX_RATE).then_some(micros as u64)
}

impl Schedule {
    /// Sends `rate_micros` millionths of a request each second from `start`; `rate_micros` is at least 1.
    pub(in crate::load) fn by_rate(start: MonoTime, rate_micros: u64) -> Self {
        Self { start, numerator: 1_000_000_000_000_000, denominator: u128::from(rate_micros), share: Share::WHOLE }
    }

    /// One request each `interval`, from `start`.
    pub(in crate::load) fn by_interval(start: MonoTime, interval: Duration) -> Self {
        Self { start, numerator: u128::from(nanos(interval)), denominator: 1, share: Share::WHOLE }
    }

    /// The same, of which only that share is sent.
    pub(in crate::load) fn shared(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// When request `index` of the share is due.
    pub(in crate::load) fn due(&self, index: u64) -> MonoTime {
        let after_ns = u128::from(self.share.in_whole(index)) * self.numerator / self.denominator;
        self.start + Duration::from_nanos(u64::try_from(after_ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: MonoTime = MonoTime::from_nanos(7_000_000_123);

    fn due_before(schedule: &Schedule, ns: u64) -> u64 {
        let end = START + Duration::from_nanos(ns);
        let (mut low, mut high) = (0, 1 << 40);
        while low < high {
            let middle = u64::midpoint(low, high);
            if schedule.due(middle) < end { low = middle + 1 } else { high = middle }
        }
        low
    }

    #[test]
    fn a_fractional_rate_is_due_on_the_exact_nanosecond() {
        let schedule = Schedule::by_rate(START, rate_micros(0.1).unwrap());
        assert_eq!(schedule.due(3), START + Duration::from_secs(30));
        let third = Schedule::by_rate(START, rate_micros(3.0).unwrap());
        assert_eq!(third.due(1), START + Duration::from_nanos(333_333_333));
        assert_eq!(third.due(3_000_000), START + Duration::from_secs(1_000_000));
    }

    #[test]
    fn an_interval_is_kept_from_the_start() {
        let schedule = Schedule::by_interval(START, Duration::from_millis(1_500));
        assert_eq!(schedule.due(4), START + Duration::from_secs(6));
    }

    #[test]
    fn a_rate_that_never_sends_is_no_rate() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 2e7] {
            assert_eq!(rate_micros(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shards_together_are_due_when_one_generator_would_be(
            micros in 1_u64..20_000_000_000_000, of in 1_u32..20, first in 0_u64..1_000_000,
        ) {
            let schedule = Schedule::by_rate(START, micros);
            let dues = (first..first + 3).flat_map(|nth| {
                (1..=of).map(move |index| schedule.shared(Share::new(index, of).expect("there is one")).due(nth))
            });
            let number = first * u64::from(of);
            prop_assert!(dues.eq((number..number + 3 * u64::from(of)).map(|number| schedule.due(number))));
        }

        #[test]
        fn due_times_rise_and_every_window_holds_its_exact_count(
            micros in 1u64..20_000_000_000_000, index in 0u64..1_000_000_000, seconds in 1u64..5_000,
        ) {
            let schedule = Schedule::by_rate(START, micros);
            prop_assert!(schedule.due(index) <= schedule.due(index + 1));
            // ceil(seconds * rate): the first is due at the start, and none drifts over a boundary.
            let expected = (u128::from(seconds) * u128::from(micros)).div_ceil(1_000_000);
            prop_assert_eq!(u128::from(due_before(&schedule, seconds * 1_000_000_000)), expected.min(1 << 40));
        }
    }
}
