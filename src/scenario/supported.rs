//! What scenarios can say but this version cannot do yet. Such a key is refused, never ignored.
//!
//! When a feature is built, its line here goes.

use crate::model::Metric;

/// Keys, as `table.key`.
const KEYS: &[&str] = &["load.health", "run.abort", "steps.request", "steps.gate"];

/// Metrics.
const METRICS: &[Metric] = &[Metric::Flaps];

/// Whether `table.key` can be used.
pub(crate) fn key(table: &str, key: &str) -> bool {
    !KEYS.contains(&format!("{table}.{key}").as_str())
}

/// Whether an expectation can be about `metric`.
pub(crate) fn metric(metric: Metric) -> bool {
    !METRICS.contains(&metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_key_is_refused_in_its_own_table_only() {
        assert!(!key("steps", "request"));
        assert!(key("steps", "restart"));
        assert!(key("load", "request"));
        assert!(!metric(Metric::Flaps));
        assert!(metric(Metric::Dropped));
    }
}
