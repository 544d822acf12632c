//! The result: the fields of `result.json` that users script against, in the order they are written.
//!
//! Times are in milliseconds with three decimals (`_ms`) or whole microseconds (`_us`); null means not measured,
//! or, for a latency, an outage or a recovery, that it had no end. Steps, runs and events are numbered from 1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::charts::Charts;
use super::event::{EventPhase, EventResult};
use crate::model::{ActionKind, Cause, FailureClass, GrpcStatus, Verdict};
use crate::record::begin::{Host, ManagerKind, Tool};
use crate::record::line::Note;

/// The format's name and version.
pub const SCHEMA: &str = "gapless/result/1";

/// What one or more scenarios came to: `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// The name and version of the format.
    pub schema: String,
    /// What wrote the records.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// The worst of the scenarios' verdicts.
    pub verdict: Verdict,
    /// In the order they were run.
    pub scenarios: Vec<ScenarioResult>,
}

/// What one scenario came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioResult {
    /// Its name.
    pub name: String,
    /// Its description; empty if it has none.
    pub description: String,
    /// What carried the actions out; null if none needed it.
    pub manager: Option<ManagerKind>,
    /// Why this manager; null without one.
    pub manager_reason: Option<String>,
    /// What it comes to.
    pub verdict: Verdict,
    /// Why, in full sentences, the most important first.
    pub reasons: Vec<String>,
    /// Wall-clock start, RFC 3339 in UTC.
    pub started_at: String,
    /// From `started_at` to the end of the record.
    pub duration_ms: f64,
    /// The record has no end: the run was cut off.
    pub incomplete: bool,
    /// Requests.
    pub requests: Requests,
    /// The client lost a connection, never got one, or got half an answer.
    pub dropped: u64,
    /// Complete answers that are not the expected one.
    pub wrong: u64,
    /// Dropped before a complete status line had come; always 0 for `tcp` targets.
    pub http_000: u64,
    /// Dropped, and no event had begun when they ended.
    pub dropped_outside_events: u64,
    /// What was not `ok`, by class; the sum is failed + unsent.
    pub outcomes: BTreeMap<FailureClass, u64>,
    /// What failed, by mechanism; the sum is `requests.failed`.
    pub causes: BTreeMap<Cause, u64>,
    /// Of the causes, those that the kernel's trace confirms.
    pub attested: BTreeMap<Cause, u64>,
    /// Complete status lines that came, by status.
    pub status_codes: BTreeMap<u16, u64>,
    /// Calls of gRPC that were answered, by their status; absent without gRPC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grpc_statuses: BTreeMap<GrpcStatus, u64>,
    /// Latencies.
    pub latency_ms: Latencies,
    /// The instrument's own error.
    pub lateness_us: Lateness,
    /// Connections.
    pub connections: Connections,
    /// Longest time without an `ok` while requests were due, in the worst cohort.
    pub stall_ms: Option<f64>,
    /// Longest outage of the worst cohort.
    pub outage_ms: Option<f64>,
    /// Longest recovery of the worst cohort.
    pub recovery_ms: Option<f64>,
    /// Deepest accept queue seen.
    pub queue_peak: Option<u32>,
    /// What became of each of several requests (`[[target.requests]]`), in their order; empty for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests_by_path: Vec<PathResult>,
    /// Answers to requests sent after an event was over, of an instance that had answered before it began; null without
    /// `instance` in `[target]`.
    #[serde(default)]
    pub stale: Option<u64>,
    /// Who answered, by the first answer; empty without `instance`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceResult>,
    /// Answers that could not be told by instance; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances_unknown: Option<UnknownInstances>,
    /// The same figures for each cohort.
    pub cohorts: Vec<CohortResult>,
    /// Every run of every step that was begun.
    pub events: Vec<EventResult>,
    /// Every step.
    pub steps: Vec<StepResult>,
    /// Everything that was judged.
    pub checks: Vec<CheckResult>,
    /// The evidence behind the causes.
    pub evidence: Vec<Evidence>,
    /// What a reader must know: what could not be observed, what was left out.
    pub notes: Vec<Note>,
    /// What each generator did, where several shared the load; absent otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<GeneratorResult>,
    /// The run over time, for a chart.
    pub series: Series,
    /// What charts draw. Not in `result.json`: the record has it.
    #[serde(skip)]
    pub charts: Charts,
    /// The scenario file, secrets masked; empty for runs without a file. Not in `result.json`.
    #[serde(skip)]
    pub scenario_text: String,
}

