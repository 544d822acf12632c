//! The manager with units of a test, and units that are not its own.

use std::cell::RefCell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use gapless::host::Local;
use gapless::manager::ledger::{Ledger, Owner};
use gapless::manager::systemd::{Options, SystemdManager};
use gapless::manager::{Job, Manager};
use gapless::model::{ActiveState, JobResult, UnitName, UnitSnapshot, UnitVerb};
use gapless::record::line::UnitChange;
use gapless::scenario::plan::UnitFile;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const SLEEPER: &str = "[Service]\nExecStart=sleep infinity\n";

/// Far beyond what anything here takes: a test that waits for what never comes fails rather than hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn owner() -> Owner {
    Owner::this_process("test", String::new())
}

/// The manager, with the units of a test.
pub(crate) struct Rig {
    pub(crate) manager: SystemdManager,
    pub(crate) changes: UnboundedReceiver<UnitChange>,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) place: PathBuf,
}

impl Rig {
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().expect("a place for files").keep();
        Self::with_ledger_in(place, files).await
    }

    pub(crate) async fn with_ledger_in(place: PathBuf, files: &[(&str, &str)]) -> Self {
        let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.join("ledger"), owner()).expect("opens")));
        let options = Options { ledger: Rc::clone(&ledger), host: Some(Rc::new(Local)), force: false, restores: true };
        let mut manager = SystemdManager::system(options).await.expect("systemd is there");
        let files: Vec<UnitFile> = files
            .iter()
            .map(|(name, text)| UnitFile { unit: unit(name), text: (*text).to_owned(), is_private: false })
            .collect();
        manager.install(&files).await.expect("installed");
        for file in files.iter().filter(|file| !file.unit.as_str().contains('@')) {
            manager.hold(&file.unit).await.expect("held");
        }
        let changes = manager.take_changes().expect("once");
        Self { manager, changes, ledger, place }
    }

    pub(crate) async fn perform(&self, name: &str, verb: UnitVerb) -> Job {
        within(self.manager.perform(&unit(name), verb)).await.expect("the harness can do its job")
    }

    pub(crate) async fn done(&self, name: &str, verb: UnitVerb) {
        let job = self.perform(name, verb).await;
        assert_eq!(job.result, JobResult::Done, "{verb} {name}: {:?}", job.reason);
    }

    pub(crate) async fn look(&self, name: &str) -> UnitSnapshot {
        self.manager.snapshot(&unit(name)).await.expect("answers")
    }

    /// Waits for a change of the unit to that state.
    pub(crate) async fn becomes(&mut self, name: &str, active_state: ActiveState) -> UnitChange {
        let awaited = async {
            loop {
                let change = self.changes.recv().await.expect("the manager lives");
                if change.unit.as_str() == name && change.active_state == active_state {
                    return change;
                }
            }
        };
        within(awaited).await
    }

    /// Takes everything away and sees that nothing is left.
    pub(crate) async fn end(mut self, names: &[&str]) {
        self.manager.uninstall().await.expect("removed");
        for name in names {
            assert_eq!(self.look(name).await.active_state, ActiveState::Inactive, "{name}");
            assert!(!installed_path(name).exists(), "{name}");
        }
        assert_eq!(self.ledger.borrow().outstanding().count(), 0);
        drop(self.manager);
        std::fs::remove_dir_all(self.place).expect("ours");
    }
}

pub(crate) async fn within<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, awaited).await.expect("comes in time")
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("valid")
}

pub(crate) fn installed_path(name: &str) -> PathBuf {
    Path::new("/run/systemd/system").join(name)
}

/// A unit that is there independently of the harness.
pub(crate) struct Foreign(pub(crate) &'static str);

impl Foreign {
    pub(crate) fn new(name: &'static str, text: &str) -> Self {
        std::fs::write(installed_path(name), text).expect("we are root");
        systemctl(&["daemon-reload"]);
        Self(name)
    }
}

impl Foreign {
    /// Another name of a unit that is there.
    pub(crate) fn new_alias(name: &'static str, of: &str) -> Self {
        std::os::unix::fs::symlink(of, installed_path(name)).expect("we are root");
        systemctl(&["daemon-reload"]);
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").args(["kill", "--signal=KILL", self.0]).stderr(Stdio::null()).status();
        let _ = Command::new("systemctl").args(["stop", self.0]).stderr(Stdio::null()).status();
        let _ = std::fs::remove_file(installed_path(self.0));
        let _ = Command::new("systemctl").arg("daemon-reload").status();
    }
}

pub(crate) fn systemctl(arguments: &[&str]) {
    let status = Command::new("systemctl").args(arguments).status().expect("systemctl is there");
    assert!(status.success(), "systemctl {arguments:?}");
}

pub(crate) fn is_active(name: &str) -> bool {
    Command::new("systemctl").args(["is-active", "--quiet", name]).status().expect("systemctl is there").success()
}
