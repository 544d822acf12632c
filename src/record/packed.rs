//! Counts as HdrHistogram's V2-deflate has them, read without room for every time there is.
//!
//! What is stored, in big-endian: the outer cookie, the length of what follows, and that deflated: the inner cookie,
//! the length of the counts, an offset, the significant digits, the lowest and the highest time, a factor; then the
//! counts, by place, from the first place on. Each is a ZigZag LEB128 number of at most nine bytes: a count, or minus
//! the number of places that have none. See `encodeIntoByteBuffer` in HdrHistogram's AbstractHistogram.java.

use std::io::Read as _;

use flate2::bufread::ZlibDecoder;

/// Before the length of what is deflated.
const OUTER_COOKIE: u32 = 0x1c84_9314;
/// Before what was deflated.
const INNER_COOKIE: u32 = 0x1c84_9313;
/// What is before the counts: four numbers of four bytes and three of eight.
const HEADER_BYTES: usize = 40;
/// The maximum number of bytes of a number; all bits of the last are its own.
const NUMBER_BYTES: usize = 9;
/// From 2048 ns on, each power of two has 1024 places: three significant digits.
const PLACE_BITS: u32 = 10;
/// Room for what is inflated: the most by which it grows, as a rule.
const USUAL_RATIO: usize = 4;

/// Times with their counts, packed as they were stored: some two bytes for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// The numbers: all of them were seen to be good.
    numbers: Box<[u8]>,
    /// The sum of the counts.
    len: u64,
    /// The last place that has a count; 0 without one.
    last: u64,
}

/// Why bytes are no histogram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error("the histogram is not in HdrHistogram's V2-deflate format")]
    Cookie,
    #[error("the histogram is shorter or longer than it says")]
    Length,
    #[error("the histogram cannot be inflated")]
    Deflate,
    #[error("the histogram has other places than those of three significant digits from 1 ns on")]
    Places,
    #[error("the histogram counts more of one time than there can be")]
    Count,
    #[error("the histogram contains a value above the supported maximum")]
    TooLong,
}

impl Packed {
    /// Reads V2-deflate bytes whose times are none longer than `highest_ns`.
    pub(super) fn read(stored: &[u8], highest_ns: u64) -> Result<Self, Mistake> {
        let inflated = inflated(deflated(stored)?, place_of(highest_ns))?;
        let (header, numbers) = inflated.split_at_checked(HEADER_BYTES).ok_or(Mistake::Length)?;
        check_header(header, numbers.len())?;
        let mut times = Times::of(numbers);
        let (mut len, mut last) = (0, 0);
        while let Some((place, n)) = times.next_count()? {
            if place > place_of(highest_ns) {
                return Err(Mistake::TooLong);
            }
            len += u64::from(n);
            last = place;
        }
        Ok(Self { numbers: numbers.into(), len, last })
    }

    /// What both counted; where that is more than a count can be, as many as can be.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let (mut some, mut others) = (self.places().peekable(), other.places().peekable());
        let mut sum = Writer::default();
        loop {
            let next = match (some.peek(), others.peek()) {
                (Some(&(one, n)), Some(&(other, m))) if one == other => (one, n.saturating_add(m)),
                (Some(&one), Some(&other)) => one.min(other),
                (Some(&only), None) | (None, Some(&only)) => only,
                (None, None) => return sum.finish(),
            };
            some.next_if(|&(place, _)| place == next.0);
            others.next_if(|&(place, _)| place == next.0);
            sum.push(next);
        }
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.numbers.len()
    }

    /// Whether that is the longest time, to three digits; 0 is that of none.
    pub(super) fn has_longest(&self, time_ns: u64) -> bool {
        place_of(time_ns) == self.last
    }

    /// How many were counted.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The times with their counts, ascending; of the times that share a place, the longest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.places().map(|(place, n)| (longest_ns(place), n))
    }

    fn places(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let mut times = Times::of(&self.numbers);
        std::iter::from_fn(move || times.next_count().ok().flatten())
    }
}

/// What follows the outer cookie and the length.
fn deflated(stored: &[u8]) -> Result<&[u8], Mistake> {
    let (cookie, rest) = stored.split_first_chunk().ok_or(Mistake::Length)?;
    if u32::from_be_bytes(*cookie) != OUTER_COOKIE {
        return Err(Mistake::Cookie);
    }
    let (len, rest) = rest.split_first_chunk().ok_or(Mistake::Length)?;
    if usize::try_from(u32::from_be_bytes(*len)) == Ok(rest.len()) { Ok(rest) } else { Err(Mistake::Length) }
}

/// What was deflated: no more than the counts of all places up to `last` can take, whatever the bytes would inflate to.
fn inflated(deflated: &[u8], last: u64) -> Result<Vec<u8>, Mistake> {
    let most = last.saturating_add(1).saturating_mul(NUMBER_BYTES as u64).saturating_add(HEADER_BYTES as u64);
    let mut bytes =
        Vec::with_capacity(deflated.len().saturating_mul(USUAL_RATIO).min(usize::try_from(most).unwrap_or(0)));
    let n = ZlibDecoder::new(deflated).take(most + 1).read_to_end(&mut bytes).map_err(|_| Mistake::Deflate)?;
    if n as u64 > most { Err(Mistake::Length) } else { Ok(bytes) }
}

