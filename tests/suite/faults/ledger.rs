//! A ledger that cannot be used: one error, with its path.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::faults::rig::Running;
use crate::faults::scenario::Scenario;

/// Where root keeps its ledgers.
const PLACE: &str = "/run/gapless";

/// A run ends at once, with one error that names `path`, and has started nothing.
#[track_caller]
fn refused(path: &Path) {
    let scenario = Scenario::new("refused").then("wait = \"100ms\"");
    let run = Running::start(&scenario, "system").end();
    let said = scenario.said();
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error")).collect();
    assert_eq!((run.code, errors.len()), (Some(4), 1), "{said}");
    assert!(errors[0].contains(&*path.to_string_lossy()), "{said}");
    assert!(!scenario.installed("service").exists());
}

/// With something in place of a ledger.
fn refused_with(make: impl FnOnce(&Path)) {
    let _ = fs::create_dir(PLACE);
    fs::set_permissions(PLACE, fs::Permissions::from_mode(0o700)).expect("we are root");
    let path = PathBuf::from(PLACE).join("1-0.jsonl");
    make(&path);
    refused(&path);
    fs::remove_file(&path).expect("it is left as it is");
}

#[test]
#[ignore = "runs in the box"]
fn what_is_not_a_ledger_is_named() {
    refused_with(|path| fs::write(path, "no JSON\n").expect("written"));
    refused_with(|path| fs::write(path, b"\xff\xfe\n").expect("written"));
    refused_with(|path| {
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.expect("it is there").success());
    });
    refused_with(|path| symlink("/etc/passwd", path).expect("made"));
    refused_with(|path| {
        fs::write(path, "").expect("written");
        std::os::unix::fs::chown(path, Some(65534), None).expect("we are root");
    });
}

#[test]
#[ignore = "runs in the box"]
fn a_directory_that_cannot_be_used_is_named() {
    let _ = fs::remove_dir_all(PLACE);
    for make in [(|| fs::write(PLACE, "").expect("written")) as fn(), || symlink("/tmp", PLACE).expect("made")] {
        make();
        refused(Path::new(PLACE));
        fs::remove_file(PLACE).expect("it is left as it is");
    }
    fs::create_dir(PLACE).expect("made");
    fs::set_permissions(PLACE, fs::Permissions::from_mode(0o777)).expect("ours");
    refused(Path::new(PLACE));
    fs::remove_dir(PLACE).expect("it is empty");
}
