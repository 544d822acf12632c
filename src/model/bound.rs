//! Expectations: a figure of the result, and the bound it must keep.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::as_ns;
use super::{Cause, FailureClass};

/// A figure that an expectation can be about. The keys are those of `[expect]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// Dropped requests.
    Dropped,
    /// Wrong answers.
    Wrong,
    /// Dropped and wrong.
    Failed,
    /// Failed over due, 0 to 1.
    ErrorRate,
    /// Dropped without a complete status line.
    Http000,
    /// Percentile of `latency_ms.all`, in hundredths of a percent: 9_990 is p99.9.
    Percentile(u16),
    /// The slowest of `latency_ms.all`.
    Max,
    /// Longest time without an `ok` while requests were due.
    Stall,
    /// First failed due time to the first lasting `ok`.
    Outage,
    /// Until latency is back at its baseline.
    Recovery,
    /// Deepest accept queue seen.
    QueuePeak,
    /// Latency of the very first request, from its due time, in the slowest cohort: infinite if it failed. Measured
    /// with `warmup = "0s"` only, since a warmup waits until the service answers.
    ColdStart,
    /// State changes of a load balancer's health check.
    Flaps,
    /// Requests of one failure class.
    Outcome(FailureClass),
    /// Requests lost to one cause.
    Cause(Cause),
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A number of requests, connections or changes.
    Count,
    /// A share, 0 to 1.
    Ratio,
    /// A time.
    Time,
}

const PLAIN: &[(Metric, &str, Dimension)] = &[
    (Metric::Dropped, "dropped", Dimension::Count),
    (Metric::Wrong, "wrong", Dimension::Count),
    (Metric::Failed, "failed", Dimension::Count),
    (Metric::ErrorRate, "error_rate", Dimension::Ratio),
    (Metric::Http000, "http_000", Dimension::Count),
    (Metric::Percentile(5_000), "p50", Dimension::Time),
    (Metric::Percentile(9_000), "p90", Dimension::Time),
    (Metric::Percentile(9_500), "p95", Dimension::Time),
    (Metric::Percentile(9_900), "p99", Dimension::Time),
    (Metric::Percentile(9_990), "p99_9", Dimension::Time),
    (Metric::Max, "max", Dimension::Time),
    (Metric::Stall, "stall", Dimension::Time),
    (Metric::Outage, "outage", Dimension::Time),
    (Metric::Recovery, "recovery", Dimension::Time),
    (Metric::QueuePeak, "queue_peak", Dimension::Count),
    (Metric::ColdStart, "cold_start", Dimension::Time),
    (Metric::Flaps, "flaps", Dimension::Count),
];

impl Metric {
    /// The metrics with a plain name; beside them stand `outcome.NAME` and `cause.NAME`.
    pub fn plain_names() -> impl Iterator<Item = &'static str> {
        PLAIN.iter().map(|(_, name, _)| *name)
    }

    /// What it is counted in.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        PLAIN.iter().find(|(metric, ..)| *metric == self).map_or(Dimension::Count, |&(.., dimension)| dimension)
    }

    /// The metric of that key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        if let Some(name) = key.strip_prefix("outcome.") {
            return FailureClass::from_name(name).map(Self::Outcome);
        }
        if let Some(name) = key.strip_prefix("cause.") {
            return Cause::from_name(name).map(Self::Cause);
        }
        PLAIN.iter().find(|(_, name, _)| *name == key).map(|&(metric, ..)| metric)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(class) => write!(f, "outcome.{class}"),
            Self::Cause(cause) => write!(f, "cause.{cause}"),
            plain => f.pad(PLAIN.iter().find(|(metric, ..)| metric == plain).map_or("percentile", |(_, name, _)| name)),
        }
    }
}

impl TryFrom<String> for Metric {
    type Error = String;
    fn try_from(key: String) -> Result<Self, String> {
        Self::from_key(&key).ok_or_else(|| format!("no metric is called {key:?}"))
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

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
    fn every_key_names_one_metric_and_comes_back() {
        let keys = Metric::plain_names().map(str::to_owned);
        let outcomes = FailureClass::ALL.iter().map(|class| format!("outcome.{class}"));
        let causes = Cause::ALL.iter().map(|cause| format!("cause.{cause}"));
        for key in keys.chain(outcomes).chain(causes) {
            let metric = Metric::from_key(&key).unwrap_or_else(|| panic!("{key} is no metric"));
            assert_eq!(metric.to_string(), key);
        }
        assert_eq!(Metric::from_key("p98"), None);
    }

    #[test]
    fn never_answered_keeps_no_upper_bound() {
        assert!(!Comparison::AtMost.holds(f64::INFINITY, 1e300));
        assert!(Comparison::MoreThan.holds(f64::INFINITY, 1e300));
    }
}