/// Requests; `due` = `ok` + `failed` + `unsent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Fell due after the warmup.
    pub due: u64,
    /// The expected answer, whole and in time.
    pub ok: u64,
    /// Dropped or wrong.
    pub failed: u64,
    /// Not sent, by the generator's own fault or because the run was cut off.
    pub unsent: u64,
    /// Fell due before the end of the warmup; counted nowhere else.
    pub warmup: u64,
}

/// Three views of latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latencies {
    /// From the due time; a failed request counts as never answered, and null is never.
    pub all: Percentiles,
    /// From the due time, over whole answers, expected or wrong.
    pub answered: Percentiles,
    /// From the actual send, over whole answers.
    pub service: Percentiles,
}

/// Percentiles by nearest rank, to three significant digits; `max` is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Median.
    pub p50: Option<f64>,
    /// 90 %.
    pub p90: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// 99.9 %.
    pub p99_9: Option<f64>,
    /// The slowest.
    pub max: Option<f64>,
}

/// From the later of (due, a connection was free) to the first write or connect call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// Median.
    pub p50: Option<u64>,
    /// 99 %.
    pub p99: Option<u64>,
    /// The worst.
    pub max: Option<u64>,
}

/// Connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Established.
    pub opened: u64,
    /// Requests on a connection that an earlier one had used.
    pub reused_requests: u64,
    /// Closed by the server while idle, and replaced before anything was written: no failure.
    pub closed_idle: u64,
    /// Answers that only the end of the connection delimited: a cut-short one would have gone unseen.
    pub unframed: u64,
}

/// What one of several generators did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorResult {
    /// Its shard, from 1.
    pub shard: u32,
    /// The nodename of its machine.
    pub host: String,
    /// Its requests.
    pub requests: Requests,
    /// Its own error.
    pub lateness_us: Lateness,
    /// It ran on the clock of the first shard; else its times are mapped by the wall clocks of both machines.
    pub same_clock: bool,
    /// Its record came to its end, and all of it was counted.
    pub whole: bool,
}

/// What became of one of several requests, over all cohorts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathResult {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// How many of it fell due after the warmup and have ended.
    pub due: u64,
    /// The expected answer, whole and in time.
    pub ok: u64,
    /// As for the scenario.
    pub dropped: u64,
    /// As for the scenario.
    pub wrong: u64,
    /// Not sent.
    pub unsent: u64,
}

/// A process, release or pod that answered, by the name that its answers give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceResult {
    /// Its name.
    pub name: String,
    /// Complete answers to counted requests, expected or wrong.
    pub answers: u64,
    /// Answers in the warmup.
    pub warmup: u64,
    /// When its first answer was whole, from the first counted due time; negative in the warmup.
    pub first_ms: f64,
    /// When its last answer was whole.
    pub last_ms: f64,
    /// Of its answers, those to requests sent after an event was over that it had answered before.
    pub stale: u64,
}

/// Complete answers to counted requests of which the instance is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownInstances {
    /// They named none.
    pub unnamed: u64,
    /// They named one that is not kept: 256 others came before it, or its name is longer than 256 bytes.
    pub left_out: u64,
}

