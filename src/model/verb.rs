//! What is done to units, and what comes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// The number of an event: one run of one step, counted from 0 over the whole scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u32);

/// What systemd is asked to do to one unit, by way of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, Display, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The key of a step in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it may start the unit.
    #[must_use]
    pub fn starts(self) -> bool {
        match self {
            Self::Restart | Self::TryRestart | Self::ReloadOrRestart | Self::Start => true,
            Self::Reload | Self::Stop | Self::ResetFailed => false,
        }
    }
}

/// The kind of a step: its key in a scenario, and the word of tables and `result.json`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    Display,
    VariantArray,
    EnumMessage,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ActionKind {
    /// Restart this: a unit, or its role (`service`, `socket`).
    Restart,
    /// Restart this if it is active: a unit, or its role (`service`, `socket`).
    TryRestart,
    /// Reload this (ExecReload=): a unit, or its role (`service`, `socket`).
    Reload,
    /// Reload this if it can, else restart it: a unit, or its role (`service`, `socket`).
    ReloadOrRestart,
    /// Stop this: a unit, or its role (`service`, `socket`).
    Stop,
    /// Start this: a unit, or its role (`service`, `socket`).
    Start,
    /// Forget the failed state and the start limit's count of this: a unit, or its role (`service`, `socket`).
    ResetFailed,
    /// Send a signal to this: a unit, or its role (`service`, `socket`).
    Kill,
    /// systemd reads its unit files again.
    DaemonReload,
    /// A program and its arguments, run without a shell in the scenario's folder.
    Exec,
    /// A pause under load.
    Wait,
    /// Requests one after the other, beside the load.
    Request,
    /// Go on only if this holds so far.
    Gate,
    /// No step: a process that listened for the target ended though no step acts on a unit.
    Exit,
    /// An event that somebody else announces; no step of a scenario.
    Mark,
}

impl ActionKind {
    /// Every kind of step: all but [`Self::Exit`], which is the last.
    pub const ALL: &'static [Self] = match Self::VARIANTS.split_last() {
        Some((_, steps)) => steps,
        None => &[],
    };

    /// The key of the step in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether systemd makes a job of it.
    #[must_use]
    pub fn makes_a_job(self) -> bool {
        match self {
            Self::Restart | Self::TryRestart | Self::Reload | Self::ReloadOrRestart | Self::Stop | Self::Start => true,
            Self::ResetFailed
            | Self::Kill
            | Self::DaemonReload
            | Self::Exec
            | Self::Wait
            | Self::Request
            | Self::Gate
            | Self::Exit
            | Self::Mark => false,
        }
    }

    /// Whether the target is to answer again before the step is over, unless the scenario says otherwise.
    #[must_use]
    pub fn is_followed_by_readiness(self) -> bool {
        match self {
            Self::Restart
            | Self::TryRestart
            | Self::Reload
            | Self::ReloadOrRestart
            | Self::Start
            | Self::Kill
            | Self::DaemonReload
            | Self::Exec
            | Self::Gate => true,
            Self::Stop | Self::ResetFailed | Self::Wait | Self::Request | Self::Exit | Self::Mark => false,
        }
    }

    /// Whether it may harm requests. One that does not leaves failures to the event before it.
    #[must_use]
    pub fn disturbs(self) -> bool {
        match self {
            Self::Restart
            | Self::TryRestart
            | Self::Reload
            | Self::ReloadOrRestart
            | Self::Stop
            | Self::Start
            | Self::ResetFailed
            | Self::Kill
            | Self::DaemonReload
            | Self::Exec
            | Self::Exit
            | Self::Mark => true,
            Self::Wait | Self::Request | Self::Gate => false,
        }
    }

    /// Whether what answers after it is to be another process or release than before it.
    #[must_use]
    pub fn replaces(self) -> bool {
        match self {
            Self::Restart
            | Self::TryRestart
            | Self::Reload
            | Self::ReloadOrRestart
            | Self::Stop
            | Self::Start
            | Self::Kill
            | Self::Exec => true,
            Self::ResetFailed
            | Self::DaemonReload
            | Self::Wait
            | Self::Request
            | Self::Gate
            | Self::Exit
            // Only who wrote it knows what it announces.
            | Self::Mark => false,
        }
    }

    /// What such a step does, and what its key takes.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, IntoStaticStr, Display, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// Everybody a signal can go to.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word systemd uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How a job ended, `org.freedesktop.systemd1(5)`, signal JobRemoved.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    Display,
    EnumString,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobResult {
    /// It did what it was to do.
    #[default]
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
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// systemd's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}
