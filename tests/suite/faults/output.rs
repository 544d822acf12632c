//! Streams that go away, and limits on descriptors.

use std::process::{Command, Stdio};

use gapless::model::Verdict;

use crate::faults::rig::{Running, nothing_is_left_of};
use crate::faults::scenario::Scenario;
use crate::support::GAPLESS;

fn code_of(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Failed => 1,
        Verdict::Inconclusive => 3,
    }
}

#[test]
fn readers_that_went_away_change_nothing_about_the_run() {
    let scenario = Scenario::new("unread").restarted(1);
    let out = scenario.folder().join("out");
    let mut run = Running::start_with(&scenario, "embedded", &out, |command| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    drop((run.child().stdout.take(), run.child().stderr.take()));
    let run = run.end();
    assert_eq!(run.code, Some(code_of(run.result().verdict)));
    assert!(run.record().end.is_some());
    nothing_is_left_of(&scenario);
}

#[test]
fn no_command_minds_a_reader_that_went_away() {
    for arguments in [&["--help"][..], &["run", "--help"], &["schema", "result"], &["completions", "bash"]] {
        let mut command = Command::new(GAPLESS);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is built");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_limit_on_descriptors_that_the_load_would_meet_is_said_before_it_starts() {
    let scenario = Scenario::new("few-descriptors").with_target("timeout = \"1s\"").restarted(1);
    let limited = format!("ulimit -n 40 && exec {GAPLESS} \"$@\"");
    let path = scenario.write();
    let out = scenario.folder().join("out");
    let output = Command::new("sh")
        .args(["-c", &limited, "sh", "run", "--manager", "embedded", "--out"])
        .args([&out, &path])
        .output()
        .expect("sh is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("file descriptors, the limit is 40") && said.contains("ulimit -n"), "{said}");
    nothing_is_left_of(&scenario);
}