/// One cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CohortResult {
    /// Its name.
    pub name: String,
    /// Rate and connection policy, for people: `200/s, 16 connections`.
    pub load: String,
    /// Where it connects to.
    pub target: String,
    /// Requests.
    pub requests: Requests,
    /// As for the scenario.
    pub dropped: u64,
    /// As for the scenario.
    pub wrong: u64,
    /// As for the scenario.
    pub http_000: u64,
    /// As for the scenario.
    pub outcomes: BTreeMap<FailureClass, u64>,
    /// As for the scenario.
    pub causes: BTreeMap<Cause, u64>,
    /// As for the scenario.
    pub status_codes: BTreeMap<u16, u64>,
    /// As for the scenario.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grpc_statuses: BTreeMap<GrpcStatus, u64>,
    /// Latencies.
    pub latency_ms: Latencies,
    /// The instrument's own error.
    pub lateness_us: Lateness,
    /// Connections.
    pub connections: Connections,
    /// Longest time without an `ok` while requests were due.
    pub stall_ms: Option<f64>,
    /// Longest outage.
    pub outage_ms: Option<f64>,
    /// Longest recovery.
    pub recovery_ms: Option<f64>,
    /// State changes of a load balancer's check, there and back counted apart; absent in other cohorts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaps: Option<u64>,
}

/// How a verdict reads that passed though requests failed.
pub const LOSS_EXPECTED: &str = "passed (loss expected)";

impl ScenarioResult {
    /// The verdict for people: `passed (loss expected)` where it passed though requests failed.
    #[must_use]
    pub fn verdict_in_words(&self) -> &'static str {
        if self.is_loss_expected() { LOSS_EXPECTED } else { self.verdict.name() }
    }

    /// Whether it passed though requests failed, as it allows.
    #[must_use]
    pub fn is_loss_expected(&self) -> bool {
        self.verdict == Verdict::Passed && self.requests.failed > 0
    }
}

impl RunResult {
    /// Whether it passed though requests failed, as its scenarios allow.
    #[must_use]
    pub fn is_loss_expected(&self) -> bool {
        self.verdict == Verdict::Passed && self.scenarios.iter().any(ScenarioResult::is_loss_expected)
    }
}

/// One step, over all its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// From 1.
    pub step: u32,
    /// What was done.
    pub action: ActionKind,
    /// How often it was begun.
    pub events: u32,
    /// How many of these dropped anything.
    pub events_with_drops: u32,
    /// With 95 % confidence the share of such events that drop anything is below this: the exact one-sided
    /// binomial bound. Null without events.
    pub drop_probability_upper_95: Option<f64>,
    /// Longest gap between connection attempts inside the events: a shorter gap in the listener may have gone
    /// unseen.
    pub resolution_ms: Option<f64>,
}

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// Its stable name: `expect.dropped`, `proof.restart`, `instrument.lateness`.
    pub name: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// What it comes to.
    pub status: Verdict,
}

/// The evidence for one cause in one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The mechanism.
    pub cause: Cause,
    /// The event, from 1; null outside of events.
    pub event: Option<u32>,
    /// How many requests it cost.
    pub count: u64,
    /// In which phase of the event they failed; the sum is `count`.
    #[serde(default)]
    pub phases: BTreeMap<EventPhase, u64>,
    /// What was seen.
    pub sentence: String,
    /// What helps here, where that is something else than what helps against the cause in general.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Evidence {
    /// What helps against a cause, with this evidence of it.
    #[must_use]
    pub fn remedy(cause: Cause, evidence: &[&Self]) -> String {
        let mut remedies: Vec<&str> = Vec::new();
        for evidence in evidence {
            let remedy = evidence.remedy.as_deref().unwrap_or(cause.remedy());
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
        remedies.join(" ")
    }
}

/// The run over time, over all cohorts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// From one point to the next: the finer the shorter the run.
    pub step_ms: u32,
    /// Ascending; spans in which nothing fell due have none.
    pub points: Vec<SeriesPoint>,
}

/// One step of the run, by due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesPoint {
    /// Its start, from the first counted due time; the first one may start a little earlier.
    pub at_ms: f64,
    /// Requests that fell due.
    pub due: u64,
    /// Of these, ended `ok`.
    pub ok: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, wrong.
    pub wrong: u64,
    /// The slowest `ok`; null without one.
    pub max_ms: Option<f64>,
}
