//! The order in which a cohort sends several requests by their weights: fixed from the start, and over again.

/// Which request is sent next.
#[derive(Debug)]
pub(super) struct Mix {
    /// Which request has which place; empty where there is only one.
    order: Vec<u16>,
}

impl Mix {
    /// Of requests with these weights, each at least 1: over one round each comes as often as its weight says, spread
    /// evenly.
    pub(super) fn new(weights: &[u32]) -> Self {
        if weights.len() < 2 {
            return Self { order: Vec::new() };
        }
        let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
        // The k-th of w requests belongs into the middle of the k-th of w parts of the round: (2k + 1) / 2w.
        let mut places: Vec<(u64, u64, u16)> = Vec::new();
        for (request, weight) in (0_u16..).zip(weights.iter().map(|weight| u64::from(weight / divisor))) {
            places.extend((0..weight).map(|nth| (2 * nth + 1, weight, request)));
        }
        places.sort_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(a.2.cmp(&b.2)));
        Self { order: places.into_iter().map(|(.., request)| request).collect() }
    }

    /// Which request is the one of that number, from 0.
    pub(super) fn nth(&self, number: u64) -> u16 {
        let place = number.checked_rem(self.order.len() as u64).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.order.get(place)).copied().unwrap_or_default()
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(weights: &[u32]) -> Vec<u16> {
        let mix = Mix::new(weights);
        (0..mix.order.len() as u64).map(|number| mix.nth(number)).collect()
    }

    #[test]
    fn requests_of_one_weight_take_turns_and_a_heavy_one_is_spread() {
        assert_eq!(round(&[7, 7, 7]), [0, 1, 2]);
        assert_eq!(round(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(round(&[20, 40]), [1, 0, 1]);
        assert_eq!(Mix::new(&[5]).nth(3), 0);
    }

    proptest! {
        #[test]
        fn a_round_holds_each_by_its_weight_and_no_prefix_is_off_by_more_than_one(
            weights in proptest::collection::vec(1_u32..50, 2..6),
        ) {
            let order = round(&weights);
            let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
            let all: u32 = weights.iter().map(|weight| weight / divisor).sum();
            prop_assert_eq!(order.len(), all as usize);
            for (request, weight) in (0_u16..).zip(&weights) {
                let own = (weight / divisor) as usize;
                for end in 0..=order.len() {
                    let came = order[..end].iter().filter(|&&which| which == request).count();
                    // Both times the length of the round.
                    prop_assert!((came * order.len()).abs_diff(own * end) <= weights.len() * order.len(), "{:?}", order);
                }
                prop_assert_eq!(order.iter().filter(|&&which| which == request).count(), (weight / divisor) as usize);
            }
        }
    }
}
