//! Monotonic time: the one clock of a record.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on `CLOCK_MONOTONIC`, in nanoseconds since boot (`clock_gettime(2)`).
///
/// systemd's `*Monotonic` properties and the journal's `__MONOTONIC_TIMESTAMP` are on the same clock,
/// in microseconds: see [`MonoTime::from_micros`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The point `nanos` nanoseconds after boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `micros` microseconds after boot, as systemd counts.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Nanoseconds from `earlier` to `self`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds from `earlier` to `self`, negative when `earlier` is in fact later.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days; a report rounds to microseconds")]
    pub fn millis_since(self, earlier: Self) -> f64 {
        (self.0 as f64 - earlier.0 as f64) / 1e6
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for MonoTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

impl fmt::Debug for MonoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A span as whole nanoseconds; 584 years at most, longer spans saturate.
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Serialises a [`Duration`] as a whole number of nanoseconds, for record fields named `*_ns`.
pub mod as_ns {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// See the module.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::nanos(*span))
    }

    /// See the module.
    ///
    /// # Errors
    /// When the value is not a whole non-negative number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// As [`as_ns`], for a span that may be absent.
pub mod as_ns_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// See the module.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(super::nanos).serialize(serializer)
    }

    /// See the module.
    ///
    /// # Errors
    /// When the value is neither null nor a whole non-negative number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_point_is_never_a_negative_span() {
        let (early, late) = (MonoTime::from_micros(1), MonoTime::from_nanos(2_500));
        assert_eq!(late.since(early), Duration::from_nanos(1_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert!((early.millis_since(late) + 0.0015).abs() < 1e-12);
    }
}
