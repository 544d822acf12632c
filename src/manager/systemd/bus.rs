//! The connection to systemd, and what is asked over it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;
use zbus::fdo::{DBusProxy, PropertiesProxy};
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

use super::bridge::Bridge;
use super::failure::{Failure, bus_name};
use super::peer;
use super::properties::Properties;
use crate::manager::ManagerError;
use crate::model::{UnitName, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::ssh::{Place, Ssh};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// No call waits for a job. The longest is a reload of all unit files, which runs every generator (each of them
/// at most 90 s); beyond that systemd has frozen.
const METHOD_TIMEOUT: Duration = Duration::from_secs(180);

/// A bus of another machine that has not greeted by then does not.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// A unit that is loaded, as ListUnitsByPatterns describes it.
pub(super) type ListedUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Systemd {
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn try_restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_or_restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn cancel_job(&self, id: u32) -> zbus::Result<()>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn kill_unit(&self, name: &str, who: &str, signal: i32) -> zbus::Result<()>;
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<ListedUnit>>;

    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;

    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn unit_path(&self) -> zbus::Result<Vec<String>>;
}

#[zbus::proxy(interface = "org.freedesktop.systemd1.Unit", default_service = "org.freedesktop.systemd1")]
trait Unit {
    #[zbus(name = "Ref")]
    fn hold(&self) -> zbus::Result<()>;
}

/// The connection to one systemd.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    connection: Connection,
    systemd: SystemdProxy<'static>,
    kind: ManagerKind,
    /// systemd's own; none where no bus tells it.
    pid: Option<u32>,
    place: Place,
    /// What carries the connection to another machine.
    _bridge: Option<Rc<Bridge>>,
}

impl Bus {
    /// The systemd of the machine.
    pub(super) async fn system() -> Result<Self, ManagerError> {
        Self::by(zbus::connection::Builder::system(), ManagerKind::System).await
    }

    /// The systemd of the user.
    pub(super) async fn user() -> Result<Self, ManagerError> {
        Self::by(zbus::connection::Builder::session(), ManagerKind::User).await
    }

    /// The systemd that listens at `path` itself.
    pub(super) async fn private(path: &Path, kind: ManagerKind) -> Result<Self, ManagerError> {
        let socket =
            peer::connect(path).await.map_err(|error| no_bus(kind, &zbus::Error::InputOutput(error.into())))?;
        let builder = zbus::connection::Builder::unix_stream(socket).p2p();
        let connected = builder.method_timeout(METHOD_TIMEOUT).build().await;
        Self::on(connected.map_err(|error| no_bus(kind, &error))?, kind).await
    }

