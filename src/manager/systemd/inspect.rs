//! Units as they are: looked at, never touched.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::bus::Bus;
use super::failure::{Attempt, Failure, no_such_unit};
use super::looked::{Looked, Mains};
use super::properties::Properties;
use super::snapshot::snapshot;
use crate::clock;
use crate::host::{Host, Local};
use crate::manager::ManagerError;
use crate::model::{UnitKind, UnitName, UnitSnapshot};
use crate::record::begin::ManagerKind;
use crate::ssh::{Place, Ssh};

/// A unit with where its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitDetails {
    /// Its state.
    pub snapshot: UnitSnapshot,
    /// Its files in the order they apply: FragmentPath, then DropInPaths. Empty for a unit that is not there.
    pub files: Vec<PathBuf>,
    /// UnitFileState: `enabled`, `disabled`, `static`, ...; empty without a file.
    pub unit_file_state: String,
    /// From InactiveExitTimestamp to ActiveEnterTimestamp: how long its last start took. None while it is not up.
    pub start_took: Option<Duration>,
    /// The units that start it, or are ended with it: WantedBy, RequiredBy, RequisiteOf, BoundBy, UpheldBy.
    pub pulled_in_by: Vec<UnitName>,
    /// InactiveExitTimestamp is set: it was started since this systemd began.
    pub was_started: bool,
    /// ConditionResult or AssertResult was no when it was last to be started.
    pub was_skipped: bool,
    /// The unit's own name; it may have been asked for by an alias.
    pub name: UnitName,
}

/// The properties of a unit that name those that pull it in.
const PULLED_IN_BY: [&str; 5] = ["WantedBy", "RequiredBy", "RequisiteOf", "BoundBy", "UpheldBy"];

/// Asks systemd about units. Changes nothing: it needs neither root nor a ledger.
#[derive(Clone, Debug)]
pub struct Inspector {
    bus: Bus,
    host: Option<Rc<dyn Host>>,
}

impl Inspector {
    /// Connects to the systemd of the machine.
    ///
    /// # Errors
    /// When there is no system bus, or no systemd on it.
    pub async fn system() -> Result<Self, ManagerError> {
        Ok(Self::on(Bus::system().await?, Some(Rc::new(Local))))
    }

    /// Connects to the systemd of the user.
    ///
    /// # Errors
    /// When there is no user bus, or no systemd on it.
    pub async fn user() -> Result<Self, ManagerError> {
        Ok(Self::on(Bus::user().await?, Some(Rc::new(Local))))
    }

    /// Connects to the systemd of another machine, or to that of the user who logs in there.
    ///
    /// # Errors
    /// When there is no such bus there, or no systemd on it.
    pub async fn at(ssh: &Rc<Ssh>, kind: ManagerKind) -> Result<Self, ManagerError> {
        Ok(Self::on(Bus::at(ssh, kind).await?, None))
    }

    /// The machine of that systemd.
    #[must_use]
    pub fn place(&self) -> &Place {
        self.bus.place()
    }

