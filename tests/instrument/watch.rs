//! Runs `gapless watch` as its users do, and reads what it leaves.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gapless::model::MonoTime;
use serde_json::Value;
use tempfile::TempDir;

/// Runs that measure take turns: two at once would make each other late.
static TURN: Mutex<()> = Mutex::new(());

/// A run that is over.
pub(crate) struct Watched {
    folder: TempDir,
    exit_code: Option<i32>,
    _turn: MutexGuard<'static, ()>,
}

impl Watched {
    /// Runs `gapless watch` with these arguments.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self::run_by(Command::new(env!("CARGO_BIN_EXE_gapless")), arguments)
    }

    /// As [`Self::run`], by a shell that first runs `preparation`.
    pub(crate) fn run_after(preparation: &str, arguments: &[&str]) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-euc", &format!("{preparation}\nexec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_gapless")]);
        Self::run_by(shell, arguments)
    }

    fn run_by(mut command: Command, arguments: &[&str]) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        command.arg("watch").args(arguments).arg("--out").arg(folder.path().join("run"));
        let output = command.output().unwrap();
        let watched = Self { folder, exit_code: output.status.code(), _turn: turn };
        let left = watched.folder.path().join("run/result.json");
        assert!(left.exists(), "{}", String::from_utf8_lossy(&output.stderr));
        watched
    }

    /// Its exit code.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// What came of its one scenario.
    pub(crate) fn scenario(&self) -> Value {
        let text = fs::read_to_string(self.folder.path().join("run/result.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["scenarios"][0].take()
    }

    /// When its first request was due.
    pub(crate) fn first_due(&self) -> MonoTime {
        let record = fs::read_to_string(self.folder.path().join("run/records/watch.jsonl")).unwrap();
        let mut lines = record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let load = lines.find(|line| line["type"] == "phase" && line["phase"] == "load").unwrap();
        MonoTime::from_nanos(load["at"].as_u64().unwrap())
    }
}

/// The check of that name, as `status: actual`.
pub(crate) fn check(scenario: &Value, name: &str) -> String {
    let checks = scenario["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    format!("{}: {}", check["status"].as_str().unwrap(), check["actual"].as_str().unwrap())
}
