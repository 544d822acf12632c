//! The figures of a result by their metric.

use super::ScenarioResult;
use crate::model::float;
use crate::model::metric::Metric;

impl ScenarioResult {
    /// A figure, in its dimension (times in milliseconds): infinite if it never ended, none if it was not measured.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let counted = |n: u64| Some(float(n));
        let all = &self.latency_ms.all;
        // Null is "never" where requests failed, and "not measured" where none was due.
        let latency = |ms: Option<f64>| ms.or((self.requests.due > 0).then_some(f64::INFINITY));
        let lasting = |ms: Option<f64>| ms.or((self.requests.failed > 0).then_some(f64::INFINITY));
        match metric {
            Metric::Dropped => counted(self.dropped),
            Metric::Wrong => counted(self.wrong),
            Metric::Failed => counted(self.requests.failed),
            Metric::ErrorRate => {
                (self.requests.due > 0).then(|| float(self.requests.failed) / float(self.requests.due))
            }
            Metric::Http000 => counted(self.http_000),
            Metric::P50 => latency(all.p50),
            Metric::P90 => latency(all.p90),
            Metric::P95 => latency(all.p95),
            Metric::P99 => latency(all.p99),
            Metric::P99_9 => latency(all.p99_9),
            Metric::Max => latency(all.max),
            Metric::Stall => self.stall_ms,
            Metric::Outage => lasting(self.outage_ms),
            Metric::Recovery => self.recovery_ms,
            Metric::QueuePeak => self.queue_peak.map(f64::from),
            Metric::Outcome(class) => counted(self.outcomes.get(&class).copied().unwrap_or_default()),
            Metric::Cause(cause) => counted(self.causes.get(&cause).copied().unwrap_or_default()),
            Metric::Flaps => {
                self.cohorts.iter().filter_map(|cohort| cohort.flaps).reduce(|sum, flaps| sum + flaps).map(float)
            }
            Metric::Stale => self.stale.map(float),
            // Only the record has it.
            Metric::ColdStart => None,
        }
    }
}
