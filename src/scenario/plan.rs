//! The plan: a scenario with its defaults applied and its meaning settled.
//!
//! It is all that `run` needs and, stored in the record's first line, all that `analysis` needs. Nothing
//! in it depends on the machine but the resolved paths.

mod target;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keys::keys;
use super::kind;
use crate::model::time::{as_ns, as_ns_option};
use crate::model::{ActionKind, ActiveState, Bound, JobResult, KillWho, Metric, Signal, UnitName, UnitVerb};

pub use self::target::{
    Destination, GRPC_HEALTH, InstanceSource, Protocol, Scheme, StatusPattern, Target, WeightedRequest,
};

/// The maximum number of steps of a scenario, and of `[[load]]`.
pub const MOST_STEPS: usize = 1_000;

/// The maximum number of cohorts of a plan: those of `[[load]]`, and one for each `request` step. Their numbers are 16 bits
/// wide.
pub const MOST_COHORTS: usize = 2 * MOST_STEPS;

/// A target has at most so many requests,
pub const MOST_REQUESTS: u16 = 1_000;

/// each with at most this weight.
pub const LARGEST_WEIGHT: u32 = 1_000;

const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);

/// What is to be done, in which order, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The scenario's name: unique in a run, and a file name.
    pub name: String,
    /// The scenario's description; empty if it has none.
    pub description: String,
    /// The folder that relative paths and working directories are taken from. Not recorded: a report must
    /// not depend on where a scenario lay.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The load: at least one cohort.
    pub cohorts: Vec<Cohort>,
    /// The units acted on; none for a scenario that only loads.
    pub units: Option<Units>,
    /// Times and limits of the run.
    pub run: RunOptions,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What must hold over the whole run.
    pub expect: Expectations,
}

/// One `[[load]]` entry: clients with one rate and one connection policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// Its name, unique in the scenario.
    pub name: String,
    /// When its requests are due.
    pub pace: Pace,
    /// Whether connections serve more than one request.
    pub connections: Connections,
    /// The most requests at once on each of them; more than 1 with HTTP/2 only.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub streams: u32,
    /// The pause between a new connection and its first request; zero unless the scenario says so.
    #[serde(rename = "connect_delay_ns", with = "as_ns")]
    pub connect_delay: Duration,
    /// What is sent where, and what must come back.
    pub target: Target,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// When requests are due.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Open loop: requests per second, whatever the target does. More than 0, may be fractional.
    Rate(f64),
    /// Closed loop: N clients, each due again when its last request ended.
    Clients(u32),
    /// Only when a step asks: one client, one request after the other.
    OnDemand,
    /// A load balancer's check: a request every `interval`; `rise` successes make it healthy, `fall` failures not.
    Health {
        /// From one check to the next.
        #[serde(rename = "interval_ns", with = "as_ns")]
        interval: Duration,
        /// Successes in a row until it counts as healthy.
        rise: u32,
        /// Failures in a row until it counts as unhealthy.
        fall: u32,
    },
}

/// Connection policy of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connections {
    /// The maximum number, kept alive, least recently used first; a due request waits for a free one.
    Reused(u32),
    /// Every request has its own, connected when it is due.
    New,
}

/// `[units]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// The role `service`.
    pub service: Option<UnitName>,
    /// The role `socket`.
    pub socket: Option<UnitName>,
    /// Unit files to install for this run only.
    pub files: Vec<UnitFile>,
    /// Commands that run before anything starts.
    pub prepare: Vec<Vec<String>>,
}

/// A unit file to install for the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// The unit (or template, `app@.service`) it defines: its file name.
    pub unit: UnitName,
    /// Its text as written; [`super::placeholder::placed`] puts in the folder.
    pub text: String,
    /// Only root may read it where it is installed: not everybody may read the file it comes from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_private: bool,
}

keys! {
    /// Times and limits of the run.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct RunOptions = "run" {
        /// Load before the first counted request; 0s waits for nothing.
        #[serde(rename = "warmup_ns", with = "as_ns")]
        warmup: Duration = kind::span(Duration::ZERO..=DAY), default "1s";
        /// Load after the last step.
        #[serde(rename = "cooldown_ns", with = "as_ns")]
        cooldown: Duration = kind::span(Duration::ZERO..=DAY), default "2s";
        /// How long to wait for readiness, at the start and after each step.
        #[serde(rename = "ready_timeout_ns", with = "as_ns")]
        ready_timeout: Duration = kind::span(MILLISECOND..=DAY), default "30s";
        /// Space the steps so that the harness itself never trips a start limit.
        pace: bool = kind::boolean(), default true;
        /// Put units back into the state they were found in; `false` leaves them as the scenario does, also if the run is
        /// killed.
        restore: bool = kind::boolean(), default true;
        /// Of whatever is drawn at random.
        seed: u64 = kind::whole(0..=u64::MAX), default 1;
        /// When to give up early.
        abort: Abort = kind::table::<Abort>();
        /// The longest listener gap that may go unseen in a run that passes. `none` turns the rule off, and every
        /// report says so.
        #[serde(default, skip_serializing_if = "MaxUnseen::is_unstated")]
        max_unseen: MaxUnseen = kind::span(MILLISECOND..=DAY).map(MaxUnseen::AtMost).or_word("none", MaxUnseen::Off),
            default "500ms";
    }
}

