//! Saved runs, rendered and compared by the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

use crate::support::GAPLESS;

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
    let mut command = Command::new(GAPLESS);
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

/// The published runs that were kept with their records; one without cannot be rendered again.
fn published() -> Vec<PathBuf> {
    let reports = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("reports");
    let folders = fs::read_dir(reports).expect("runs are published").map(|entry| entry.expect("an entry").path());
    folders.filter(|folder| folder.join("records").is_dir()).collect()
}

#[test]
fn a_published_run_renders_to_its_published_bytes() {
    for folder in published() {
        let again = tempfile::tempdir().expect("a temporary folder");
        let kept = files(&folder);
        for (name, bytes) in kept.iter().filter(|(name, _)| name.starts_with("records")) {
            let path = again.path().join(name);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it is free");
            fs::write(path, bytes).expect("it is free");
        }
        gapless().arg("report").arg(again.path()).output().expect("it runs");
        let rendered = files(again.path());
        for (name, bytes) in &rendered {
            let path = folder.join(name);
            assert!(kept.get(name).is_some_and(|kept| kept == bytes), "{} is not what its record says", path.display());
        }
        for name in ["result.json", "report.html", "report.md", "junit.xml"] {
            assert!(rendered.contains_key(Path::new(name)), "{name} is missing in {}", folder.display());
        }
        assert!(rendered.keys().any(|name| name.starts_with("charts")), "{} has no charts", folder.display());
    }
}

#[test]
fn a_published_run_does_not_tell_where_it_was_made() {
    for folder in published() {
        for (name, bytes) in files(&folder) {
            let text = String::from_utf8(bytes).expect("all of it is text");
            for place in ["/home/", "/root/", "/work/", "/tmp/", env!("CARGO_MANIFEST_DIR")] {
                assert!(!text.contains(place), "{} tells of {place}", folder.join(&name).display());
            }
        }
    }
}

#[test]
fn a_record_that_was_cut_in_a_line_is_rendered_as_incomplete_and_never_passed() {
    let run = saved_run(&["ledger-socket"]);
    let path = run.path().join("records/ledger-socket.jsonl");
    let whole = fs::read(&path).expect("the record");
    let first_line = whole.iter().position(|&byte| byte == b'\n').expect("it has lines") + 1;
    let cuts = [first_line, first_line + 10, whole.len() / 2, whole.len() - 40, whole.len() - 1];
    for cut in cuts {
        fs::write(&path, &whole[..cut]).expect("it is writable");
        gapless().arg("report").arg(run.path()).assert().code(3);
        let result = fs::read_to_string(run.path().join("result.json")).expect("it is rendered");
        assert!(result.contains("\"incomplete\": true"), "cut at {cut}: {result}");
        gapless().arg("report").arg(run.path()).assert().code(3);
        assert_eq!(fs::read_to_string(run.path().join("result.json")).expect("rendered"), result);
    }
    // Of a record whose first line is not whole, nothing is known.
    fs::write(&path, &whole[..first_line - 2]).expect("it is writable");
    gapless().arg("report").arg(run.path()).assert().code(4);
}

#[test]
fn a_record_that_was_edited_is_refused() {
    let run = saved_run(&["ledger-plain"]);
    let path = run.path().join("records/ledger-plain.jsonl");
    let text = fs::read_to_string(&path).expect("the record");
    fs::write(&path, text.replacen("\"ok\":", "\"ok\": ", 1)).expect("it is writable");
    let assert = gapless().arg("report").arg(run.path()).assert().code(4);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(stderr.contains("was changed after it was written"), "{stderr}");
}

