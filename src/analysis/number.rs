//! Numbers on their way into a result: converted in one place, rounded in one place.

use crate::model::MonoTime;
pub(crate) use crate::model::float;

/// Nanoseconds as milliseconds.
pub(crate) fn ns_to_ms(ns: u64) -> f64 {
    float(ns) / 1e6
}

/// The span in milliseconds; 0 when `to` is not later.
pub(crate) fn span_ms(from: MonoTime, to: MonoTime) -> f64 {
    ns_to_ms(to.nanos_since(from))
}

/// To three decimals.
pub(crate) fn round3(value: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0, which would be written differently.
    (value * 1e3).round() / 1e3 + 0.0
}

/// A time for the result: what has no end becomes null, as what was not measured.
pub(crate) fn finite_ms(ms: Option<f64>) -> Option<f64> {
    ms.filter(|ms| ms.is_finite()).map(round3)
}

/// The worst of several times; none if none was measured. Infinity is worse than any.
pub(crate) fn worst(times: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    times.into_iter().flatten().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_stable_and_has_no_negative_zero() {
        assert_eq!(round3(1.234_56).to_string(), "1.235");
        assert_eq!(round3(-0.000_1).to_string(), "0");
        assert_eq!(finite_ms(Some(f64::INFINITY)), None);
    }

    #[test]
    fn what_never_ended_is_worse_than_any_time() {
        assert_eq!(worst([Some(3.0), None, Some(f64::INFINITY)]), Some(f64::INFINITY));
        assert_eq!(worst([None, None]), None);
    }
}
