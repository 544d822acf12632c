//! Units: their names and what is known of them at one moment.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Endpoint, Listener};
use super::{MonoTime, ProcessId};

/// The kinds of units that scenarios act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitKind {
    /// `.service`
    Service,
    /// `.socket`
    Socket,
    /// Any other suffix.
    Other,
}

/// A full unit name, such as `ledger-api.service` or `app@alice.socket`: valid by systemd.unit(5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a text is not a unit name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitNameError {
    /// A character systemd does not allow.
    #[error("unit name {name:?} holds {character:?}; letters, digits and :-_.\\@ are allowed")]
    Character {
        /// The text.
        name: String,
        /// The first such character.
        character: char,
    },
    /// No suffix, or one that is no unit type.
    #[error("unit name {0:?} has no unit type; say for example {0}.service")]
    Suffix(String),
    /// Longer than 255 bytes.
    #[error("unit name is longer than 255 bytes")]
    Length,
}

const SUFFIXES: &[&str] =
    &["service", "socket", "target", "device", "mount", "automount", "swap", "path", "timer", "slice", "scope"];

impl UnitName {
    /// Checks `name` by the rules of systemd.unit(5).
    ///
    /// # Errors
    /// When it is not a full, valid unit name.
    pub fn new(name: impl Into<String>) -> Result<Self, UnitNameError> {
        let name = name.into();
        if name.len() > 255 {
            return Err(UnitNameError::Length);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if let Some(character) = name.chars().find(|&c| !allowed(c)) {
            return Err(UnitNameError::Character { name, character });
        }
        match name.rsplit_once('.') {
            Some((stem, suffix)) if !stem.is_empty() && !stem.starts_with('@') && SUFFIXES.contains(&suffix) => {
                Ok(Self(name))
            }
            _ => Err(UnitNameError::Suffix(name)),
        }
    }

    /// As [`new`](Self::new), but a name without a type is a service's, as it is to systemctl.
    ///
    /// # Errors
    /// When it is no valid unit name.
    pub fn of_service_by_default(name: &str) -> Result<Self, UnitNameError> {
        match Self::new(name) {
            Err(UnitNameError::Suffix(name)) => Self::new(format!("{name}.service")),
            other => other,
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By its suffix.
    #[must_use]
    pub fn kind(&self) -> UnitKind {
        match self.suffix() {
            "service" => UnitKind::Service,
            "socket" => UnitKind::Socket,
            _ => UnitKind::Other,
        }
    }

    /// What stands behind the last dot.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// What stands before the last dot.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(stem, _)| stem)
    }

    /// The template an instance is made from: `app@.service` for `app@1.service`; none if this is no instance.
    #[must_use]
    pub fn template(&self) -> Option<String> {
        let (prefix, instance) = self.stem().split_once('@')?;
        (!instance.is_empty()).then(|| format!("{prefix}@.{}", self.suffix()))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = UnitNameError;
    fn try_from(name: String) -> Result<Self, UnitNameError> {
        Self::new(name)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

/// ActiveState of a unit, `org.freedesktop.systemd1(5)`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumString, strum::Display, strum::IntoStaticStr,
)]
#[serde(from = "String", into = "String")]
#[strum(serialize_all = "snake_case")]
pub enum ActiveState {
    /// It serves.
    Active,
    /// It serves, and reads its configuration again.
    Reloading,
    /// It is stopped, and its last run did not fail.
    Inactive,
    /// It is stopped, and its last run failed.
    Failed,
    /// It is being started.
    Activating,
    /// It is being stopped.
    Deactivating,
    /// Its clean-up is under way.
    Maintenance,
    /// It serves, and its mounts are made anew.
    Refreshing,
    /// A state of a systemd newer than this list, in its own word; empty where none was read.
    #[strum(default, to_string = "{0}")]
    Other(String),
}

impl ActiveState {
    /// Every state that is known.
    pub const KNOWN: [Self; 8] = [
        Self::Active,
        Self::Reloading,
        Self::Inactive,
        Self::Failed,
        Self::Activating,
        Self::Deactivating,
        Self::Maintenance,
        Self::Refreshing,
    ];

    /// It serves: a unit that reads its configuration again does as well.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Active | Self::Reloading)
    }

    /// It is stopped, well or badly.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }
}

impl Default for ActiveState {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl From<String> for ActiveState {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<ActiveState> for String {
    fn from(state: ActiveState) -> Self {
        state.to_string()
    }
}

/// Everything the harness knows of a unit at one moment. The words are systemd's own,
/// `org.freedesktop.systemd1(5)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSnapshot {
    /// Which unit.
    pub unit: UnitName,
    /// When it was read.
    pub at: MonoTime,
    /// LoadState: `loaded`, `not-found`, `masked`, ...
    pub load_state: String,
    /// ActiveState.
    pub active_state: ActiveState,
    /// SubState: `running`, `listening`, `dead`, ...
    pub sub_state: String,
    /// Result: `success`, `exit-code`, `service-start-limit-hit`, ...; empty where the type has none.
    pub result: String,
    /// InvocationID as 32 hex digits; none if the unit was never started or was unloaded.
    pub invocation_id: Option<String>,
    /// The unit file changed on disk after it was loaded.
    pub need_daemon_reload: bool,
    /// What only services have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceState>,
    /// What only sockets have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<SocketState>,
    /// Its machine could not be looked at, only its manager be asked: that it has no listeners and no processes besides
    /// the main one is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unseen: bool,
}

#[cfg(test)]
impl UnitSnapshot {
    /// A loaded unit of which nothing but its state is known.
    pub(crate) fn in_state(name: &str, active_state: &str) -> Self {
        Self {
            unit: UnitName::new(name).expect("a name"),
            at: MonoTime::default(),
            load_state: "loaded".to_owned(),
            active_state: active_state.into(),
            sub_state: String::new(),
            result: "success".to_owned(),
            invocation_id: None,
            need_daemon_reload: false,
            service: None,
            socket: None,
            is_unseen: false,
        }
    }
}

impl UnitSnapshot {
    /// ActiveState is `active` (or `reloading`, which serves as well).
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active_state.is_active()
    }

    /// The main process of a service, if there is one.
    #[must_use]
    pub fn main_process(&self) -> Option<ProcessId> {
        self.service.as_ref().and_then(|service| service.main_process)
    }
}

/// What only services have.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceState {
    /// MainPID with its start time; none if there is no main process.
    pub main_process: Option<ProcessId>,
    /// ExecMainStartTimestampMonotonic; none if it was never started.
    pub main_started_at: Option<MonoTime>,
    /// ExecMainCode and ExecMainStatus of the last main process that ended, as systemd prints them
    /// (`exited 0`, `killed 9`).
    pub main_exit: Option<String>,
    /// NRestarts: automatic restarts only.
    pub restarts: u32,
    /// Every process of the unit's control group, by PID.
    pub processes: Vec<ProcessId>,
    /// MemoryCurrent in bytes, or the sum of Pss of the processes where systemd does not account memory.
    pub memory_bytes: Option<u64>,
    /// StartLimitBurst and StartLimitIntervalUSec: the maximum number of starts, and the interval in microseconds; none
    /// when the limit is off.
    pub start_limit: Option<(u32, u64)>,
    /// Restart=, such as `on-failure`.
    pub restart_policy: String,
    /// KillMode=, such as `control-group`.
    pub kill_mode: String,
    /// Type=, such as `notify`.
    pub service_type: String,
    /// KillSignal=, by its number: what a stop sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_signal: Option<i32>,
    /// RefuseManualStart=.
    pub refuse_manual_start: bool,
    /// The sockets that trigger it (TriggeredBy=).
    pub triggered_by: Vec<UnitName>,
}

/// What only sockets have.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SocketState {
    /// Accept=yes: a service instance for each connection.
    pub accept: bool,
    /// FlushPending=yes: what waits in the accept queue when the service ends is accepted and closed unread.
    #[serde(default)]
    pub flush_pending: bool,
    /// MaxConnections= with Accept=yes: more are closed unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// MaxConnectionsPerSource= with Accept=yes; none where it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections_per_source: Option<u32>,
    /// The stream addresses of ListenStream=.
    pub listen: Vec<Endpoint>,
    /// The kernel's listeners at those addresses; empty where no process is listening or the kernel cannot be asked.
    pub listeners: Vec<Listener>,
    /// Backlog= as configured.
    pub backlog: u32,
    /// The services it triggers (Triggers=).
    pub triggers: Vec<UnitName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_name_is_checked_as_systemd_checks_it() {
        for good in ["a.service", "app@alice.socket", "app@.service", "dev-x\\x2dy.mount", "a.b.c.service"] {
            assert!(UnitName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ledger", "ledger.conf", ".service", "a b.service", "../x.service", "@x.service"] {
            assert!(UnitName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_without_a_type_is_a_services() {
        let name = |text| UnitName::of_service_by_default(text).map(|unit| unit.to_string());
        assert_eq!((name("nginx"), name("a.socket")), (Ok("nginx.service".to_owned()), Ok("a.socket".to_owned())));
        assert!(name("").is_err() && name("a b").is_err());
    }

    #[test]
    fn an_instance_knows_its_template() {
        let name = UnitName::new("app@1.service").expect("valid");
        assert_eq!(name.template().as_deref(), Some("app@.service"));
        assert_eq!(UnitName::new("app.service").expect("valid").template(), None);
    }
}
