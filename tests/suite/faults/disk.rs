//! The disk is full, or may not be written to.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use gapless::model::Verdict;

use crate::faults::rig::{Running, nothing_is_left_of, until};
use crate::faults::scenario::{Scenario, run};
use crate::support::{GAPLESS, turn};

/// A small file system in the scenario's folder.
struct Disk(PathBuf);

impl Disk {
    fn mounted(scenario: &Scenario, options: &str) -> Self {
        let path = scenario.folder().join("disk");
        fs::create_dir(&path).expect("made");
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path.to_str().expect("UTF-8")]);
        Self(path)
    }

    /// Takes up all the space that is left: the file that does.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).expect("made");
        while file.write_all(&[b'x'; 512]).is_ok() {}
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "runs in the box"]
fn a_disk_that_fills_up_ends_the_run_and_what_was_recorded_can_still_be_read() {
    let scenario = Scenario::new("disk-full").restarted(20);
    let disk = Disk::mounted(&scenario, "size=1m");
    let mut run = Running::start_with(&scenario, "embedded", &disk.path().join("out"), |_| {});
    run.await_record("\"type\":\"step_end\"");
    let filler = disk.fill();
    let run = run.end();
    let said = scenario.said();
    assert_eq!(run.code, Some(4), "{said}");
    assert!(said.contains("No space left on device") && said.contains("free space, or use --out elsewhere"), "{said}");
    nothing_is_left_of(&scenario);

    fs::remove_file(filler).expect("it is there");
    assert!(run.record().end.is_none(), "it says that it is incomplete");
    let (code, result) = run.reported();
    assert_eq!((code, result.verdict, result.incomplete), (Some(3), Verdict::Inconclusive, true));
    assert!(result.requests.ok > 0);
}

#[test]
#[ignore = "runs in the box"]
fn a_folder_that_cannot_be_written_to_is_said_before_anything_is_started() {
    let scenario = Scenario::new("read-only").restarted(1);
    let disk = Disk::mounted(&scenario, "size=1m,ro");
    let run = Running::start_with(&scenario, "embedded", &disk.path().join("out"), |_| {}).end();
    let said = scenario.said();
    assert_eq!(run.code, Some(4), "{said}");
    assert!(said.contains("cannot make the folder of this run") && said.contains("use --out elsewhere"), "{said}");
    assert!(!said.contains("setting up"), "{said}");
    until("nothing was started", || !scenario.socket_path().exists());
}

#[test]
fn the_verdict_of_a_whole_record_is_printed_though_its_folder_is_gone() {
    let _turn = turn();
    let scenario = Scenario::new("folder-gone");
    let out = scenario.folder().join("out");
    let scenario = scenario.restarted(1).then(&format!("exec = [\"rm\", \"-rf\", \"{}\"]", out.display()));
    let mut command = Command::new(GAPLESS);
    command.args(["run", "--manager", "embedded", "--out"]).arg(&out).arg(scenario.write());
    let output = command.output().expect("built");
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{shown}{said}");
    assert!(shown.contains("folder-gone"), "the verdict is printed: {shown}{said}");
    assert!(said.contains("the reports are not complete"), "{said}");
    nothing_is_left_of(&scenario);
}
