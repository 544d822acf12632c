//! What is done to units, and what comes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of an event: one run of one step, counted from 0 over the whole scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u32);

/// What systemd is asked to do to one unit, by way of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitVerb {
    /// Stop if it runs, then start.
    Restart,
    /// Restart if it runs, else nothing.
    TryRestart,
    /// Run ExecReload=.
    Reload,
    /// Reload if the unit can, else restart.
    ReloadOrRestart,
    /// Stop.
    Stop,
    /// Start.
    Start,
    /// Forget the failed state and the start limit's count; not a job.
    ResetFailed,
}

impl UnitVerb {
    /// Every verb.
    pub const ALL: &'static [Self] = &[
        Self::Restart,
        Self::TryRestart,
        Self::Reload,
        Self::ReloadOrRestart,
        Self::Stop,
        Self::Start,
        Self::ResetFailed,
    ];

    /// The key of a step in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::TryRestart => "try_restart",
            Self::Reload => "reload",
            Self::ReloadOrRestart => "reload_or_restart",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::ResetFailed => "reset_failed",
        }
    }
}

impl std::fmt::Display for UnitVerb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The kind of a step, for tables and `result.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// See [`UnitVerb::Restart`].
    Restart,
    /// See [`UnitVerb::TryRestart`].
    TryRestart,
    /// See [`UnitVerb::Reload`].
    Reload,
    /// See [`UnitVerb::ReloadOrRestart`].
    ReloadOrRestart,
    /// See [`UnitVerb::Stop`].
    Stop,
    /// See [`UnitVerb::Start`].
    Start,
    /// See [`UnitVerb::ResetFailed`].
    ResetFailed,
    /// A signal to processes of a unit.
    Kill,
    /// systemd reads its unit files again.
    DaemonReload,
    /// A command of the scenario's own.
    Exec,
    /// A pause.
    Wait,
    /// Requests beside the load.
    Request,
    /// Go on only if bounds hold so far.
    Gate,
}

impl ActionKind {
    /// The key of the step in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::TryRestart => "try_restart",
            Self::Reload => "reload",
            Self::ReloadOrRestart => "reload_or_restart",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::ResetFailed => "reset_failed",
            Self::Kill => "kill",
            Self::DaemonReload => "daemon_reload",
            Self::Exec => "exec",
            Self::Wait => "wait",
            Self::Request => "request",
            Self::Gate => "gate",
        }
    }
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl From<UnitVerb> for ActionKind {
    fn from(verb: UnitVerb) -> Self {
        match verb {
            UnitVerb::Restart => Self::Restart,
            UnitVerb::TryRestart => Self::TryRestart,
            UnitVerb::Reload => Self::Reload,
            UnitVerb::ReloadOrRestart => Self::ReloadOrRestart,
            UnitVerb::Stop => Self::Stop,
            UnitVerb::Start => Self::Start,
            UnitVerb::ResetFailed => Self::ResetFailed,
        }
    }
}

/// Whom a signal goes to, as `systemctl kill --kill-whom=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillWho {
    /// Every process of the unit.
    #[default]
    All,
    /// The main process.
    Main,
    /// The control process.
    Control,
}

impl KillWho {
    /// The word systemd uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Main => "main",
            Self::Control => "control",
        }
    }
}

/// How a job ended, `org.freedesktop.systemd1(5)`, signal JobRemoved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobResult {
    /// It did what it was to do.
    Done,
    /// Another job took its place, or somebody cancelled it.
    Canceled,
    /// It took longer than the unit allows.
    Timeout,
    /// It failed, or systemd refused to queue it.
    Failed,
    /// A unit it depends on failed.
    Dependency,
    /// It did not apply to the unit's state.
    Skipped,
    /// An Assert*= of the unit did not hold.
    Assert,
    /// The unit's type is not supported here.
    Unsupported,
    /// The unit was unloaded under it.
    Collected,
    /// The unit may be started only once.
    Once,
}

impl JobResult {
    /// Every result.
    pub const ALL: &'static [Self] = &[
        Self::Done,
        Self::Canceled,
        Self::Timeout,
        Self::Failed,
        Self::Dependency,
        Self::Skipped,
        Self::Assert,
        Self::Unsupported,
        Self::Collected,
        Self::Once,
    ];

    /// systemd's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Dependency => "dependency",
            Self::Skipped => "skipped",
            Self::Assert => "assert",
            Self::Unsupported => "unsupported",
            Self::Collected => "collected",
            Self::Once => "once",
        }
    }

    /// The result systemd calls by that word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|result| result.name() == name)
    }
}

impl std::fmt::Display for JobResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
