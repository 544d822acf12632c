//! A latency histogram that can be stored in a line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Longest time that is told apart: one hour, in nanoseconds. Longer ones count as this long in
/// percentiles; the exact maximum is kept beside.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Times in nanoseconds with three significant digits, and their exact maximum.
///
/// In the record: `{"v2": base64 of HdrHistogram's V2-deflate, "max_ns": n}`; an empty one has no `v2`.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    counts: Histogram<u32>,
    max_ns: u64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        let counts = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid");
        Self { counts, max_ns: 0 }
    }
}

impl LatencyHistogram {
    /// Counts one time. Allocates nothing.
    pub fn record(&mut self, time_ns: u64) {
        self.counts.saturating_record(time_ns);
        self.max_ns = self.max_ns.max(time_ns);
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        // Both have the same constant bounds, so no value of `other` is out of range.
        let fits = self.counts.add(&other.counts);
        debug_assert!(fits.is_ok());
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The exact maximum in nanoseconds; 0 when empty.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The time of the `rank`-th smallest, 1-based, to three significant digits; none when there are
    /// fewer. The last one is exact.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ranks stay far below 2^53")]
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let len = self.len();
        if rank == 0 || rank > len {
            return None;
        }
        if rank == len {
            return Some(self.max_ns);
        }
        // The middle of the rank's own step: rounding cannot move it to a neighbour.
        let quantile = (rank as f64 - 0.5) / len as f64;
        Some(self.counts.value_at_quantile(quantile).min(self.max_ns))
    }

    /// The recorded times with their counts, ascending; for percentile plots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }
}

/// Whether it can be taken as it is: adding goes over every bucket, and a long record has thousands of histograms.
fn has_our_bounds(counts: &Histogram<u32>) -> bool {
    (counts.low(), counts.high(), counts.sigfig()) == (1, HIGHEST_NS, 3)
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v2: Option<String>,
    max_ns: u64,
}

impl Serialize for LatencyHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        let v2 = if self.is_empty() {
            None
        } else {
            V2DeflateSerializer::new().serialize(&self.counts, &mut bytes).map_err(ser::Error::custom)?;
            Some(STANDARD.encode(bytes))
        };
        Stored { v2, max_ns: self.max_ns }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencyHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let max_ns = stored.max_ns;
        let Some(text) = stored.v2 else { return Ok(Self { max_ns, ..Self::default() }) };
        let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
        let counts: Histogram<u32> =
            HdrDeserializer::new().deserialize(&mut bytes.as_slice()).map_err(de::Error::custom)?;
        if has_our_bounds(&counts) {
            return Ok(Self { counts, max_ns });
        }
        let mut histogram = Self { max_ns, ..Self::default() };
        histogram.counts.add(counts).map_err(de::Error::custom)?;
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_the_value_counted_there() {
        let mut histogram = LatencyHistogram::default();
        (1..=100).for_each(|ms| histogram.record(ms * 1_000_000));
        for rank in [1, 50, 99] {
            let value = histogram.at_rank(rank).expect("counted");
            assert!(value.abs_diff(rank * 1_000_000) <= rank * 1_000, "{rank}: {value}");
        }
        assert_eq!(histogram.at_rank(100), Some(100_000_000));
        assert_eq!(histogram.at_rank(101), None);
        assert_eq!(histogram.at_rank(0), None);
    }

    #[test]
    fn what_is_stored_comes_back() {
        let mut histogram = LatencyHistogram::default();
        for ns in [1, 1_234_567, 9_999_999_999, HIGHEST_NS * 2] {
            histogram.record(ns);
        }
        for original in [histogram, LatencyHistogram::default()] {
            let json = serde_json::to_string(&original).expect("serialises");
            let back: LatencyHistogram = serde_json::from_str(&json).expect("deserialises");
            assert_eq!(back.max_ns(), original.max_ns());
            assert!(back.iter().eq(original.iter()));
        }
    }
}