    /// The systemd of another machine, or of the user that logs in there.
    pub(super) async fn at(ssh: &Rc<Ssh>, kind: ManagerKind) -> Result<Self, ManagerError> {
        let (bridge, socket) =
            Bridge::start(ssh, kind).map_err(|error| no_bus(kind, &zbus::Error::InputOutput(error.into())))?;
        let builder = zbus::connection::Builder::unix_stream(socket).method_timeout(METHOD_TIMEOUT);
        let connected = timeout(CONNECT_MAX, builder.build()).await;
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(bridge.no_bus(Failure::of(&error).message).await),
            Err(_) => return Err(bridge.no_bus(format!("no answer for {} s", CONNECT_MAX.as_secs())).await),
        };
        let bus = Self::on(connection, kind).await?;
        let pid = pid_of_systemd(&bus.connection).await.ok();
        Ok(Self { pid, place: Place::There(Rc::clone(ssh)), _bridge: Some(Rc::new(bridge)), ..bus })
    }

    async fn by(builder: zbus::connection::Builder<'_>, kind: ManagerKind) -> Result<Self, ManagerError> {
        let connected = builder.method_timeout(METHOD_TIMEOUT).build().await;
        let bus = Self::on(connected.map_err(|error| no_bus(kind, &error))?, kind).await?;
        Ok(Self { pid: pid_of_systemd(&bus.connection).await.ok(), ..bus })
    }

    /// The systemd at the other end of `connection`, asked to send signals.
    pub(super) async fn on(connection: Connection, kind: ManagerKind) -> Result<Self, ManagerError> {
        let proxy = SystemdProxy::builder(&connection).cache_properties(CacheProperties::No).build().await;
        let systemd = proxy.map_err(|error| no_bus(kind, &error))?;
        match systemd.subscribe().await {
            Err(error) if !Failure::of(&error).is_called("AlreadySubscribed") => Err(no_bus(kind, &error)),
            _ => Ok(Self { connection, systemd, kind, pid: None, place: Place::Here, _bridge: None }),
        }
    }

    /// The same systemd as `other`'s, reached another way.
    pub(super) fn with_pid_of(self, other: &Self) -> Self {
        Self { pid: self.pid.or(other.pid), ..self }
    }

    /// What went wrong with systemd itself.
    pub(super) fn failed(&self, error: &zbus::Error, action: &str) -> ManagerError {
        Failure::of(error).during_any(self.kind, action.to_owned(), "systemd".to_owned())
    }

    /// The PID of this systemd, where a bus tells it.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(super) fn kind(&self) -> ManagerKind {
        self.kind
    }

    /// The machine of this systemd.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn systemd(&self) -> &SystemdProxy<'static> {
        &self.systemd
    }

    /// The name of the bus, for messages.
    pub(super) fn name(&self) -> &'static str {
        bus_name(self.kind)
    }

    /// `systemctl`, as a user has to call it for this systemd.
    pub(super) fn systemctl(&self) -> &'static str {
        self.kind.systemctl()
    }

    /// `journalctl`, as a user has to call it for this systemd.
    pub(super) fn journalctl(&self) -> &'static str {
        if self.kind == ManagerKind::User { "journalctl --user" } else { "journalctl" }
    }

    /// `systemd 252`.
    pub(super) async fn version(&self) -> zbus::Result<String> {
        let version = self.systemd.version().await?;
        let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
        Ok(format!("systemd {}", if digits == 0 { &version } else { &version[..digits] }))
    }

    /// Where this systemd looks for unit files, the most important directory first.
    pub(super) async fn unit_path(&self) -> zbus::Result<Vec<PathBuf>> {
        Ok(self.systemd.unit_path().await?.into_iter().map(PathBuf::from).collect())
    }

    /// Queues the job for a verb and gives its path; none for [`UnitVerb::ResetFailed`], which is done at once.
    pub(super) async fn queue(&self, unit: &UnitName, verb: UnitVerb) -> zbus::Result<Option<OwnedObjectPath>> {
        let (name, mode) = (unit.as_str(), "replace");
        let job = match verb {
            UnitVerb::Start => self.systemd.start_unit(name, mode).await,
            UnitVerb::Stop => self.systemd.stop_unit(name, mode).await,
            UnitVerb::Restart => self.systemd.restart_unit(name, mode).await,
            UnitVerb::TryRestart => self.systemd.try_restart_unit(name, mode).await,
            UnitVerb::Reload => self.systemd.reload_unit(name, mode).await,
            UnitVerb::ReloadOrRestart => self.systemd.reload_or_restart_unit(name, mode).await,
            UnitVerb::ResetFailed => return self.systemd.reset_failed_unit(name).await.map(|()| None),
        };
        job.map(Some)
    }

    /// Keeps the unit loaded while this connection lasts.
    pub(super) async fn hold(&self, path: &OwnedObjectPath) -> zbus::Result<()> {
        let unit = UnitProxy::builder(&self.connection).path(path).cache_properties(CacheProperties::No);
        unit.build().await?.hold().await
    }

    /// The properties that all units have. systemd loads the unit for that if need be.
    pub(super) async fn unit_properties(&self, unit: &UnitName) -> zbus::Result<Properties> {
        let interface = zbus::names::InterfaceName::from_static_str(UNIT)?;
        Ok(Properties::new(
            self.properties_proxy(&object_path(unit)?).await?.get_all(interface).await?,
            self.place.clock(),
        ))
    }

    /// These and the properties of the unit's type, all of one moment; no name occurs in both.
    pub(super) async fn all_properties(&self, unit: &UnitName) -> zbus::Result<Properties> {
        let properties = self.properties_proxy(&object_path(unit)?).await?;
        // No interface means all of them. Asked for one by one, a change in between would be seen by half.
        Ok(Properties::new(properties.inner().call("GetAll", &"").await?, self.place.clock()))
    }

    /// For the changes of a unit's properties.
    pub(super) async fn properties_proxy(&self, path: &OwnedObjectPath) -> zbus::Result<PropertiesProxy<'static>> {
        PropertiesProxy::builder(&self.connection)
            .destination(SYSTEMD)
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }
}

/// The object of a unit by that name or alias: each byte that is no letter, or a digit in front, is `_` and two
/// hex digits (`bus-label.c`).
pub(super) fn object_path(unit: &UnitName) -> zbus::Result<OwnedObjectPath> {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (place, byte) in unit.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (place > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "_{byte:02x}"); // writing to a String cannot fail
        }
    }
    OwnedObjectPath::try_from(path)
}

/// Whether signals of that interface carry what all units have. systemd sends it last: with it, the changes of
/// a moment are complete (`dbus-unit.c`, `send_changed_signal`).
pub(super) fn is_unit_interface(interface: &str) -> bool {
    interface == UNIT
}

async fn pid_of_systemd(connection: &Connection) -> zbus::Result<u32> {
    let systemd = zbus::names::BusName::try_from(SYSTEMD)?;
    Ok(DBusProxy::new(connection).await?.get_connection_unix_process_id(systemd).await?)
}

fn no_bus(kind: ManagerKind, error: &zbus::Error) -> ManagerError {
    let remedy = match kind {
        ManagerKind::User => {
            "log in through a session that has a systemd --user (XDG_RUNTIME_DIR set), or use --manager embedded"
        }
        _ => "is this machine booted with systemd, and dbus.service running? --manager user and embedded need neither",
    };
    ManagerError::NoBus { bus: bus_name(kind), reason: Failure::of(error).message, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_the_object_path_that_systemd_gives_it() {
        let path = |name| object_path(&UnitName::new(name).expect("valid")).expect("valid").to_string();
        assert_eq!(path("app@1.service"), "/org/freedesktop/systemd1/unit/app_401_2eservice");
        assert_eq!(path("9p-a_b.socket"), "/org/freedesktop/systemd1/unit/_39p_2da_5fb_2esocket");
    }
}
