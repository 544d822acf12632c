//! A latency histogram that can be stored in a line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::packed::Packed;

/// Longest time that is told apart: one hour, in nanoseconds. Longer ones count as this long in
/// percentiles; the exact maximum is kept beside.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// To add to a longer one takes more time than room would.
const PACKED_BYTES_MAX: usize = 4096;

/// Times in nanoseconds with three significant digits, and their exact maximum.
///
/// One that counts has room for every time there is; an empty one, one that was read from a record and the sum of a few
/// have none: a long record has thousands.
///
/// In the record: `{"v2": base64 of HdrHistogram's V2-deflate, "max_ns": n}`; an empty one has no `v2`.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram {
    /// Some 130 KiB; none as long as it holds little, all of it read.
    room: Option<Histogram<u32>>,
    /// What was read. Empty once there is room.
    read: Packed,
    max_ns: u64,
}

#[expect(clippy::expect_used, reason = "the bounds are constant")]
fn room_for(read: &Packed) -> Histogram<u32> {
    let mut room = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid");
    read.iter().for_each(|(time_ns, n)| room.saturating_record_n(time_ns, n));
    room
}

impl LatencyHistogram {
    /// An empty one that has its room already.
    #[must_use]
    pub fn with_room() -> Self {
        Self { room: Some(room_for(&Packed::default())), ..Self::default() }
    }

    /// Counts one time. Allocates nothing where there is room, as there is from the first one on.
    pub fn record(&mut self, time_ns: u64) {
        // There is room for somewhat more, which would not be read back.
        self.room().saturating_record(time_ns.min(HIGHEST_NS));
        self.max_ns = self.max_ns.max(time_ns);
    }

    /// Takes one time back that was counted; nothing if none like it was.
    pub fn take(&mut self, time_ns: u64) {
        let room = self.room();
        let time_ns = time_ns.min(HIGHEST_NS);
        if room.count_at(time_ns) == 0 {
            return;
        }
        let mut one = room_for(&Packed::default());
        one.saturating_record(time_ns);
        let fits = room.subtract(&one);
        debug_assert!(fits.is_ok(), "it was counted");
        let longest = room.max();
        self.max_ns = self.max_ns.min(longest);
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.max_ns = self.max_ns.max(other.max_ns);
        if self.room.is_none() && other.room.is_none() && self.read.bytes() <= PACKED_BYTES_MAX {
            self.read = self.read.plus(&other.read);
            return;
        }
        let room = self.room();
        if let Some(counts) = &other.room {
            // Both have the same constant bounds, so no value of `other` is out of range.
            let fits = room.add(counts);
            debug_assert!(fits.is_ok());
        }
        other.read.iter().for_each(|(time_ns, n)| room.saturating_record_n(time_ns, n));
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.room.as_ref().map_or(self.read.len(), Histogram::len)
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
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let len = self.len();
        if rank == 0 || rank > len {
            return None;
        }
        if rank == len {
            return Some(self.max_ns);
        }
        let mut seen = 0;
        let time_ns = self.iter().find_map(|(time_ns, n)| {
            seen += n;
            (seen >= rank).then_some(time_ns)
        });
        time_ns.map(|time_ns| time_ns.min(self.max_ns))
    }

    /// The recorded times with their counts, ascending; for percentile plots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let read = self.read.iter().map(|(time_ns, n)| (time_ns, u64::from(n)));
        self.room.iter().flat_map(recorded).chain(read)
    }

    fn room(&mut self) -> &mut Histogram<u32> {
        let read = std::mem::take(&mut self.read);
        self.room.get_or_insert_with(|| room_for(&read))
    }
}

