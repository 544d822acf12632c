//! How sure a count of events makes us.

use super::number::float;

/// One minus the confidence of every bound: 95 %.
const ALPHA: f64 = 0.05;

/// The normal distribution's quantile at 1 - [`ALPHA`].
const QUANTILE_95: f64 = 1.644_854;

/// Beyond this many, the normal distribution tells what adding up the binomial's terms would, and at once.
const EXACT_TRIALS_MAX: u64 = 100_000;

/// The share of events that may go wrong, when `bad` of `trials` did: with 95 % confidence it is below this.
///
/// Clopper and Pearson's exact one-sided upper bound ("The use of confidence or fiducial limits illustrated in
/// the case of the binomial", Biometrika 26, 1934): the p at which `bad` or fewer of `trials` have a probability
/// of 5 %. None without trials; 1 if all went wrong.
#[must_use]
pub fn drop_probability_upper_95(bad: u32, trials: u32) -> Option<f64> {
    if trials == 0 {
        return None;
    }
    if bad >= trials {
        return Some(1.0);
    }
    let (mut low, mut high) = (0.0, 1.0);
    // Halving 60 times leaves less than a float can hold between the two.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(bad.into(), trials.into(), middle) > ALPHA {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// Whether more than the `share` of all goes wrong (0 < share < 1), by `bad` of `trials` that did: with 95 % confidence.
///
/// The one-sided binomial test: as many as `bad` would have a probability below 5 % if it were just that share. Of few
/// trials a single bad one proves nothing; of many it takes little more than the share.
#[must_use]
pub fn is_surely_above(share: f64, bad: u64, trials: u64) -> bool {
    if trials > EXACT_TRIALS_MAX {
        let mean = share * float(trials);
        return float(bad) - 0.5 > mean + QUANTILE_95 * (mean * (1.0 - share)).sqrt();
    }
    bad > 0 && at_most(bad.min(trials) - 1, trials, share) > 1.0 - ALPHA
}

/// The probability of `bad` or fewer out of `trials`, each with probability `p` (0 < p < 1).
fn at_most(bad: u64, trials: u64, p: f64) -> f64 {
    // Terms are built in logarithms: (1 - p)^trials underflows for many trials.
    let odds = p.ln() - (-p).ln_1p();
    let mut log_term = float(trials) * (-p).ln_1p();
    let mut sum = log_term.exp();
    for k in 0..bad {
        log_term += (float(trials - k) / float(k + 1)).ln() + odds;
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(bad: u32, trials: u32) -> f64 {
        drop_probability_upper_95(bad, trials).expect("there are trials")
    }

    #[test]
    fn without_a_bad_one_it_is_the_root_of_the_significance() {
        for trials in [1, 5, 50, 1_000] {
            let exact = 1.0 - 0.05_f64.powf(1.0 / f64::from(trials));
            assert!((bound(0, trials) - exact).abs() < 1e-12, "{trials}");
        }
        assert!((bound(0, 50) - 0.0582).abs() < 5e-5);
        assert!((bound(0, 5) - 0.4507).abs() < 5e-5);
    }

    #[test]
    fn with_bad_ones_it_is_the_quantile_of_the_beta_distribution() {
        // qbeta(0.95, bad + 1, trials - bad), for 9 of 10 by hand: 0.95^(1/10).
        assert!((bound(9, 10) - 0.95_f64.powf(0.1)).abs() < 1e-12);
        assert!((bound(1, 10) - 0.394_163).abs() < 1e-5);
        assert!((bound(1, 2) - 0.974_679).abs() < 1e-5);
    }

    #[test]
    fn few_bad_ones_of_few_prove_nothing_and_many_of_many_do() {
        // The first that is sure is one above the binomial distribution's 95 % quantile.
        for (trials, first_sure) in [(1, 1), (6, 2), (41, 3), (177, 5), (1_000, 16), (100_000, 1_053), (100_001, 1_053)]
        {
            assert!(is_surely_above(0.01, first_sure, trials), "{first_sure} of {trials}");
            assert!(!is_surely_above(0.01, first_sure - 1, trials), "{} of {trials}", first_sure - 1);
        }
        assert!(is_surely_above(0.01, u64::MAX, u64::MAX) && !is_surely_above(0.01, 10_000, 1_000_000));
        assert!(!is_surely_above(0.01, 0, 0));
    }

    #[test]
    fn the_ends_are_certain() {
        assert_eq!(drop_probability_upper_95(0, 0), None);
        assert!((bound(5, 5) - 1.0).abs() < f64::EPSILON);
        assert!(bound(0, u32::MAX) > 0.0);
    }
}