/// `[run] max_unseen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxUnseen {
    /// The plan of a record that does not tell when the listeners were looked at: it is not judged.
    #[default]
    Unstated,
    /// `none`: the rule is off, and every report says so.
    Off,
    /// At most this long.
    #[serde(rename = "at_most_ns", with = "as_ns")]
    AtMost(Duration),
}

impl MaxUnseen {
    fn is_unstated(&self) -> bool {
        *self == Self::Unstated
    }
}

keys! {
    /// When to give up early.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Abort = "abort" {
        /// No `ok` for this long while requests were due.
        #[serde(rename = "outage_ns", with = "as_ns_option", default, skip_serializing_if = "Option::is_none")]
        outage: Option<Duration> = kind::span(MILLISECOND..=DAY);
        /// The number of dropped requests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<u64> = kind::whole(1..=u64::MAX);
    }
}

/// One `[[steps]]` entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How often; at least 1.
    pub times: u32,
    /// What lies between two runs of it.
    pub spacing: Spacing,
    /// Wait for the target to answer again before the step is over.
    pub wait_ready: bool,
    /// The job result that is expected; `done` unless the scenario says so.
    pub job: JobResult,
    /// What this step's events must hold to, instead of the scenario's expectations.
    pub expect: Option<Expectations>,
}

/// What lies between two runs of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Start to start, but never before the last one is over. Does not delay the first.
    #[serde(rename = "every_ns", with = "as_ns")]
    Every(Duration),
    /// A pause before each.
    #[serde(rename = "after_ns", with = "as_ns")]
    After(Duration),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A verb on a unit.
    Unit {
        /// What.
        verb: UnitVerb,
        /// On which.
        unit: UnitName,
    },
    /// A signal to processes of a unit.
    Kill {
        /// Whose.
        unit: UnitName,
        /// Which.
        signal: Signal,
        /// To whom of them.
        who: KillWho,
    },
    /// systemd reads its unit files again.
    DaemonReload,
    /// A command, without a shell.
    Exec {
        /// Program and arguments; at least one.
        argv: Vec<String>,
        /// The unit it is to bring a new incarnation of.
        replaces: Option<UnitName>,
    },
    /// A pause under load.
    Wait {
        /// How long.
        #[serde(rename = "duration_ns", with = "as_ns")]
        duration: Duration,
    },
    /// Requests one after the other, beside the load.
    Request {
        /// The cohort of the requests, by its place in the plan: its own, with [`Pace::OnDemand`].
        cohort: u16,
        /// Path and query.
        path: String,
        /// How many; at least 1.
        times: u32,
        /// From the end of one to the start of the next.
        #[serde(rename = "every_ns", with = "as_ns")]
        every: Duration,
    },
    /// Go on only if this holds so far.
    Gate {
        /// What must hold.
        expect: Expectations,
    },
}

impl Action {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Unit { verb, .. } => (*verb).into(),
            Self::Kill { .. } => ActionKind::Kill,
            Self::DaemonReload => ActionKind::DaemonReload,
            Self::Exec { .. } => ActionKind::Exec,
            Self::Wait { .. } => ActionKind::Wait,
            Self::Request { .. } => ActionKind::Request,
            Self::Gate { .. } => ActionKind::Gate,
        }
    }

    /// The unit it is about.
    #[must_use]
    pub fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unit { unit, .. } | Self::Kill { unit, .. } => Some(unit),
            Self::Exec { replaces, .. } => replaces.as_ref(),
            Self::DaemonReload | Self::Wait { .. } | Self::Request { .. } | Self::Gate { .. } => None,
        }
    }

    /// Whether it needs a manager.
    #[must_use]
    pub fn needs_manager(&self) -> bool {
        self.unit().is_some() || matches!(self, Self::DaemonReload)
    }
}

/// `[expect]` with its defaults applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectations {
    /// Bounds on the whole.
    pub bounds: Vec<(Metric, Bound)>,
    /// Bounds on one cohort: `[expect.cohort.NAME]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cohorts: Vec<(String, Vec<(Metric, Bound)>)>,
    /// `[expect.end]`; what the plan leads to where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndExpectation>,
}

/// `[expect.end]`: for set-ups that are meant to end badly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndExpectation {
    /// ActiveState of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ActiveState>,
    /// ActiveState of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<ActiveState>,
    /// Number of latent failures found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<Bound>,
    /// Number of processes of replaced incarnations that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_processes: Option<Bound>,
}
