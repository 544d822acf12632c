//! `gapless try --host` where the same gapless is installed on the machine, where another one is, and where it is killed in the
//! middle.

use std::fs;
use std::path::PathBuf;

use gapless::model::{Cause, FailureClass, Verdict};
use gapless::record::line::Line;
use gapless::record::segment::Scope;
use gapless::result::ScenarioResult;

use super::machine::{Machine, await_that, shown};
use crate::support::{GAPLESS, lines_of, not_as_said, result_in};

/// What stands at `/usr/local/bin/gapless` of a machine, for as long as this lives.
struct Installed(&'static str);

impl Installed {
    /// This gapless.
    fn here(machine: &Machine) -> Self {
        machine.ssh(&format!("ln -s {GAPLESS} /usr/local/bin/gapless"));
        assert_eq!(machine.ssh("readlink /usr/local/bin/gapless"), GAPLESS);
        Self(machine.name)
    }

    /// A program that says this, and ends.
    fn saying(machine: &Machine, line: &str) -> Self {
        machine.ssh(&format!(
            "cat >/usr/local/bin/gapless <<'SCRIPT'\n#!/bin/sh\necho '{line}'\nSCRIPT\nchmod 0755 /usr/local/bin/gapless"
        ));
        assert!(machine.ssh("gapless").contains(line));
        Self(machine.name)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        Machine::new(self.0).ssh("rm -f /usr/local/bin/gapless");
    }
}

fn out(machine: &Machine) -> PathBuf {
    machine.folder.path().join("out")
}

fn scenario(machine: &Machine) -> ScenarioResult {
    result_in(&out(machine)).scenarios.remove(0)
}

fn notes(scenario: &ScenarioResult) -> Vec<&str> {
    scenario.notes.iter().map(|note| note.message.as_str()).collect()
}

/// Requests of the warmup that were `ok`.
fn warmup_ok(machine: &Machine, name: &str) -> u64 {
    let lines = lines_of(&out(machine).join(format!("records/{name}.jsonl")));
    let rows = lines.into_iter().filter_map(|line| match line {
        Line::Rows(rows) if rows.scope == Scope::Warmup => Some(rows.rows),
        _ => None,
    });
    rows.flatten().map(|row| row.ok).sum()
}

#[test]
#[ignore = "runs in the fleet"]
fn what_a_service_with_a_port_of_its_own_loses_is_attested_by_its_machine_and_is_what_the_server_did_not_count() {
    let mut machine = Machine::new("h1");
    let _installed = Installed::here(&machine);
    let log = machine.counts("attested.log");
    machine.own_port("attested.service", 8101, &format!("--start-delay 300ms --access-log {}", log.display()));
    let url = format!("http://{}:8101/health?counted", machine.address());
    let more = ["--times", "2", "--every", "2s", "--url", &url, "--expect-status", "200"];
    let output = machine.try_unit("attested.service", &more).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let scenario = scenario(&machine);
    let told: Vec<&str> = scenario.evidence.iter().map(|evidence| evidence.sentence.as_str()).collect();
    assert!(scenario.attested.get(&Cause::NoListener).is_some_and(|count| *count > 0), "{told:#?}");
    assert!(scenario.events.iter().all(|event| event.proven == Some(true)), "{:#?}", scenario.events);

    let notes = notes(&scenario);
    let by = "the kernel's trace and the journal of root@h1 are seen by `gapless probe`";
    assert!(notes.iter().any(|note| note.contains(by) && note.contains(env!("CARGO_PKG_VERSION"))), "{notes:#?}");
    assert!(notes.iter().any(|note| note.starts_with("clock of root@h1: ")), "{notes:#?}");
    assert!(!notes.iter().any(|note| note.contains("unseen")), "{notes:#?}");

    machine.ssh("systemctl stop attested.service");
    let text = fs::read_to_string(log).expect("an access log");
    let counted = u64::try_from(text.lines().filter(|line| line.contains("?counted")).count()).expect("few");
    let answered = counted - warmup_ok(&machine, "attested");
    let requests = &scenario.requests;
    let refused = scenario.outcomes[&FailureClass::Refused];
    // It was asked once before. What was answered and lost on its way is in the log and no `ok`.
    let lost_on_the_way = scenario.dropped - refused;
    assert!(refused > 0, "{:?}", scenario.outcomes);
    assert!((requests.ok..=requests.ok + lost_on_the_way + 1).contains(&answered), "{answered} {requests:?}");
    assert_eq!(machine.ledgers(), "");
}

#[test]
#[ignore = "runs in the fleet"]
fn the_listener_of_a_socket_unit_is_seen_to_stay_and_its_processes_to_be_replaced() {
    let mut machine = Machine::new("h1");
    let _installed = Installed::here(&machine);
    machine.behind_socket("stays", 8102, "");
    let (main_pid, incarnation) =
        (machine.ssh("systemctl show --value --property MainPID stays.service"), machine.incarnation("stays.service"));
    let output = machine.try_unit("stays.service", &["--times", "2", "--every", "2s"]).output().expect("runs");
    let scenario = scenario(&machine);
    assert_eq!(not_as_said(&scenario), None, "{}", shown(&output));
    assert_eq!(scenario.dropped, 0);
    for event in &scenario.events {
        assert_eq!((event.proven, event.listener_inode_changed), (Some(true), Some(false)), "{event:#?}");
    }
    let old = scenario.checks.iter().find(|check| check.name == "end.old_processes").expect("it is checked");
    assert_eq!((old.status, old.actual.as_str()), (Verdict::Passed, "none"));
    assert_eq!(machine.ssh(&format!("ls -d /proc/{main_pid}")), "", "the process is gone, as its kernel tells");
    assert_ne!(machine.incarnation("stays.service"), incarnation);
}

#[test]
#[ignore = "runs in the fleet"]
fn all_processes_of_a_killed_service_are_seen_to_end() {
    let mut machine = Machine::new("h1");
    let _installed = Installed::here(&machine);
    machine.own_port("killed.service", 8103, "");
    let main_pid = || machine.ssh("systemctl show --value --property MainPID killed.service");
    let before = main_pid();
    let more = ["--action", "kill", "--times", "1", "--max-unseen", "none"];
    let output = machine.try_unit("killed.service", &more).output().expect("runs");
    let text = fs::read_to_string(out(&machine).join("records/killed.jsonl")).expect("a record");
    assert!(text.contains("the processes of killed.service that were sent SIGKILL are gone"), "{}", shown(&output));
    assert_eq!(machine.state("killed.service"), "active");
    assert_eq!(machine.ssh(&format!("ls -d /proc/{before}")), "", "the process is gone, as its kernel tells");
    assert!(![before.as_str(), "0", ""].contains(&main_pid().as_str()), "there is another one");
}

#[test]
#[ignore = "runs in the fleet"]
fn another_version_is_not_asked_and_what_is_unseen_is_said() {
    let mut machine = Machine::new("h1");
    let _installed = Installed::saying(&machine, r#"{"format":"gapless/probe/0","version":"0.0.1"}"#);
    machine.own_port("other.service", 8104, "");
    let output = machine.try_unit("other.service", &["--times", "1"]).output().expect("runs");
    let scenario = scenario(&machine);
    let notes = notes(&scenario);
    let why = "root@h1 are unseen: gapless on root@h1 is 0.0.1 (gapless/probe/0)";
    assert!(notes.iter().any(|note| note.contains(why)), "{notes:#?} {}", shown(&output));
    assert!(scenario.attested.is_empty(), "{:?}", scenario.attested);
    assert!(scenario.events.iter().all(|event| event.proven == Some(true)), "{:#?}", scenario.events);
}

#[test]
#[ignore = "runs in the fleet"]
fn a_probe_that_is_killed_in_the_middle_leaves_the_rest_unseen_and_the_verdict_inconclusive() {
    let mut machine = Machine::new("h1");
    let _installed = Installed::here(&machine);
    machine.behind_socket("blinded", 8105, "");
    let before = machine.incarnation("blinded.service");
    let child = machine.start_try("blinded.service", &["--times", "2", "--every", "10s"]);
    await_that("the first restart", || machine.incarnation("blinded.service") != before);
    let probes = machine.ssh("pgrep --full --exact 'gapless probe'");
    assert_eq!(probes.lines().count(), 1, "{probes}");
    machine.ssh(&format!("kill -KILL {probes}"));
    let output = child.wait_with_output().expect("ends");
    let scenario = scenario(&machine);
    // On a machine that is busy enough a request may take too long.
    let (verdict, code) = if scenario.dropped == 0 { (Verdict::Inconclusive, 3) } else { (Verdict::Failed, 1) };
    assert_eq!((scenario.verdict, output.status.code()), (verdict, Some(code)), "{}", shown(&output));
    let notes = notes(&scenario);
    let doubt = "was not seen: the connection to the probe on root@h1 is lost";
    assert_eq!(notes.iter().filter(|note| note.contains(doubt)).count(), 1, "{notes:#?}");
    // systemd is still asked.
    assert_eq!(scenario.events.len(), 2);
    assert!(scenario.events.iter().all(|event| event.proven == Some(true)), "{:#?}", scenario.events);
    let of_state = |name: &str| name.starts_with("end.") || name.starts_with("latent.");
    let failed = scenario.checks.iter().filter(|check| check.status == Verdict::Failed && of_state(&check.name));
    assert_eq!(failed.count(), 0, "{:#?}", scenario.checks);
    assert_eq!((machine.state("blinded.service").as_str(), machine.ledgers().as_str()), ("active", ""));
}
