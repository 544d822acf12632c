//! A latency histogram that can be stored in a line of JSON.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Longest time that is told apart: one hour, in nanoseconds. Longer ones count as this long in
/// percentiles; the exact maximum is kept beside.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Cookie and length before deflated bytes.
const DEFLATE_HEADER_BYTES: usize = 8;

/// See [`header`].
const HEADER_BYTES: usize = 40;

/// A zigzag number of 32 bits has 33, which take so many bytes of seven.
const COUNT_BYTES_MAX: usize = 5;

/// 33 thousand counts of our bounds, each as large as can be, are shorter.
const INFLATED_BYTES_MAX: u64 = 1 << 18;

/// Times in nanoseconds with three significant digits, and their exact maximum.
///
/// One that counts has room for every time there is; one that was read from a record holds only the times in it, and
/// so does their sum: a long record has thousands, and a hostile one would have as many as fit into it.
///
/// In the record: `{"v2": base64 of HdrHistogram's V2-deflate, "max_ns": n}`; an empty one has no `v2`.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram {
    /// Some 130 KiB; none as long as it holds only what was read, or nothing.
    room: Option<Histogram<u32>>,
    /// What was read: times with their counts, ascending. Empty once there is room.
    read: Box<[(u64, u32)]>,
    max_ns: u64,
}

#[expect(clippy::expect_used, reason = "the bounds are constant")]
fn room_for(read: &[(u64, u32)]) -> Histogram<u32> {
    let mut room = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("constant bounds are valid");
    read.iter().for_each(|&(time_ns, n)| room.saturating_record_n(time_ns, n));
    room
}

/// Times with their counts, of both together.
fn sum(some: &[(u64, u32)], others: &[(u64, u32)]) -> Box<[(u64, u32)]> {
    let mut all = [some, others].concat();
    all.sort_by_key(|&(time_ns, _)| time_ns);
    all.dedup_by(|(time_ns, n), (kept_ns, kept)| {
        let is_same = time_ns == kept_ns;
        *kept = if is_same { kept.saturating_add(*n) } else { *kept };
        is_same
    });
    all.into()
}

impl LatencyHistogram {
    /// Counts one time. Allocates nothing, but for the first one.
    pub fn record(&mut self, time_ns: u64) {
        self.room().saturating_record(time_ns.min(HIGHEST_NS));
        self.max_ns = self.max_ns.max(time_ns);
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.max_ns = self.max_ns.max(other.max_ns);
        if self.room.is_none() && other.room.is_none() {
            self.read = sum(&self.read, &other.read);
            return;
        }
        let room = self.room();
        if let Some(counts) = &other.room {
            // Both have the same constant bounds, so no value of `other` is out of range.
            let fits = room.add(counts);
            debug_assert!(fits.is_ok());
        }
        other.read.iter().for_each(|&(time_ns, n)| room.saturating_record_n(time_ns, n));
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        let read: u64 = self.read.iter().map(|&(_, n)| u64::from(n)).sum();
        self.room.as_ref().map_or(read, Histogram::len)
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
        let read = self.read.iter().map(|&(time_ns, n)| (time_ns, u64::from(n)));
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
        let read = decoded(&bytes, stored.max_ns).map_err(de::Error::custom)?;
        Ok(Self { room: None, read, max_ns: stored.max_ns })
    }
}

/// The times and counts in V2-deflate bytes, of which the longest is `max_ns`.
fn decoded(bytes: &[u8], max_ns: u64) -> Result<Box<[(u64, u32)]>, String> {
    if bytes.is_empty() {
        return if max_ns == 0 { Ok(Box::default()) } else { Err(format!("{max_ns} ns are in no empty histogram")) };
    }
    let plain = inflated(bytes)?;
    let counts: Histogram<u32> =
        HdrDeserializer::new().deserialize(&mut plain.as_slice()).map_err(|error| error.to_string())?;
    let (shortest, longest) = (counts.lowest_equivalent(counts.max()), counts.max());
    if shortest > HIGHEST_NS {
        return Err(format!("it holds a time of {longest} ns, longer than any that is told apart"));
    }
    // Times that are too long to be told apart are all in the last place.
    if max_ns < shortest || (max_ns > longest && longest < HIGHEST_NS) {
        return Err(format!("its longest time is {longest} ns, not {max_ns} ns"));
    }
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(recorded(&counts).map(|(time_ns, n)| (time_ns, count(n))).collect())
}

