//! Metrics: the figures that expectations, gates and comparisons are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cause, FailureClass};

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

/// What is declared of a metric with a plain name.
struct Row {
    metric: Metric,
    key: &'static str,
    meaning: &'static str,
    dimension: Dimension,
    /// It counts requests that were lost.
    is_loss: bool,
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident = $key:literal, $dimension:ident $(, loss = $is_loss:literal)?;)+) => {
        /// A figure that an expectation can be about. The keys are those of `[expect]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)+
            /// Requests of one failure class.
            Outcome(FailureClass),
            /// Requests lost to one cause.
            Cause(Cause),
        }

        const ROWS: &[Row] = &[$(Row {
            metric: Metric::$variant,
            key: $key,
            meaning: concat!($($doc),+).trim_ascii(),
            dimension: Dimension::$dimension,
            is_loss: false $(|| $is_loss)?,
        }),+];
    };
}

metrics! {
    /// Dropped requests: the client lost a connection, never got one, or got half an answer.
    Dropped = "dropped", Count, loss = true;
    /// Wrong answers: complete, and not the expected ones.
    Wrong = "wrong", Count, loss = true;
    /// Dropped and wrong.
    Failed = "failed", Count, loss = true;
    /// Dropped without a complete status line.
    Http000 = "http_000", Count, loss = true;
    /// Failed over due, 0 to 1.
    ErrorRate = "error_rate", Ratio, loss = true;
    /// Median of `latency_ms.all`.
    P50 = "p50", Time;
    /// 90 % of `latency_ms.all`.
    P90 = "p90", Time;
    /// 95 % of `latency_ms.all`.
    P95 = "p95", Time;
    /// 99 % of `latency_ms.all`.
    P99 = "p99", Time;
    /// 99.9 % of `latency_ms.all`.
    P99_9 = "p99_9", Time;
    /// The slowest of `latency_ms.all`.
    Max = "max", Time;
    /// Longest time without an `ok` while requests were due.
    Stall = "stall", Time;
    /// First failed due time to the first lasting `ok`.
    Outage = "outage", Time;
    /// Until latency is back at its baseline.
    Recovery = "recovery", Time;
    /// Deepest accept queue seen.
    QueuePeak = "queue_peak", Count;
    /// Latency of the very first request, from its due time, in the slowest cohort: infinite if it failed. Measured
    /// with `warmup = "0s"` only, since a warmup waits until the service answers.
    ColdStart = "cold_start", Time;
    /// State changes of a load balancer's health check.
    Flaps = "flaps", Count;
    /// Answers to requests sent after an event was over, of an instance that had answered before it began. Needs
    /// `instance` in `[target]`.
    Stale = "stale", Count;
}

impl Metric {
    /// The metrics with a plain name; beside them stand `outcome.NAME` and `cause.NAME`.
    pub fn plain() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.metric)
    }

    /// The names of [`Self::plain`].
    pub fn plain_names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.key)
    }

    /// What it is counted in.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        self.row().map_or(Dimension::Count, |row| row.dimension)
    }

    /// Whether it counts requests that were lost.
    #[must_use]
    pub fn is_loss(self) -> bool {
        self.row().is_none_or(|row| row.is_loss)
    }

    /// The name and the meaning of a metric with a plain name.
    pub(crate) fn declaration(self) -> Option<(&'static str, &'static str)> {
        self.row().map(|row| (row.key, row.meaning))
    }

    /// The metric of that key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        if let Some(name) = key.strip_prefix("outcome.") {
            return name.parse().ok().map(Self::Outcome);
        }
        if let Some(name) = key.strip_prefix("cause.") {
            return name.parse().ok().map(Self::Cause);
        }
        ROWS.iter().find(|row| row.key == key).map(|row| row.metric)
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.metric == self)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(class) => write!(f, "outcome.{class}"),
            Self::Cause(cause) => write!(f, "cause.{cause}"),
            plain => f.pad(plain.row().map_or("", |row| row.key)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_names_one_metric_and_comes_back() {
        let keys = Metric::plain_names().map(str::to_owned);
        let outcomes = FailureClass::ALL.iter().map(|class| format!("outcome.{class}"));
        let causes = Cause::ALL.iter().map(|cause| format!("cause.{cause}"));
        for key in keys.chain(outcomes).chain(causes) {
            let metric = Metric::from_key(&key).unwrap_or_else(|| panic!("{key} is not a metric"));
            assert_eq!(metric.to_string(), key);
        }
        assert_eq!(Metric::from_key("p98"), None);
    }
}
