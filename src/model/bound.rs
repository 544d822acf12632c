//! Expectations: a metric, and the bound it must keep.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::as_ns;

/// How a figure is held against its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// `<=`, what a bare value means.
    #[serde(rename = "<=")]
    AtMost,
    /// `<`
    #[serde(rename = "<")]
    LessThan,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
    /// `>`
    #[serde(rename = ">")]
    MoreThan,
    /// `==`
    #[serde(rename = "==")]
    Exactly,
}

impl Comparison {
    /// The sign a scenario writes.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::LessThan => "<",
            Self::AtLeast => ">=",
            Self::MoreThan => ">",
            Self::Exactly => "==",
        }
    }

    /// Whether `actual` keeps the bound. An infinite time keeps none but `>` and `>=`.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "counts are exact in f64, and == on a time is what the user wrote")]
    pub fn holds(self, actual: f64, limit: f64) -> bool {
        match self {
            Self::AtMost => actual <= limit,
            Self::LessThan => actual < limit,
            Self::AtLeast => actual >= limit,
            Self::MoreThan => actual > limit,
            Self::Exactly => actual == limit,
        }
    }
}

/// A limit, in the dimension of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// A count or a share.
    Number(f64),
    /// A time.
    #[serde(rename = "time_ns", with = "as_ns")]
    Time(Duration),
}

/// One expectation: `p99 = "500ms"`, `dropped = "> 0"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// How the figure is held against the limit.
    pub comparison: Comparison,
    /// The limit.
    pub limit: Limit,
}

impl Bound {
    /// At most `count`.
    #[must_use]
    pub fn at_most(count: f64) -> Self {
        Self { comparison: Comparison::AtMost, limit: Limit::Number(count) }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.comparison.sign())?;
        match self.limit {
            Limit::Number(number) => write!(f, "{number}"),
            Limit::Time(time) => write!(f, "{time:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_answered_keeps_no_upper_bound() {
        assert!(!Comparison::AtMost.holds(f64::INFINITY, 1e300));
        assert!(Comparison::MoreThan.holds(f64::INFINITY, 1e300));
    }
}
