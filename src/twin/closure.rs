//! Which units of the machine a unit needs, asked of the twin's own systemd, which has read the same files; and starting it
//! there with these and no others.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use tokio::process::Command;

use super::kernel::make_folder;
use super::units;
use crate::manager::ManagerError;
use crate::manager::systemd::{Inspector, Pulled};
use crate::model::{UnitKind, UnitName};

/// What is started in a twin, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// The units that were asked for, their sockets, what they require, and what they want that listens.
    pub taken: Vec<UnitName>,
    /// Of these, what every twin has.
    pub up: Vec<UnitName>,
    /// What these want without needing it, with the directive and the unit that has it.
    pub left_out: Vec<(UnitName, String)>,
    /// What is taken and cannot be had in a twin, each with the reason.
    pub impossible: Vec<(UnitName, String)>,
}

/// Follows the directives of `roots` from unit to unit. Of the sockets that start a service, those count that are
/// `listening` on the machine; of the services that are merely wanted, those as well.
///
/// # Errors
/// When one of the roots does not exist, or systemd cannot be asked.
pub async fn find(inspector: &Inspector, roots: &[UnitName], listening: &[UnitName]) -> Result<Closure, ManagerError> {
    let mut closure = Closure::default();
    let triggers = triggers(inspector, listening).await?;
    let mut open: VecDeque<(UnitName, bool)> = VecDeque::new();
    for root in roots {
        open.push_back((inspector.look_at_existing(root).await?.name, true));
    }
    let mut wanted: Vec<(UnitName, String)> = Vec::new();
    // Those that are needed come first, so that each unit is met by the strongest of its ties.
    while let Some((unit, is_vital)) = open.pop_front() {
        if closure.taken.contains(&unit) {
            continue;
        }
        let state = inspector.look(&unit).await?.snapshot;
        let obstacle = cannot_be_had(&unit, &state.load_state).filter(|_| !state.is_active());
        match obstacle {
            Some(reason) if is_vital => closure.impossible.push((unit.clone(), reason)),
            Some(_) => continue,
            None => {}
        }
        for Pulled { unit: other, directive, is_needed } in inspector.pulled(&unit).await? {
            // A socket that the twin's journal, say, was started without: systemd refuses it now.
            if state.is_active() && matches!(directive, "Sockets=" | "Service=") {
                continue;
            }
            let opens_a_way = other.kind() == UnitKind::Socket || listening.contains(&other);
            let is_wanted = directive == "Wants=" && (opens_a_way || other.suffix() == "target");
            if is_needed && is_vital {
                open.push_front((other, true));
            } else if is_needed || is_wanted {
                open.push_back((other, false));
            } else {
                wanted.push((other, format!("{directive} of {unit}")));
            }
        }
        if state.is_active() {
            closure.up.push(unit.clone());
        } else {
            let sockets = triggers.iter().filter(|(_, service)| *service == unit);
            sockets.for_each(|(socket, _)| open.push_front((socket.clone(), is_vital)));
        }
        closure.taken.push(unit);
    }
    let mut seen = BTreeSet::new();
    wanted.retain(|(unit, _)| !closure.taken.contains(unit) && seen.insert(unit.clone()));
    for (unit, why) in wanted {
        let state = inspector.look(&unit).await?.snapshot;
        if state.load_state == "loaded" && !state.is_active() && unit.suffix() != "target" {
            closure.left_out.push((unit, why));
        }
    }
    closure.taken.sort();
    Ok(closure)
}

/// Which socket starts which service. systemd knows that only of units that are loaded, and in a twin none is.
async fn triggers(inspector: &Inspector, sockets: &[UnitName]) -> Result<Vec<(UnitName, UnitName)>, ManagerError> {
    let mut triggers = Vec::new();
    for socket in sockets {
        let pulled = inspector.pulled(socket).await?.into_iter().filter(|pulled| pulled.directive == "Service=");
        triggers.extend(pulled.map(|pulled| (socket.clone(), pulled.unit)));
    }
    Ok(triggers)
}

/// The sockets that are enabled on the machine: those that listen on one that was booted with systemd.
#[must_use]
pub fn enabled_sockets() -> Vec<UnitName> {
    let enabled = std::fs::read_to_string(units::ENABLED).unwrap_or_default();
    let sockets = enabled.lines().filter_map(|name| UnitName::new(name).ok());
    sockets.filter(|unit| unit.kind() == UnitKind::Socket).collect()
}

/// Why a unit that is not up cannot be started in a twin.
fn cannot_be_had(unit: &UnitName, load_state: &str) -> Option<String> {
    let reason = match unit.suffix() {
        "device" => "a device: a twin has none",
        "swap" => "swap space belongs to the machine",
        "mount" | "automount" => "it is not mounted on this machine, and a twin mounts nothing that is not",
        _ if load_state == "not-found" => "it does not exist on this machine",
        _ => return None,
    };
    Some(reason.to_owned())
}

impl Closure {
    /// Sees to it that nothing else is started with it: what is left out is masked, in the twin.
    ///
    /// # Errors
    /// When systemd does not read its files again.
    pub async fn mask_the_rest(&self) -> anyhow::Result<()> {
        if self.left_out.is_empty() {
            return Ok(());
        }
        let folder = Path::new("/etc/systemd/system");
        make_folder(folder)?;
        for (unit, _) in &self.left_out {
            let path = folder.join(unit.as_str());
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink("/dev/null", &path)?;
        }
        systemctl(&["daemon-reload"]).await
    }

    /// What is started, by name, without what every system has.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let is_of_interest = |unit: &&UnitName| !matches!(unit.suffix(), "target" | "slice") && !self.up.contains(unit);
        self.taken.iter().filter(is_of_interest).map(UnitName::as_str).collect()
    }
}

/// Starts units in the twin and waits for their jobs.
///
/// # Errors
/// What systemctl says.
pub async fn start(units: &[&str]) -> anyhow::Result<()> {
    systemctl(&[&["start", "--"], units].concat()).await
}

/// The last lines of a unit's journal; empty if there are none.
pub async fn last_words(unit: &UnitName) -> String {
    let arguments = ["--no-pager", "--quiet", "--lines=8", "--output=cat", "--unit", unit.as_str()];
    let output = Command::new("journalctl").args(arguments).kill_on_drop(true).output().await;
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim_end().to_owned()).unwrap_or_default()
}

async fn systemctl(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("systemctl").args(arguments).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::bail!("{}", said.lines().next().unwrap_or("systemctl failed"))
}
