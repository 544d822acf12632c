//! D-Bus errors, told apart by name.

use zbus::DBusError as _;

use crate::manager::ManagerError;
use crate::model::UnitName;
use crate::record::begin::ManagerKind;

/// Errors by which systemd refuses a job for a reason that lies in the unit or in what else is going on: the job
/// failed, the manager works. Names behind `org.freedesktop.systemd1.`, `bus-common-errors.h`.
const REFUSALS: &[&str] = &[
    "OnlyByDependency",
    "JobTypeNotApplicable",
    "NoIsolation",
    "JobFailed",
    "ShuttingDown",
    "TransactionJobsConflicting",
    "TransactionOrderIsCyclic",
    "TransactionIsDestructive",
    "UnitBusy",
    "UnitInactive",
];

/// Errors that say that nobody is there any more.
const GONE: &[&str] = &["ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "NoServer"];

/// What was being done to which unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) action: &'a str,
    pub(super) unit: &'a UnitName,
}

/// An error of the bus or of systemd, taken apart.
#[derive(Debug)]
pub(super) struct Failure {
    /// The last part of the D-Bus error's name; empty for an error that did not come as a message.
    name: String,
    /// What was said.
    pub(super) message: String,
    /// The connection itself is broken.
    is_disconnected: bool,
}

impl Failure {
    pub(super) fn of(error: &zbus::Error) -> Self {
        let (name, message) = match error {
            zbus::Error::MethodError(name, message, _) => (name.as_str().to_owned(), message.clone()),
            zbus::Error::FDO(error) => (error.name().as_str().to_owned(), error.description().map(str::to_owned)),
            other => (String::new(), Some(other.to_string())),
        };
        let short = name.rsplit_once('.').map_or("", |(_, short)| short).to_owned();
        Self {
            name: short,
            message: message.filter(|message| !message.is_empty()).unwrap_or(name),
            is_disconnected: matches!(error, zbus::Error::InputOutput(_) | zbus::Error::Connection(..)),
        }
    }

    /// Whether the D-Bus error's name ends like that.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether systemd refused to queue a job for a reason that lies in the unit.
    pub(super) fn is_refusal(&self) -> bool {
        REFUSALS.contains(&self.name.as_str())
    }

    /// Whether there was no process to send a signal to.
    pub(super) fn is_no_process(&self) -> bool {
        ["NoSuchProcess", "ESRCH", "UnixProcessIdUnknown"].contains(&self.name.as_str())
    }

    /// The same, with what was being done and what to do about it.
    pub(super) fn during(self, manager: ManagerKind, attempt: Attempt<'_>) -> ManagerError {
        let Attempt { action, unit } = attempt;
        let (action, unit) = (action.to_owned(), unit.clone());
        match self.name.as_str() {
            "NoSuchUnit" => no_such_unit(manager, attempt),
            "UnitMasked" => ManagerError::Masked { action, unit },
            "LoadFailed" | "BadUnitSetting" => ManagerError::BadUnit { action, unit, reason: self.message },
            _ => self.during_any(manager, action, unit.to_string()),
        }
    }

    /// As [`Self::during`], for what is done to systemd itself.
    pub(super) fn during_any(self, manager: ManagerKind, action: String, unit: String) -> ManagerError {
        let reason = self.message;
        match self.name.as_str() {
            "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed" => {
                ManagerError::AccessDenied { action, unit, reason }
            }
            name if self.is_disconnected || GONE.contains(&name) => {
                ManagerError::Lost { bus: bus_name(manager), action: format!("{action} {unit}"), reason }
            }
            _ => ManagerError::Refused { action, unit, reason },
        }
    }
}

/// There is no unit of that name.
pub(super) fn no_such_unit(manager: ManagerKind, attempt: Attempt<'_>) -> ManagerError {
    ManagerError::NoSuchUnit {
        action: attempt.action.to_owned(),
        unit: attempt.unit.clone(),
        remedy: format!("check the name with `{} list-unit-files`", manager.systemctl()),
    }
}

/// The bus on which a systemd of that kind is, for messages.
pub(super) fn bus_name(manager: ManagerKind) -> &'static str {
    if manager == ManagerKind::User { "systemd on the user bus" } else { "systemd on the system bus" }
}