fn check_header(header: &[u8], numbers_len: usize) -> Result<(), Mistake> {
    let u32_at = |at: usize| header.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let u64_at = |at: usize| header.get(at..)?.first_chunk().copied().map(u64::from_be_bytes);
    if u32_at(0) != Some(INNER_COOKIE) {
        return Err(Mistake::Cookie);
    }
    if u32_at(4).and_then(|len| usize::try_from(len).ok()) != Some(numbers_len) {
        return Err(Mistake::Length);
    }
    let (offset, digits, lowest, factor) = (u32_at(8), u32_at(12), u64_at(16), u64_at(32));
    // The highest time says only how many places there would be, and no place may be too high anyway.
    let is_ours = (offset, digits, lowest, factor) == (Some(0), Some(3), Some(1), Some(1_f64.to_bits()));
    if is_ours { Ok(()) } else { Err(Mistake::Places) }
}

/// Goes through the numbers.
struct Times<'a> {
    rest: &'a [u8],
    /// The place that the next number is about.
    place: u64,
}

impl<'a> Times<'a> {
    fn of(numbers: &'a [u8]) -> Self {
        Self { rest: numbers, place: 0 }
    }

    /// The next place that has a count, with that; none behind the last.
    fn next_count(&mut self) -> Result<Option<(u64, u32)>, Mistake> {
        while !self.rest.is_empty() {
            let number = self.next_number().ok_or(Mistake::Length)?;
            // ZigZag: the lowest bit is set for negative numbers, and -1 is 1.
            let (is_negative, half) = (number & 1 == 1, number >> 1);
            if is_negative {
                self.place = self.place.saturating_add(half).saturating_add(1);
                continue;
            }
            let place = self.place;
            self.place = place.saturating_add(1);
            if half > 0 {
                return Ok(Some((place, u32::try_from(half).map_err(|_| Mistake::Count)?)));
            }
        }
        Ok(None)
    }

    /// Seven bits to a byte, the lowest first; the highest bit says that there are more.
    fn next_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (nth, &byte) in self.rest.iter().take(NUMBER_BYTES).enumerate() {
            let is_ninth = nth + 1 == NUMBER_BYTES;
            let bits = if is_ninth { byte } else { byte & 0x7f };
            number |= u64::from(bits) << (7 * nth);
            if is_ninth || byte < 0x80 {
                self.rest = &self.rest[nth + 1..];
                return Some(number);
            }
        }
        None
    }
}

/// Packs places with their counts.
#[derive(Default)]
struct Writer {
    numbers: Vec<u8>,
    /// The place that the next number will be about.
    place: u64,
    len: u64,
    last: u64,
}

impl Writer {
    /// A place behind those before, with a count.
    fn push(&mut self, (place, n): (u64, u32)) {
        let empty = place.saturating_sub(self.place);
        if empty > 0 {
            // ZigZag: minus one is 1.
            self.number(2 * empty - 1);
        }
        self.number(2 * u64::from(n));
        (self.place, self.last) = (place + 1, place);
        self.len += u64::from(n);
    }

    /// As [`Times::next_number`] reads it; it is shorter than nine bytes.
    fn number(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.numbers.push(low);
                return;
            }
            self.numbers.push(low | 0x80);
        }
    }

    fn finish(self) -> Packed {
        Packed { numbers: self.numbers.into(), len: self.len, last: self.last }
    }
}

/// The place of a time. Each of the first 2048 has one of its own; from there on, twice as many share one with each
/// power of two.
const fn place_of(time_ns: u64) -> u64 {
    let shared_bits = (time_ns | 1).ilog2().saturating_sub(PLACE_BITS);
    ((shared_bits as u64) << PLACE_BITS) + (time_ns >> shared_bits)
}

