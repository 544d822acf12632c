//! Unit files that are there for one run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::{Attempt, Failure};
use super::installed::InstalledUnit;
use super::past;
use super::systemd_manager::SystemdManager;
use crate::manager::ledger::{Change, UnitMark};
use crate::manager::recover::Recoverable;
use crate::manager::{Manager as _, ManagerError};
use crate::model::{JobResult, Signal, UnitKind, UnitName, UnitVerb};
use crate::scenario::plan::UnitFile;
use crate::ssh::Place;

/// All of `files`, or none of them.
pub(super) async fn install(manager: &mut SystemdManager, files: &[UnitFile]) -> Result<(), ManagerError> {
    for file in files {
        refuse_to_replace(manager, &file.unit).await?;
    }
    let installed = write_all(manager, files).await;
    if let Err(error) = installed {
        // The first error is the one to tell; what cannot be taken back now stays in the ledger.
        let _ = uninstall(manager).await;
        return Err(error);
    }
    Ok(())
}

async fn write_all(manager: &mut SystemdManager, files: &[UnitFile]) -> Result<(), ManagerError> {
    make_directory(&manager.installed.directory)?;
    for file in files {
        let path = manager.installed.directory.join(file.unit.as_str());
        let (kind, unit) = (manager.kind(), file.unit.clone());
        let entry = manager.notes.write(Change::Installed { manager: kind, unit: unit.clone(), path: path.clone() })?;
        let failed = |error| ManagerError::File { action: "write", path: path.clone(), error };
        let created = match create_unit_file(&path, file.is_private) {
            Ok(created) => created,
            Err(error) => {
                manager.notes.strike(entry)?;
                return Err(failed(error));
            }
        };
        manager.installed.files.push(InstalledUnit { unit, path: path.clone(), entry });
        fill_unit_file(created, file).map_err(failed)?;
    }
    manager.daemon_reload().await
}

/// Takes away everything that was installed, and strikes out what else is as it was.
pub(super) async fn uninstall(manager: &mut SystemdManager) -> Result<(), ManagerError> {
    let mut outcome = Ok(());
    for unit in &manager.notes.units() {
        keep_first(&mut outcome, manager.note_after(unit).await);
    }
    if manager.installed.files.is_empty() {
        return outcome;
    }
    let files: Vec<_> =
        manager.installed.files.iter().map(|installed| (installed.unit.clone(), installed.path.clone())).collect();
    match manager.remove(&files).await {
        Ok(()) => {
            for installed in std::mem::take(&mut manager.installed.files) {
                keep_first(&mut outcome, manager.notes.strike(installed.entry));
            }
        }
        // What is left is still in the ledger.
        Err(error) => keep_first(&mut outcome, Err(error)),
    }
    outcome
}

impl Recoverable for SystemdManager {
    async fn remove(&self, installed: &[(UnitName, PathBuf)]) -> Result<(), ManagerError> {
        let mut outcome = Ok(());
        let mut units = Vec::new();
        for (unit, _) in installed {
            match loaded_units(self, unit).await {
                Ok(of_file) => units.extend(of_file),
                Err(error) => keep_first(&mut outcome, Err(error)),
            }
        }
        // A socket that still listens would start its service again.
        units.sort_by_key(|unit| unit.kind() != UnitKind::Socket);
        for unit in &units {
            keep_first(&mut outcome, stop(self, unit).await);
            keep_first(&mut outcome, self.run_job(unit, UnitVerb::ResetFailed).await.map(drop));
        }
        for (_, path) in installed {
            keep_first(&mut outcome, remove_unit_file(self, path).await);
        }
        keep_first(&mut outcome, self.daemon_reload().await);
        outcome
    }

    async fn mark(&self, unit: &UnitName) -> Result<UnitMark, ManagerError> {
        let attempt = Attempt { action: "look at", unit };
        match self.loaded(attempt, false).await {
            Err(ManagerError::Masked { .. } | ManagerError::BadUnit { .. }) => Ok(UnitMark::default()),
            properties => Ok(properties?.mark()),
        }
    }

