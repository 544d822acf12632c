//! What several scenarios, or runs of them, are compared by on one page.

use serde::Serialize;

use super::{RunResult, ScenarioResult};
use crate::model::Verdict;

/// One scenario of one run, by the figures that a reader chooses by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strategy {
    /// The run; none where all are of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The scenario.
    pub scenario: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Requests that fell due.
    pub due: u64,
    /// Dropped requests.
    pub dropped: u64,
    /// Wrong answers.
    pub wrong: u64,
    /// Median latency, from the due time; null is never.
    pub p50_ms: Option<f64>,
    /// 99 %.
    pub p99_ms: Option<f64>,
    /// Longest time without an `ok` while requests were due.
    pub stall_ms: Option<f64>,
    /// Stale answers; null where nobody asked.
    pub stale: Option<u64>,
}

impl Strategy {
    fn of(run: Option<&str>, scenario: &ScenarioResult) -> Self {
        Self {
            run: run.map(str::to_owned),
            scenario: scenario.name.clone(),
            verdict: scenario.verdict,
            due: scenario.requests.due,
            dropped: scenario.dropped,
            wrong: scenario.wrong,
            p50_ms: scenario.latency_ms.all.p50,
            p99_ms: scenario.latency_ms.all.p99,
            stall_ms: scenario.stall_ms,
            stale: scenario.stale,
        }
    }

    /// The scenarios of one run, in its order.
    #[must_use]
    pub fn of_run(result: &RunResult) -> Vec<Self> {
        result.scenarios.iter().map(|scenario| Self::of(None, scenario)).collect()
    }

    /// Those of several runs: scenarios of one name stand together, in the order in which they come first.
    #[must_use]
    pub fn of_runs(runs: &[(String, RunResult)]) -> Vec<Self> {
        let all = || runs.iter().flat_map(|(name, run)| run.scenarios.iter().map(move |scenario| (name, scenario)));
        let mut names: Vec<&str> = Vec::new();
        for (_, scenario) in all() {
            if !names.contains(&scenario.name.as_str()) {
                names.push(&scenario.name);
            }
        }
        let of_name = |name: &str| all().filter(move |(_, scenario)| scenario.name == name).collect::<Vec<_>>();
        let rows = names.into_iter().flat_map(of_name);
        rows.map(|(run, scenario)| Self::of(Some(run), scenario)).collect()
    }

    /// The scenario, with its run where there are several.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.run {
            Some(run) => format!("{}, {run}", self.scenario),
            None => self.scenario.clone(),
        }
    }

    /// Requests that failed.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped + self.wrong
    }
}
