//! The events of a result: what each step did, and what clients had of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ActionKind, Cause, FailureClass, GrpcStatus, JobResult, UnitName};

/// One run of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventResult {
    /// Its number in the scenario, from 1.
    pub event: u32,
    /// The step, from 1.
    pub step: u32,
    /// Which run of the step, from 1.
    pub run: u32,
    /// What was done.
    pub action: ActionKind,
    /// To which unit.
    pub unit: Option<UnitName>,
    /// The process that ended, for an event that no step asked for (`exit`): `python3 (812) of ledger.service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The command of an `exec`, without secrets; the name of a `mark`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it began, from the first counted due time.
    pub at_ms: f64,
    /// How systemd's job ended.
    pub job: Option<JobResult>,
    /// Whether the action was seen to have happened; null where there is nothing to prove.
    pub proven: Option<bool>,
    /// Until the job ended; for actions without a job, until the action was done.
    pub job_ms: Option<f64>,
    /// Until the old main process was gone.
    pub stop_ms: Option<f64>,
    /// From the new main process's start to the first `ok` it gave.
    pub boot_ms: Option<f64>,
    /// From the action until the end of the first `ok` after it, in the worst cohort: from the beginning of the event; for
    /// a command that replaced the main process, from when the old one was gone.
    pub first_ok_ms: Option<f64>,
    /// First failed due time to the end of the first lasting `ok`, in the worst cohort; 0 if none failed.
    pub outage_ms: Option<f64>,
    /// Longest time without an `ok` while requests were due, in the worst cohort.
    pub stall_ms: Option<f64>,
    /// Until a second without failures and with p99 at its baseline began, in the worst cohort.
    pub recovery_ms: Option<f64>,
    /// The slowest answered request, and where its time went; null for an event that neither ended nor brought a
    /// process.
    #[serde(default)]
    pub slowest: Option<Slowest>,
    /// Dropped.
    pub dropped: u64,
    /// Wrong.
    pub wrong: u64,
    /// Of the wrong answers, those with an unexpected status, by status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unexpected_statuses: BTreeMap<u16, u64>,
    /// Of the wrong answers, those with an unexpected status of gRPC, by status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unexpected_grpc_statuses: BTreeMap<GrpcStatus, u64>,
    /// What was not `ok`, by class.
    pub outcomes: BTreeMap<FailureClass, u64>,
    /// What failed, by mechanism.
    pub causes: BTreeMap<Cause, u64>,
    /// How servers announced the end of connections; null without HTTP/2.
    #[serde(default)]
    pub goaway: Option<GoAwayResult>,
    /// Answers to requests sent after this event was over, and before the next one was, of an instance that had answered
    /// before this one began; null without `instance`, and for an event that replaces nothing.
    #[serde(default)]
    pub stale: Option<u64>,
    /// Complete answers until the next event, by instance; absent without `instance`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<String, u64>,
    /// Deepest accept queue seen before the next event.
    pub queue_peak: Option<u32>,
    /// The effective backlog of that listener.
    pub backlog: Option<u32>,
    /// The backlog that this load through this `stall_ms` would need: connections that arrive meanwhile at the
    /// address that gets most of them.
    #[serde(default)]
    pub backlog_needed: Option<u64>,
    /// MainPID just before.
    pub main_pid_before: Option<u32>,
    /// MainPID when it was over.
    pub main_pid_after: Option<u32>,
    /// InvocationID of the unit changed; null where it is not known.
    pub incarnation_changed: Option<bool>,
    /// The kernel's listener is another socket; null where it is not known.
    pub listener_inode_changed: Option<bool>,
    /// Memory of the service just before.
    pub memory_before_bytes: Option<u64>,
    /// Memory of the service when it was over.
    pub memory_after_bytes: Option<u64>,
}

/// How servers of HTTP/2 announced the end of connections in one event, over all cohorts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoAwayResult {
    /// Of the connections that announced it most fully.
    pub shape: GoAwayShape,
    /// From the begin of the event until the first GOAWAY was read.
    pub first_ms: Option<f64>,
    /// Until the last one.
    pub last_ms: Option<f64>,
    /// Streams in flight when the first GOAWAY of their connection was read.
    pub streams_open: u64,
    /// Of these, those that were answered after it.
    pub answered_after: u64,
}

/// How the end of a connection was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoAwayShape {
    /// No GOAWAY was read.
    None,
    /// One GOAWAY.
    Single,
    /// A GOAWAY that announces the end, and another with the last stream that is processed.
    TwoPhase,
}

/// What the slowest answered request of an event waited for, in milliseconds; the parts add up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Slowest {
    /// From its due time to its answer.
    pub latency_ms: f64,
    /// While the old main process was still there.
    pub drain_ms: f64,
    /// While there was none.
    pub queue_ms: f64,
    /// While the new one came up, until it gave its first answer.
    pub boot_ms: f64,
    /// Before the event, and after that answer: behind the others that had waited, and in service.
    pub rest_ms: f64,
}

impl Slowest {
    /// Whether it waited for the event long enough for anybody to notice: 10 ms.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.drain_ms + self.queue_ms + self.boot_ms >= 10.0
    }
}

/// The phases of an event, in order. Those between `before` and `after` are known of events that end or bring a
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventPhase {
    /// No event had begun.
    Before,
    /// From the event's beginning until the old main process was gone.
    Stopping,
    /// From then until the new one began.
    Down,
    /// From then until its first `ok` in the cohort.
    Starting,
    /// From then on, until the next event; all of an event that neither ended nor brought a process.
    After,
}