    async fn last_incarnation(&self, unit: &UnitName) -> Option<String> {
        past::last_incarnation(self.bus.place(), self.bus.kind(), unit).await
    }
}

/// Stops a unit that we brought; one that does not stop, and that the user gives up, is killed.
async fn stop(manager: &SystemdManager, unit: &UnitName) -> Result<(), ManagerError> {
    let mut job = manager.run_job(unit, UnitVerb::Stop).await?;
    if job.result == JobResult::Canceled {
        // Refused where nobody is left.
        let _ = manager.bus.systemd().kill_unit(unit.as_str(), "all", Signal::KILL.number()).await;
        job = manager.run_job(unit, UnitVerb::Stop).await?;
    }
    if job.result == JobResult::Done {
        return Ok(());
    }
    let reason = job.reason.unwrap_or_else(|| format!("its job ended with {}", job.result));
    Err(ManagerError::Refused { action: "stop".to_owned(), unit: unit.to_string(), reason })
}

/// The units that a file made: itself, or the instances of a template.
async fn loaded_units(manager: &SystemdManager, file: &UnitName) -> Result<Vec<UnitName>, ManagerError> {
    let attempt = Attempt { action: "remove", unit: file };
    let pattern = match file.stem().strip_suffix('@') {
        Some(prefix) => format!("{prefix}@*.{}", file.suffix()),
        None => file.to_string(),
    };
    let listed = manager.bus.systemd().list_units_by_patterns(&[], &[&pattern]).await;
    let listed = listed.map_err(|error| Failure::of(&error).during(manager.bus.kind(), attempt))?;
    Ok(listed.into_iter().filter_map(|unit| UnitName::new(unit.0).ok()).collect())
}

async fn refuse_to_replace(manager: &SystemdManager, unit: &UnitName) -> Result<(), ManagerError> {
    let attempt = Attempt { action: "install", unit };
    manager.refuse_protected(attempt)?;
    let failed = |error: zbus::Error| Failure::of(&error).during(manager.bus.kind(), attempt);
    let already_there = |place: String| Err(ManagerError::AlreadyThere { unit: unit.clone(), place });
    let mut directories = manager.bus.unit_path().await.map_err(failed)?;
    directories.push(manager.installed.directory.clone());
    let files = directories.iter().map(|directory| directory.join(unit.as_str()));
    if let Some(file) = files.into_iter().find(|file| fs::symlink_metadata(file).is_ok()) {
        return already_there(file.display().to_string());
    }
    if unit.stem().ends_with('@') {
        return Ok(());
    }
    let properties = manager.bus.unit_properties(unit).await.map_err(failed)?;
    match properties.text("LoadState").as_str() {
        "not-found" => Ok(()),
        state => already_there(format!("it is {state}")),
    }
}

fn make_directory(directory: &Path) -> Result<(), ManagerError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| ManagerError::File { action: "make", path: directory.to_path_buf(), error })
}

/// Never replaces and never follows.
fn create_unit_file(path: &Path, is_private: bool) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode(is_private)).open(path)
}

fn fill_unit_file(mut installed: File, file: &UnitFile) -> io::Result<()> {
    installed.set_permissions(fs::Permissions::from_mode(mode(file.is_private)))?;
    installed.write_all(file.text.as_bytes())
}

/// Readable for all, whatever the umask: `systemctl cat` is for everybody. What the user keeps private stays so.
fn mode(is_private: bool) -> u32 {
    if is_private { 0o600 } else { 0o644 }
}

async fn remove_unit_file(manager: &SystemdManager, path: &Path) -> Result<(), ManagerError> {
    let removed = match manager.bus.place() {
        Place::Here => fs::remove_file(path),
        Place::There(ssh) => ssh.run("exec rm -f -- \"$1\"", &[&path.to_string_lossy()]).await.map(drop),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ManagerError::File { action: "remove", path: path.to_path_buf(), error })
        }
        _ => Ok(()),
    }
}

/// For steps of which each is to be done whatever became of the others.
fn keep_first(outcome: &mut Result<(), ManagerError>, step: Result<(), ManagerError>) {
    if outcome.is_ok() {
        *outcome = step;
    }
}
