//! Counts as floats.

/// A count as a float: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no run counts 2^53 of anything")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