/// What the bytes are when inflated: a V2 histogram of our own bounds. The decoder takes its length, its bounds and
/// the size of its numbers on trust, and would make gigabytes of a few bytes.
fn inflated(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let deflated = bytes.get(DEFLATE_HEADER_BYTES..).unwrap_or_default();
    let mut plain = Vec::new();
    let read = ZlibDecoder::new(deflated).take(INFLATED_BYTES_MAX + 1).read_to_end(&mut plain);
    read.map_err(|error| format!("it cannot be inflated: {error}"))?;
    let payload_bytes = plain.len().saturating_sub(HEADER_BYTES);
    let header = u32::try_from(payload_bytes).map(header).map_err(|error| error.to_string())?;
    let payload = plain.strip_prefix(&header).filter(|_| plain.len() as u64 <= INFLATED_BYTES_MAX);
    let payload = payload.ok_or("it is no histogram from one nanosecond to one hour")?;
    // As LEB128, where the high bit says that there is more.
    if payload.windows(COUNT_BYTES_MAX).any(|bytes| bytes.iter().all(|byte| byte & 0x80 != 0)) {
        return Err("it holds a number that is larger than any count".to_owned());
    }
    Ok(plain)
}

/// What stands before the numbers: cookie, length, normalizing offset, significant digits, bounds, ratio.
fn header(payload_bytes: u32) -> [u8; HEADER_BYTES] {
    const COOKIE: u32 = 0x1c84_9313;
    let mut header = [0; HEADER_BYTES];
    let words = [COOKIE, payload_bytes, 0, 3].map(u32::to_be_bytes);
    let long_words = [1_u64.to_be_bytes(), HIGHEST_NS.to_be_bytes(), 1_f64.to_be_bytes()];
    let bytes = words.as_flattened().iter().chain(long_words.as_flattened());
    header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    header
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

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
        for ns in [1, 1_234_567, 9_999_999_999, HIGHEST_NS / 6 * 7, HIGHEST_NS * 2] {
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

    /// As a record holds it.
    fn stored(counts: &Histogram<u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(counts, &mut bytes).expect("memory does not fail");
        bytes
    }

    /// Bytes that inflate to `plain`.
    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; DEFLATE_HEADER_BYTES];
        ZlibEncoder::new(plain, Compression::default()).read_to_end(&mut bytes).expect("memory does not fail");
        bytes
    }

    fn refusal(bytes: &[u8], max_ns: u64) -> String {
        decoded(bytes, max_ns).expect_err("refused")
    }

    #[test]
    fn a_time_beyond_all_that_is_told_apart_is_refused() {
        let mut counts = room_for(&[]);
        counts.record(HIGHEST_NS / 6 * 7).expect("there is a place for it");
        assert!(refusal(&stored(&counts), HIGHEST_NS).contains("longer than any"));
    }

    #[test]
    fn a_longest_time_that_is_not_among_the_times_is_refused() {
        let bytes = stored(&room_for(&[(1_000_000, 5)]));
        assert!(decoded(&bytes, 1_000_100).is_ok(), "it is the same to three digits");
        assert!(refusal(&bytes, 0).contains("not 0 ns") && refusal(&bytes, u64::MAX).contains("its longest time"));
        assert!(refusal(&[], 1).contains("empty"));
        assert!(decoded(&stored(&room_for(&[(HIGHEST_NS, 1)])), u64::MAX).is_ok(), "longer ones are in the last place");
    }

    #[test]
    fn what_the_decoder_would_take_on_trust_is_refused() {
        let long = |payload: &[u8]| [&header(u32::MAX)[..], payload].concat();
        assert!(refusal(&deflated(&long(&[])), 1).contains("from one nanosecond"), "it announces 4 GiB");
        assert!(refusal(&deflated(&vec![0; 1 << 24]), 1).contains("from one nanosecond"), "it inflates to 16 MiB");
        let least = [&header(9)[..], &[0xff; 9]].concat();
        assert!(refusal(&deflated(&least), 1).contains("larger than any count"), "it is i64::MIN");
        let wide = Histogram::<u32>::new_with_bounds(1, u64::MAX, 5).expect("valid bounds");
        assert!(refusal(&stored(&wide), 1).contains("from one nanosecond"));
        assert!(refusal(b"no such bytes at all", 1).contains("inflated"));
    }

    #[test]
    fn what_was_read_adds_up_without_room_for_every_time() {
        let json = |times: &[(u64, u32)]| {
            serde_json::to_string(&LatencyHistogram { read: times.into(), max_ns: 9, ..LatencyHistogram::default() })
        };
        let read = |times| serde_json::from_str::<LatencyHistogram>(&json(times).expect("serialises"));
        let mut sum = read(&[(3, 1), (9, u32::MAX)]).expect("deserialises");
        sum.add(&read(&[(1, 2), (3, 4), (9, 1)]).expect("deserialises"));
        assert!(sum.room.is_none());
        assert!(sum.iter().eq([(1, 2), (3, 5), (9, u64::from(u32::MAX))]));
    }
}