    /// The control group of the unit's processes, `/system.slice/app.service`; empty where it has none.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn control_group(&self, unit: &UnitName) -> Result<String, ManagerError> {
        let failed =
            |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), Attempt { action: "look at", unit });
        Ok(self.bus.all_properties(unit).await.map_err(failed)?.text("ControlGroup"))
    }

    /// The same systemd as a manager's.
    pub(super) fn on(bus: Bus, host: Option<Rc<dyn Host>>) -> Self {
        Self { bus, host }
    }

    /// Which systemd it asks.
    #[must_use]
    pub fn kind(&self) -> ManagerKind {
        self.bus.kind()
    }

    /// The version of that systemd, as `252`.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn version(&self) -> Result<Option<u16>, ManagerError> {
        let failed = |error: zbus::Error| {
            Failure::of(&error).during_any(self.bus.kind(), "ask the version of".to_owned(), "systemd".to_owned())
        };
        let version = self.bus.version().await.map_err(failed)?;
        Ok(version.rsplit(' ').next().and_then(|number| number.parse().ok()))
    }

    /// The PID of that systemd, where its bus tells it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.bus.pid()
    }

    /// The unit; one that is not there has LoadState `not-found`.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn look(&self, unit: &UnitName) -> Result<UnitDetails, ManagerError> {
        let failed =
            |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), Attempt { action: "look at", unit });
        let at = clock::now();
        let properties = self.bus.all_properties(unit).await.map_err(failed)?;
        let looked = Looked::at(self.host.as_deref(), unit, &properties, self.bus.pid()).await;
        let fragment = Some(properties.text("FragmentPath")).filter(|path| !path.is_empty());
        let files = fragment.into_iter().chain(properties.list("DropInPaths")).map(PathBuf::from).collect();
        Ok(UnitDetails {
            snapshot: snapshot(unit, at, &properties, looked, &Mains::default()),
            files,
            unit_file_state: properties.text("UnitFileState"),
            start_took: start_took(&properties),
            pulled_in_by: PULLED_IN_BY.iter().flat_map(|property| properties.units(property)).collect(),
            was_started: properties.time("InactiveExitTimestampMonotonic").is_some(),
            was_skipped: was_skipped(&properties),
            name: UnitName::new(properties.text("Id")).unwrap_or_else(|_| unit.clone()),
        })
    }

    /// As [`Self::look`], for a unit that has to be there.
    ///
    /// # Errors
    /// When it is not, or systemd cannot be asked.
    pub async fn look_at_existing(&self, unit: &UnitName) -> Result<UnitDetails, ManagerError> {
        let details = self.look(unit).await?;
        match details.snapshot.load_state.as_str() {
            "not-found" => Err(no_such_unit(self.bus.kind(), Attempt { action: "look at", unit })),
            "masked" => Err(ManagerError::Masked { action: "look at".to_owned(), unit: unit.clone() }),
            _ => Ok(details),
        }
    }

    /// The units that these properties of a unit name, each with the directive that it stands for.
    pub(super) async fn linked(
        &self,
        unit: &UnitName,
        properties: &[(&str, &'static str)],
    ) -> Result<Vec<(UnitName, &'static str)>, ManagerError> {
        let failed =
            |error: zbus::Error| Failure::of(&error).during(self.bus.kind(), Attempt { action: "look at", unit });
        let of_unit = self.bus.unit_properties(unit).await.map_err(failed)?;
        let named = |&(property, directive): &(&str, &'static str)| {
            of_unit.units(property).into_iter().map(move |unit| (unit, directive))
        };
        Ok(properties.iter().flat_map(named).collect())
    }

    /// The instances of the template `name`, `app@.socket`, that are loaded, by name.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn instances(&self, template: &UnitName) -> Result<Vec<UnitName>, ManagerError> {
        let pattern = template.as_str().replace('@', "@*");
        let listed = self.bus.systemd().list_units_by_patterns(&[], &[pattern.as_str()]).await;
        let failed = |error: zbus::Error| {
            Failure::of(&error).during_any(
                self.bus.kind(),
                format!("list the instances of {template} of"),
                "systemd".to_owned(),
            )
        };
        let mut instances: Vec<_> =
            listed.map_err(failed)?.into_iter().filter_map(|unit| UnitName::new(unit.0).ok()).collect();
        instances.sort();
        Ok(instances)
    }

    /// The socket units that are loaded, by name.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn sockets(&self) -> Result<Vec<UnitName>, ManagerError> {
        let listed = self.bus.systemd().list_units_by_patterns(&[], &["*.socket"]).await;
        let failed = |error: zbus::Error| {
            Failure::of(&error).during_any(self.bus.kind(), "list the sockets of".to_owned(), "systemd".to_owned())
        };
        // Others may name units that do not exist.
        let existing = listed.map_err(failed)?.into_iter().filter(|unit| unit.2 != "not-found");
        let names = existing.filter_map(|unit| UnitName::new(unit.0).ok());
        let mut sockets: Vec<_> = names.filter(|unit| unit.kind() == UnitKind::Socket).collect();
        sockets.sort();
        Ok(sockets)
    }
}

fn was_skipped(unit: &Properties) -> bool {
    let failed = |result: &str, checked_at: &str| unit.time(checked_at).is_some() && !unit.is(result);
    failed("ConditionResult", "ConditionTimestampMonotonic") || failed("AssertResult", "AssertTimestampMonotonic")
}

fn start_took(unit: &Properties) -> Option<Duration> {
    let (began, active) = (unit.time("InactiveExitTimestampMonotonic")?, unit.time("ActiveEnterTimestampMonotonic")?);
    // While it starts, the last time it became active lies before the start.
    (active >= began).then(|| Duration::from_nanos(active.nanos_since(began)))
}