#[test]
fn a_comparison_says_first_what_is_worse_new_and_gone() {
    let (before, after) =
        (saved_run(&["ledger-socket", "ledger-plain"]), saved_run(&["ledger-socket", "ledger-incomplete"]));
    let output = gapless().arg("compare").arg(before.path()).arg(after.path()).output().expect("it runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(stdout.starts_with("As before: 1 of 3. New: ledger-incomplete. Gone: ledger-plain.\n"), "{stdout}");
}

#[test]
fn more_than_two_runs_are_set_next_to_each_other_and_each_is_judged_against_the_first() {
    let [first, plain, again] = ["ledger-socket", "ledger-plain", "ledger-socket"].map(|name| saved_run(&[name]));
    let compare = |more: &[&str]| {
        let mut compare = gapless();
        compare.arg("compare").args([first.path(), plain.path(), again.path()]).args(more);
        let output = compare.output().expect("it runs");
        (output.status.code(), output.stdout, String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, json, _) = compare(&["--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let names: Vec<_> = rows.iter().map(|row| row["scenario"].as_str().expect("a name")).collect();
    assert_eq!((code, names), (Some(0), vec!["ledger-socket", "ledger-socket", "ledger-plain"]));
    assert_eq!(rows[0]["dropped"], 0);
    for (format, beginning) in
        [("svg", "<svg "), ("html", "<!doctype html>"), ("markdown", "# 3 runs"), ("table", "3 runs")]
    {
        let (_, text, _) = compare(&["--format", format]);
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.starts_with(beginning) && text.contains("ledger-plain"), "{format}: {text}");
    }
    let (code, _, said) = compare(&["--fail-on", "p99 +1%"]);
    assert!(code == Some(1) && said.matches("it was not run").count() == 1, "the second lacks the scenario: {said}");
}

#[test]
fn a_run_of_several_scenarios_has_one_chart_of_all_and_a_run_of_one_has_none() {
    let several = saved_run(&["ledger-socket", "ledger-plain"]);
    let _ = gapless().arg("report").arg(several.path()).assert();
    let chart = fs::read_to_string(several.path().join("charts/comparison.svg")).expect("it is there");
    let page = fs::read_to_string(several.path().join("report.html")).expect("it is there");
    let markdown = fs::read_to_string(several.path().join("report.md")).expect("it is there");
    for text in [&chart, &page] {
        assert!(text.contains("longest stall") && text.contains("requests lost"), "{text}");
    }
    assert!(markdown.contains("```text\n") && markdown.contains('█'), "{markdown}");
    let one = saved_run(&["ledger-socket"]);
    let _ = gapless().arg("report").arg(one.path()).assert();
    assert!(!one.path().join("charts/comparison.svg").exists());
}

#[test]
fn the_schemas_are_json() {
    for of in ["scenario", "result"] {
        let output = gapless().args(["schema", of]).output().expect("it runs");
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(schema["properties"].is_object(), "{of}: {schema}");
    }
}

/// What `report` says of a run whose only record was changed, with its exit code.
fn report_of(change: impl FnOnce(&str) -> String) -> (Option<i32>, String, String) {
    let run = saved_run(&["ledger-socket"]);
    let path = run.path().join("records/ledger-socket.jsonl");
    let text = fs::read_to_string(&path).expect("it is there");
    let changed = change(&text);
    assert_ne!(changed, text);
    fs::write(&path, changed).expect("written");
    let output = gapless().arg("report").arg(run.path()).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_record_that_cannot_be_trusted_is_refused_with_its_path_and_the_reason() {
    let refused = |change: &dyn Fn(&str) -> String, reason: &str| {
        let (code, stdout, stderr) = report_of(change);
        assert_eq!((code, stdout.as_str()), (Some(4), ""), "{stderr}");
        assert!(stderr.contains("ledger-socket.jsonl") && stderr.contains(reason), "{stderr}");
    };
    let lines = |text: &str, change: &dyn Fn(&mut Vec<&str>)| {
        let mut lines: Vec<&str> = text.lines().collect();
        change(&mut lines);
        lines.join("\n") + "\n"
    };
    refused(&|text| text.replacen("gapless/record/1", "gapless/record/2", 1), "use the version that wrote it");
    refused(&|text| text.replacen("\"ok\":", "\"ok\": ", 1), "changed after it was written: its checksum");
    refused(
        &|text| {
            lines(text, &|lines| {
                lines.remove(3);
            })
        },
        "changed after it was written: its number of lines",
    );
    refused(&|text| lines(text, &|lines| lines.push("{}")), "continues after its end marker");
    refused(&|text| lines(text, &|lines| lines[2] = "{\"type\":\"rows\""), "line 3 of the record is damaged");
    refused(
        &|text| {
            lines(text, &|lines| {
                lines.remove(0);
            })
        },
        "this is not a record",
    );
    refused(&|_| String::new(), "this is not a record");
    let far_away = "{\"type\":\"phase\",\"phase\":\"load\",\"at\":18446744073709551615}";
    refused(&|text| lines(text, &|lines| lines[1] = far_away), "line 2 of the record is damaged: its time");
}

#[test]
fn a_record_that_was_cut_in_the_middle_of_a_line_is_reported_as_incomplete() {
    let (code, stdout, _) = report_of(|text| text[..text.len() - 40].to_owned());
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.starts_with("INCONCLUSIVE"), "{stdout}");
}
