//! Counts by key, small: a record of an hour has some hundred thousand of them.

/// Counts by key, ascending. What a `BTreeMap` does, in a tenth of the room where keys are few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts<K>(Vec<(K, u64)>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy> Counts<K> {
    /// Adds `n` to the count of `key`.
    pub(crate) fn add(&mut self, key: K, n: u64) {
        // Nearly always they come in order.
        if self.0.last().is_none_or(|&(last, _)| last < key) {
            self.0.push((key, n));
            return;
        }
        match self.0.binary_search_by_key(&key, |&(key, _)| key) {
            Ok(place) => self.0[place].1 += n,
            Err(place) => self.0.insert(place, (key, n)),
        }
    }

    /// Takes one from the count of `key`; false if there is none.
    pub(crate) fn take(&mut self, key: K) -> bool {
        let found = self.0.binary_search_by_key(&key, |&(key, _)| key).ok().filter(|&place| self.0[place].1 > 0);
        let Some(place) = found else { return false };
        self.0[place].1 -= 1;
        if self.0[place].1 == 0 {
            self.0.remove(place);
        }
        true
    }

    /// Adds counts key by key.
    pub(crate) fn add_all(&mut self, counts: impl ExactSizeIterator<Item = (K, u64)>) {
        self.0.reserve_exact(if self.0.is_empty() { counts.len() } else { 0 });
        counts.for_each(|(key, n)| self.add(key, n));
    }

    /// Keys and counts, by key.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (K, u64)> + DoubleEndedIterator + '_ {
        self.0.iter().copied()
    }

    /// The sum of all.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|&(_, n)| n).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_a_map(added in proptest::collection::vec((0_u16..20, 0_u64..9), 0..60)) {
            let (mut counts, mut map) = (Counts::default(), BTreeMap::<u16, u64>::new());
            for &(key, n) in &added {
                counts.add(key, n);
                *map.entry(key).or_default() += n;
            }
            prop_assert_eq!(counts.total(), map.values().sum::<u64>());
            let mut twice = counts.clone();
            twice.add_all(counts.iter());
            prop_assert!(twice.iter().eq(map.iter().map(|(&key, &n)| (key, 2 * n))));
            prop_assert!(counts.iter().eq(map.clone()));
            let had = map.get(&7).copied().unwrap_or_default();
            let mut taken = 0;
            while counts.take(7) {
                taken += 1;
            }
            prop_assert_eq!(taken, had);
            prop_assert!(counts.iter().all(|(key, n)| key != 7 || n == 0));
        }
    }
}