fn recorded(counts: &Histogram<u32>) -> impl Iterator<Item = (u64, u64)> + '_ {
    counts.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
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
            let read = self.room.is_none().then(|| room_for(&self.read));
            for counts in self.room.iter().chain(&read) {
                V2DeflateSerializer::new().serialize(counts, &mut bytes).map_err(ser::Error::custom)?;
            }
            Some(STANDARD.encode(bytes))
        };
        Stored { v2, max_ns: self.max_ns }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencyHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let bytes = STANDARD.decode(stored.v2.unwrap_or_default()).map_err(de::Error::custom)?;
        let read = match bytes.as_slice() {
            [] => Packed::default(),
            stored => Packed::read(stored, HIGHEST_NS).map_err(de::Error::custom)?,
        };
        if !read.has_longest(stored.max_ns.min(HIGHEST_NS)) {
            return Err(de::Error::custom(format!("its longest time is not {} ns", stored.max_ns)));
        }
        Ok(Self { room: None, read, max_ns: stored.max_ns })
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
    fn a_time_is_taken_back_once_for_each_time_it_was_counted() {
        let mut histogram = LatencyHistogram::default();
        [5_000_000, 5_000_000, 80_000_000].into_iter().for_each(|ns| histogram.record(ns));
        histogram.take(80_000_000);
        assert_eq!((histogram.len(), histogram.at_rank(2)), (2, Some(histogram.max_ns())));
        assert!(histogram.max_ns().abs_diff(5_000_000) < 10_000);
        histogram.take(80_000_000);
        assert_eq!(histogram.len(), 2);
    }

    #[test]
    fn what_is_stored_comes_back() {
        let mut histogram = LatencyHistogram::default();
        for ns in [1, 1_234_567, 9_999_999_999, HIGHEST_NS / 10 * 11, HIGHEST_NS * 2] {
            histogram.record(ns);
        }
        for original in [histogram, LatencyHistogram::default()] {
            let json = serde_json::to_string(&original).expect("serialises");
            let back: LatencyHistogram = serde_json::from_str(&json).expect("deserialises");
            assert_eq!(back.max_ns(), original.max_ns());
            assert!(back.iter().eq(original.iter()));
            assert_eq!(serde_json::to_string(&back).expect("serialises"), json);
        }
    }

    #[test]
    fn what_was_read_counts_on() {
        let mut counted = LatencyHistogram::default();
        [5, 5, 7_000, 80_000_000].into_iter().for_each(|ns| counted.record(ns));
        let json = serde_json::to_string(&counted).expect("serialises");
        let read = || serde_json::from_str::<LatencyHistogram>(&json).expect("deserialises");
        let (mut twice, mut sum) = (read(), read());
        [5, 5, 7_000, 80_000_000].into_iter().for_each(|ns| twice.record(ns));
        sum.add(&read());
        for histogram in [&twice, &sum] {
            assert_eq!((histogram.len(), histogram.max_ns()), (8, 80_000_000));
            assert_eq!(
                [1, 4, 5, 8].map(|rank| histogram.at_rank(rank)),
                [Some(5), Some(5), Some(7_003), Some(80_000_000)]
            );
        }
    }

    #[test]
    fn a_longest_time_that_is_not_among_the_times_is_refused() {
        let mut counted = LatencyHistogram::default();
        counted.record(1_000_000);
        let json = serde_json::to_string(&counted).expect("serialises");
        let with = |max: &str| {
            serde_json::from_str::<LatencyHistogram>(&json.replace(":1000000", &format!(":{max}")))
                .map(|read| read.max_ns)
        };
        assert_eq!(with("1000100").ok(), Some(1_000_100), "it is the same to three digits");
        for wrong in ["0", "999000", "1002000", "18446744073709551615"] {
            assert!(with(wrong).expect_err("refused").to_string().contains(&format!("is not {wrong} ns")));
        }
        assert!(serde_json::from_str::<LatencyHistogram>(r#"{"max_ns": 1}"#).is_err(), "it is empty");
        counted.record(2 * HIGHEST_NS);
        let json = serde_json::to_string(&counted).expect("serialises");
        let read: LatencyHistogram = serde_json::from_str(&json).expect("longer ones are in the last place");
        assert_eq!(read.max_ns(), 2 * HIGHEST_NS);
    }

    #[test]
    fn what_was_read_adds_up_without_room_for_every_time() {
        let read = |times: &[u64]| {
            let mut counted = LatencyHistogram::default();
            times.iter().for_each(|&time_ns| counted.record(time_ns));
            let json = serde_json::to_string(&counted).expect("serialises");
            serde_json::from_str::<LatencyHistogram>(&json).expect("deserialises")
        };
        let mut sum = read(&[3, 9]);
        sum.add(&read(&[1, 1, 3, 9, 2047]));
        assert!(sum.room.is_none());
        assert!(sum.iter().eq([(1, 2), (3, 2), (9, 2), (2047, 1)]));
        assert_eq!((sum.len(), sum.max_ns()), (7, 2047));
        let many: Vec<u64> = (0..20_000).collect();
        sum.add(&read(&many));
        sum.add(&read(&many));
        assert!(sum.room.is_some(), "there is room for this number");
        assert_eq!((sum.len(), sum.max_ns()), (40_007, 19_999));
    }
}
