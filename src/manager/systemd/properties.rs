//! The properties of a unit, as systemd sends them.

use std::collections::HashMap;
use std::fmt::Write as _;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use crate::manager::ledger::UnitMark;
use crate::model::{MonoTime, UnitName};
use crate::ssh::Clock;

/// Values by name. One that is missing or of another type reads as systemd's "not set": properties come and go
/// with systemd's versions.
#[derive(Debug, Default)]
pub(super) struct Properties {
    values: HashMap<String, OwnedVariant>,
    /// Of their machine.
    clock: Clock,
}

impl Properties {
    /// Those of a machine with that clock.
    pub(super) fn new(values: HashMap<String, OwnedVariant>, clock: Clock) -> Self {
        Self { values, clock }
    }

    /// A value of the type that is asked for.
    pub(super) fn get<'v, T>(&'v self, name: &str) -> Option<T>
    where
        T: TryFrom<&'v Variant<'v>>,
    {
        self.values.get(name).and_then(|value| T::try_from(value).ok())
    }

    /// A text; empty if it is not set.
    pub(super) fn text(&self, name: &str) -> String {
        self.get::<&str>(name).unwrap_or_default().to_owned()
    }

    /// A switch; off if it is not set.
    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name).unwrap_or(false)
    }

    /// A point in time that systemd counts in microseconds, 0 for never; on our clock.
    pub(super) fn time(&self, name: &str) -> Option<MonoTime> {
        self.time_there(name).map(|time| self.clock.here(time))
    }

    /// The same on the clock of its machine, by which it is compared with what another run saw.
    pub(super) fn time_there(&self, name: &str) -> Option<MonoTime> {
        self.get(name).filter(|micros| *micros != 0).map(MonoTime::from_micros)
    }

    /// A list of units, without names that are no unit names to us.
    pub(super) fn units(&self, name: &str) -> Vec<UnitName> {
        let names: Vec<String> = self.list(name);
        names.into_iter().filter_map(|name| UnitName::new(name).ok()).collect()
    }

    /// A list; empty if it is not set.
    pub(super) fn list<T>(&self, name: &str) -> Vec<T>
    where
        Vec<T>: TryFrom<OwnedVariant>,
    {
        self.values.get(name).and_then(|value| value.clone().try_into().ok()).unwrap_or_default()
    }

    /// The number of the job that is pending on the unit, and its path.
    pub(super) fn job(&self) -> Option<(u32, OwnedObjectPath)> {
        let job: (u32, OwnedObjectPath) = self.values.get("Job")?.clone().try_into().ok()?;
        (job.0 != 0).then_some(job)
    }

    /// Why the unit file does not load: LoadError, whose second part is the message.
    pub(super) fn load_error(&self) -> String {
        let error: Option<(String, String)> =
            self.values.get("LoadError").and_then(|value| value.clone().try_into().ok());
        error.map(|(_, message)| message).unwrap_or_default()
    }

    /// InvocationID as 32 hex digits; none if it is empty or all zero.
    pub(super) fn invocation_id(&self) -> Option<String> {
        let bytes: Vec<u8> = self.list("InvocationID");
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        Some(bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
            hex
        }))
    }

    /// How the unit is, to tell later whether it is still so.
    pub(super) fn mark(&self) -> UnitMark {
        UnitMark {
            active_state: self.text("ActiveState").into(),
            sub_state: self.text("SubState"),
            invocation_id: self.invocation_id(),
            changed_at: self.time_there("StateChangeTimestampMonotonic"),
            began_at: self.time_there("InactiveExitTimestampMonotonic"),
        }
    }

    /// Takes over the values that changed.
    pub(super) fn update(&mut self, changed: Self) {
        self.values.extend(changed.values);
    }
}
