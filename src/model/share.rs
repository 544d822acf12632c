//! Which part of a load a generator sends, where several share it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most generators that share a load.
pub const MOST_SHARDS: u32 = 1_000;

/// Shard `index` of `of`: request k of the schedule, from 0, is that of shard k mod `of` + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    index: u32,
    of: u32,
}

impl Share {
    /// The whole load.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// That shard, counted from 1; none unless `1 <= index <= of <= MOST_SHARDS`.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (1 <= index && index <= of && of <= MOST_SHARDS).then_some(Self { index, of })
    }

    /// From 1.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }

    /// The one that acts on units.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.index == 1
    }

    /// There is no other.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.of == 1
    }

    /// The number in the whole schedule of this shard's request `nth`, both from 0.
    #[must_use]
    pub fn in_whole(self, nth: u64) -> u64 {
        nth.saturating_mul(u64::from(self.of)).saturating_add(u64::from(self.index - 1))
    }

    /// Its part of `all` things that cannot be split: the remainder goes to the first shards, one each.
    #[must_use]
    pub fn part_of(self, all: u32) -> u32 {
        all / self.of + u32::from(self.index <= all % self.of)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        let share = numbers.and_then(|(index, of)| Self::new(index, of));
        share.ok_or_else(|| {
            format!("{text:?} is not I/N, shard I of N, such as 2/3; I counts from 1, and N is at most {MOST_SHARDS}")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_shard_that_there_can_be_is_read() {
        assert_eq!("2/3".parse(), Ok(Share { index: 2, of: 3 }));
        for wrong in ["0/3", "4/3", "1/0", "1/1001", "1", "/", "-1/3", "1/3/4", "a/b", ""] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&Share::WHOLE).expect("it serialises");
        assert_eq!((json.as_str(), serde_json::from_str(&json).ok()), ("\"1/1\"", Some(Share::WHOLE)));
        assert!(serde_json::from_str::<Share>("\"9/3\"").is_err());
    }

    proptest! {
        #[test]
        fn every_request_and_every_connection_is_that_of_one_shard(of in 1_u32..50, all in 0_u32..500) {
            let shards: Vec<Share> = (1..=of).filter_map(|index| Share::new(index, of)).collect();
            prop_assert_eq!(shards.iter().map(|shard| shard.part_of(all)).sum::<u32>(), all);
            let mut sent: Vec<u64> = shards
                .iter()
                .flat_map(|shard| (0..).map(|nth| shard.in_whole(nth)).take_while(|&number| number < u64::from(all)))
                .collect();
            sent.sort_unstable();
            prop_assert!(sent.into_iter().eq(0..u64::from(all)));
        }
    }
}
