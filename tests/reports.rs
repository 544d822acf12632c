//! Saved runs, rendered and compared by the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// The folder of a run that left these fixture records.
fn saved_run(fixtures: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let records = folder.path().join("records");
    fs::create_dir(&records).expect("it is empty");
    for name in fixtures {
        let fixture =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).with_extension("jsonl");
        fs::copy(&fixture, records.join(name).with_extension("jsonl")).expect("the fixture is there");
    }
    folder
}

fn gapless() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gapless"));
    command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
    command
}

/// Every file below `folder`, by its path from there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is below").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn a_saved_run_renders_to_the_same_bytes_wherever_and_whenever() {
    let fixtures = ["ledger-plain", "ledger-socket", "ledger-incomplete"];
    let (here, there) = (saved_run(&fixtures), saved_run(&fixtures));
    gapless().arg("report").arg(here.path()).assert().code(1);
    let first = files(here.path());
    gapless().arg("report").arg(here.path()).env("TZ", "Asia/Tokyo").env("COLUMNS", "40").assert().code(1);
    gapless().arg("report").arg(there.path()).assert().code(1);
    assert!(first == files(here.path()), "rendered again, the files differ");
    assert!(first == files(there.path()), "rendered in another folder, the files differ");
    for name in ["result.json", "report.html", "report.md", "junit.xml", "charts/ledger-plain-timeline.svg"] {
        assert!(first.contains_key(Path::new(name)), "{name} is missing");
    }
}

#[test]
fn one_report_that_cannot_be_written_does_not_keep_the_others() {
    let run = saved_run(&["ledger-socket"]);
    fs::create_dir(run.path().join("report.html")).expect("it is free");
    gapless().arg("report").arg(run.path()).assert().code(4);
    let written = files(run.path());
    for name in ["result.json", "report.md", "junit.xml"] {
        assert!(written.contains_key(Path::new(name)), "{name} is missing");
    }
}

#[test]
fn a_comparison_fails_only_when_a_gate_trips() {
    let (socket, plain) = (saved_run(&["ledger-socket"]), saved_run(&["ledger-plain"]));
    let compare = |before: &TempDir, after: &TempDir, gate: &str| {
        gapless().arg("compare").arg(before.path()).arg(after.path()).args(["--fail-on", gate]).assert()
    };
    compare(&socket, &socket, "p99 +0%").code(0);
    compare(&socket, &plain, "dropped +0").code(1);
    compare(&socket, &socket, "p98 +0%").code(2);
    gapless().arg("compare").arg(socket.path()).arg(plain.path()).assert().code(0);
}

#[test]
fn every_format_goes_to_stdout_whole() {
    let run = saved_run(&["ledger-socket"]);
    for (format, beginning) in [("json", "{"), ("markdown", "## **PASSED**"), ("junit", "<?xml"), ("table", "PASSED")] {
        let output = gapless().arg("report").arg(run.path()).args(["--format", format]).output().expect("it runs");
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(stdout.starts_with(beginning) && stdout.ends_with('\n'), "{format}: {stdout}");
    }
}
