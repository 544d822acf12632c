//! `gapless try --host`: what is lost is counted here and there.

use serde_json::Value;

use super::machine::{Machine, await_that, result, shown};

/// Requests that the server answered, by its own count of the incarnations that ended.
fn answered(machine: &Machine, log: &str) -> u64 {
    let text = std::fs::read_to_string(machine.counts(log)).expect("an access log");
    u64::try_from(text.lines().filter(|line| line.contains("/health")).count()).expect("few")
}

fn requests(result: &Value, key: &str) -> u64 {
    result["scenarios"][0]["requests"][key].as_u64().expect("a number")
}

#[test]
#[ignore = "runs in the fleet"]
fn a_service_behind_its_socket_loses_nothing_and_the_server_counts_the_same() {
    let mut machine = Machine::new("h1");
    let log = machine.counts("web.log");
    machine.behind_socket("web", 8080, &format!("--access-log {}", log.display()));
    let before = machine.incarnation("web.service");
    // One cohort of new connections: each request is one line of the log.
    let output =
        machine.try_unit("web.service", &["--times", "3", "--every", "2s", "--rate", "100"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let result = result(&output);
    assert_eq!(result["verdict"], "passed");
    assert_eq!(result["scenarios"][0]["dropped"], 0);
    let events = result["scenarios"][0]["events"].as_array().expect("a list");
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["proven"] == true), "{events:#?}");
    assert_ne!(machine.incarnation("web.service"), before, "it was restarted");
    machine.ssh("systemctl stop web.socket web.service");
    // The warmup and the question at the beginning are not counted by the run.
    assert!(answered(&machine, "web.log") >= requests(&result, "ok"), "{result:#}");
    assert_eq!(requests(&result, "due"), requests(&result, "ok"));
    assert_eq!(machine.ledgers(), "");
}

#[test]
#[ignore = "runs in the fleet"]
fn a_service_with_a_port_of_its_own_loses_requests_and_the_cause_is_inferred() {
    let mut machine = Machine::new("h1");
    machine.own_port("own.service", 8081, "--start-delay 200ms");
    let output = machine.try_unit("own.service", &["--times", "2", "--every", "2s"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let result = result(&output);
    let scenario = &result["scenarios"][0];
    assert!(scenario["dropped"].as_u64().is_some_and(|dropped| dropped >= 40), "{}", scenario["dropped"]);
    let text = shown(&output) + &std::fs::read_to_string(machine.folder.path().join("out/report.md")).expect("written");
    assert!(text.contains("no_listener"), "{text}");
    let attested = scenario["attested"].as_object().into_iter().flatten().filter(|(_, count)| **count != 0).count();
    assert_eq!(attested, 0, "nothing of that kernel was seen: {text}");
    let why = format!("gapless {} must be installed there", env!("CARGO_PKG_VERSION"));
    assert!(text.contains("h1 are unseen: cannot start the probe on root@h1") && text.contains(&why), "{text}");
    assert_eq!((machine.state("own.service").as_str(), machine.ledgers().as_str()), ("active", ""));
}

#[test]
#[ignore = "runs in the fleet"]
fn a_service_that_is_killed_there_is_proven_gone_by_its_systemd_and_put_back() {
    let mut machine = Machine::new("h1");
    machine.own_port("kill.service", 8082, "");
    let before = machine.incarnation("kill.service");
    let more = ["--action", "kill", "--times", "1", "--max-unseen", "none"];
    let output = machine.try_unit("kill.service", &more).output().expect("runs");
    let text = std::fs::read_to_string(machine.folder.path().join("out/records/kill.jsonl")).expect("a record");
    assert!(text.contains("the main process of kill.service that was sent SIGKILL is gone"), "{}", shown(&output));
    assert_eq!((machine.state("kill.service").as_str(), machine.ledgers().as_str()), ("active", ""));
    assert_ne!(machine.incarnation("kill.service"), before);
}

#[test]
#[ignore = "runs in the fleet"]
fn a_unit_that_another_run_uses_is_refused_across_machines() {
    let mut machine = Machine::new("h1");
    // Its socket listens all the time, so that the second finds what to load whenever it looks.
    machine.behind_socket("used", 8083, "");
    // However long the others take, it is there until it is interrupted.
    let mut first = machine.start_try("used.service", &["--times", "100", "--every", "2s"]);
    await_that("the first run claims the unit", || machine.ssh("cat /run/gapless/*.jsonl").contains("\"uses\""));
    let before = machine.incarnation("used.service");
    let other = Machine::new("h1");
    let second = other.try_unit("used.service", &["--times", "1"]).output().expect("runs");
    assert_eq!(second.status.code(), Some(4), "{}", shown(&second));
    assert!(shown(&second).contains("another run uses it: used in process"), "{}", shown(&second));
    // And one on that machine itself sees the same.
    let there = machine.ssh(&format!("cd /tmp && {} try used.service --times 1 --yes 2>&1", crate::support::GAPLESS));
    assert!(there.contains("another run uses it: used in process"), "{there}");
    await_that("the first run goes on", || machine.incarnation("used.service") != before);
    let interrupt = format!("kill -INT {}", first.id());
    assert!(std::process::Command::new("sh").args(["-c", &interrupt]).status().expect("sh").success());
    assert_eq!(first.wait().expect("ends").code(), Some(130));
}

#[test]
#[ignore = "runs in the fleet"]
fn a_unit_of_the_users_own_systemd_is_restarted_there() {
    let machine = Machine::new("h1");
    machine.ssh("systemctl start user@0.service; mkdir -p /run/user/0/systemd/user");
    let text =
        format!("[Service]\nType=notify\nExecStart={} demo-server --listen 0.0.0.0:8090", crate::support::GAPLESS);
    machine.ssh(&format!("cat >/run/user/0/systemd/user/u.service <<'UNIT'\n{text}\nUNIT"));
    let systemctl = |words: &str| machine.ssh(&format!("export XDG_RUNTIME_DIR=/run/user/0; systemctl --user {words}"));
    systemctl("daemon-reload");
    systemctl("start u.service");
    let invocation = || systemctl("show --value --property InvocationID u.service");
    let before = invocation();
    let output = machine.try_unit("u.service", &["--manager", "user", "--times", "1"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert_ne!(invocation(), before);
    systemctl("stop u.service");
    machine.ssh("rm /run/user/0/systemd/user/u.service; systemctl stop user@0.service");
}
