//! The first line of a record: where it was made, with what, and for what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shard::{Merged, Shard};
use crate::model::MonoTime;
use crate::scenario::plan::Plan;

/// The first line: what is needed to read the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// [`super::SCHEMA`].
    pub schema: String,
    /// What wrote it.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// Wall-clock start, RFC 3339 in UTC.
    pub started_at: String,
    /// The monotonic time of `started_at`.
    pub anchor: MonoTime,
    /// Which manager carries actions out, and why this one; none if no step needs one.
    pub manager: Option<ManagerChoice>,
    /// What was to be done and what was expected.
    pub plan: Plan,
    /// The scenario file with secrets masked; empty for runs without a file.
    pub scenario_text: String,
    /// Of a load that several generators share: the part of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Made of the records of several generators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
}

/// The program that wrote a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `gapless`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The machine a record was made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// uname(2) nodename.
    pub name: String,
    /// uname(2) release.
    pub kernel: String,
    /// uname(2) machine.
    pub arch: String,
    /// Processors that we may use.
    pub cpus: u32,
    /// Version of the service manager that was used, such as `systemd 252`.
    pub manager_version: Option<String>,
    /// It was a throw-away copy of the machine of that name, as `gapless rehearse` makes one; absent where it was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub twin: bool,
    /// The machine that the units are on, as ssh(1) knows it; absent where it is this one. The load was sent from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units_on: Option<String>,
}

impl Host {
    /// What follows a verdict that was not reached on the machine itself; empty otherwise.
    #[must_use]
    pub fn rehearsed(&self) -> String {
        if self.twin { format!(", rehearsed on a twin of {}", self.name) } else { String::new() }
    }
}

/// Which manager was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerChoice {
    /// Which.
    pub kind: ManagerKind,
    /// One clause: `asked for by --manager`, `root on a machine booted with systemd`.
    pub reason: String,
}

/// What carries actions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagerKind {
    /// systemd, the system manager.
    System,
    /// systemd, the user's manager.
    User,
    /// Ours: the same unit files without systemd.
    Embedded,
}

impl ManagerKind {
    /// The word of `--manager`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Embedded => "embedded",
        }
    }

    /// `systemctl`, as a user has to call it for this manager's units.
    #[must_use]
    pub const fn systemctl(self) -> &'static str {
        match self {
            Self::User => "systemctl --user",
            Self::System | Self::Embedded => "systemctl",
        }
    }
}