/// The longest time of a place that a time has.
const fn longest_ns(place: u64) -> u64 {
    let shared_bits = (place >> PLACE_BITS).saturating_sub(1);
    let first = place - (shared_bits << PLACE_BITS);
    ((first + 1) << shared_bits) - 1
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer, V2Serializer};
    use proptest::prelude::*;

    use super::*;

    const HIGHEST_NS: u64 = 3_600_000_000_000;

    fn histogram(counts: &[(u64, u32)]) -> Histogram<u32> {
        let mut histogram = Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("valid bounds");
        counts.iter().for_each(|&(time_ns, n)| histogram.saturating_record_n(time_ns.min(HIGHEST_NS), n));
        histogram
    }

    fn stored(histogram: &Histogram<u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("memory does not fail");
        bytes
    }

    fn read(stored: &[u8]) -> Result<Packed, Mistake> {
        Packed::read(stored, HIGHEST_NS)
    }

    /// Deflates a header with counts behind it, after `change`.
    fn made(numbers: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut inner = Vec::new();
        V2Serializer::new().serialize(&histogram(&[]), &mut inner).expect("memory does not fail");
        inner.truncate(HEADER_BYTES);
        inner[4..8].copy_from_slice(&u32::try_from(numbers.len()).expect("short").to_be_bytes());
        inner.extend_from_slice(numbers);
        change(&mut inner);
        outer(&deflate(&inner))
    }

    fn deflate(inner: &[u8]) -> Vec<u8> {
        let mut deflated = Vec::new();
        flate2::bufread::ZlibEncoder::new(inner, flate2::Compression::fast())
            .read_to_end(&mut deflated)
            .expect("memory does not fail");
        deflated
    }

    fn outer(deflated: &[u8]) -> Vec<u8> {
        let len = u32::try_from(deflated.len()).expect("short");
        [&OUTER_COOKIE.to_be_bytes(), &len.to_be_bytes(), deflated].concat()
    }

    fn sum(packed: &Packed) -> u64 {
        packed.iter().map(|(_, n)| u64::from(n)).sum()
    }

    fn mistake(stored: &[u8]) -> Mistake {
        read(stored).expect_err("it is damaged")
    }

    /// Times of every order of magnitude.
    fn times() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let time = (0_u32..44, any::<u64>()).prop_map(|(bits, any)| any >> (63 - bits));
        let n = prop_oneof![4 => 1_u32..300, 1 => 1..=u32::MAX];
        proptest::collection::vec((time, n), 0..200)
    }

    proptest! {
        #[test]
        fn what_hdrhistogram_stores_is_read_as_it_counted(counts in times()) {
            let histogram = histogram(&counts);
            let packed = read(&stored(&histogram)).expect("it is good");
            let counted = histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
            prop_assert!(packed.iter().eq(counted));
            prop_assert_eq!(packed.len(), sum(&packed));
        }

        #[test]
        fn a_sum_is_what_both_counted(some in times(), others in times()) {
            let (mut both, others) = (histogram(&some), histogram(&others));
            let sum = read(&stored(&both)).expect("it is good").plus(&read(&stored(&others)).expect("it is good"));
            both.add(&others).expect("the same bounds");
            let counted = both.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
            prop_assert!(sum.iter().eq(counted));
            prop_assert_eq!(sum.len(), self::sum(&sum));
            prop_assert!(sum.has_longest(both.max()));
        }

        #[test]
        fn no_bytes_are_too_strange(stored in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&stored).is_err());
            drop(read(&outer(&stored)));
            drop(read(&outer(&deflate(&stored))));
            if let Ok(packed) = read(&made(&stored, |_| {})) {
                prop_assert_eq!(packed.len(), sum(&packed));
            }
        }

        #[test]
        fn a_changed_or_cut_histogram_is_read_or_refused(
            counts in times(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut stored = stored(&histogram(&counts));
            let at = at.index(stored.len());
            prop_assert!(read(&stored[..at]).is_err());
            stored[at] = byte;
            drop(read(&stored));
        }
    }

    #[test]
    fn a_place_has_the_times_that_hdrhistogram_gives_it() {
        let histogram = histogram(&[]);
        for time_ns in (0..5_000).chain((11..42).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            assert_eq!(longest_ns(place_of(time_ns)), histogram.highest_equivalent(time_ns), "{time_ns}");
        }
    }

    #[test]
    fn each_way_of_being_damaged_has_its_word() {
        let good = stored(&histogram(&[(1_000_000, 7)]));
        assert_eq!(read(&good).map(|packed| packed.len()), Ok(7));
        assert_eq!(mistake(&[]), Mistake::Length);
        assert_eq!(mistake(&good[..good.len() - 1]), Mistake::Length);
        assert_eq!(mistake(&[&good[..], &[0]].concat()), Mistake::Length);
        assert_eq!(mistake(&[&[0], &good[1..]].concat()), Mistake::Cookie);
        assert_eq!(mistake(&outer(b"no zlib")), Mistake::Deflate);
        assert_eq!(mistake(&made(&[2], |inner| inner[0] = 0)), Mistake::Cookie);
        assert_eq!(mistake(&made(&[2], |inner| inner.truncate(20))), Mistake::Length);
        assert_eq!(mistake(&made(&[2], |inner| inner.push(2))), Mistake::Length);
        assert_eq!(mistake(&made(&[2, 0x80], |_| {})), Mistake::Length);
        assert_eq!(mistake(&made(&[2], |inner| inner[15] = 2)), Mistake::Places);
        assert_eq!(mistake(&made(&[2], |inner| inner[23] = 2)), Mistake::Places);
        // 2^32, and minus 2^63 places, then one more.
        assert_eq!(mistake(&made(&[0x80, 0x80, 0x80, 0x80, 0x20], |_| {})), Mistake::Count);
        assert_eq!(mistake(&made(&[[0xff; 9].as_slice(), &[2]].concat(), |_| {})), Mistake::TooLong);
    }

    #[test]
    fn what_inflates_without_end_is_not_inflated_to_its_end() {
        let bomb = outer(&deflate(&vec![0; 8 << 20]));
        assert!(bomb.len() < 64 << 10);
        assert_eq!(mistake(&bomb), Mistake::Length);
    }
}
