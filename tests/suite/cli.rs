//! The command line as scripts see it: exit codes, streams, and the folder a run leaves.

use std::fs;
use std::path::Path;
use std::sync::MutexGuard;

use assert_cmd::Command;
use gapless::demo::server::{Background, ServerOptions};
use gapless::model::Endpoint;
use tempfile::TempDir;

use crate::support::{GAPLESS, assert_passed_unless_late, result_in, turn};

/// A folder with one scenario, and what its run leaves.
struct Bench {
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn with(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("scenario.toml"), scenario).expect("written");
        Self { folder, _turn: turn() }
    }

    /// A scenario that only loads `server` for a second, so that a single late request does not decide its p99, and expects `expect`.
    fn loading(server: &Background, expect: &str) -> Self {
        let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
        Self::with(&format!(
            "name = \"load\"\n[target]\nurl = \"http://{address}/health\"\n[run]\nwarmup = \"100ms\"\ncooldown = \"0s\"\n\
             [[steps]]\nwait = \"1s\"\n[expect]\n{expect}\n"
        ))
    }

    /// From now on every answer is wrong, and no warmup waits for a good one.
    fn expect_404(&self) {
        let scenario = fs::read_to_string(self.path().join("scenario.toml")).expect("it is there");
        let with_404 = scenario.replace("[run]\nwarmup = \"100ms\"", "expect_status = [404]\n[run]\nwarmup = \"0s\"");
        assert_ne!(with_404, scenario);
        fs::write(self.path().join("scenario.toml"), with_404).expect("written");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn gapless(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(GAPLESS);
        command.current_dir(self.path()).args(arguments).env_remove("XDG_RUNTIME_DIR");
        command
    }
}

fn server() -> Background {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    Background::start(ServerOptions::listening_on(vec![anywhere])).expect("it listens")
}

#[test]
fn a_run_that_keeps_its_bounds_exits_0_and_leaves_its_folder() {
    let server = server();
    let bench = Bench::loading(&server, "");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out", "--format", "json"]).assert();
    let output = run.get_output();
    assert_passed_unless_late(output, &result_in(&bench.path().join("out")));
    let saved = fs::read(bench.path().join("out/result.json")).expect("it is there");
    assert_eq!(output.stdout, saved, "--format json prints the same document");
    assert!(String::from_utf8_lossy(&output.stderr).contains("saved in out"));
    assert!(bench.path().join("out/records/load.jsonl").exists());
}

#[test]
fn a_wrong_answer_where_none_is_allowed_exits_1() {
    let server = server();
    let bench = Bench::loading(&server, "");
    bench.expect_404();
    bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(1);
}

#[test]
fn a_run_that_is_worse_than_its_baseline_exits_1_only_if_a_gate_says_so() {
    let server = server();
    let bench = Bench::loading(&server, "wrong = \">= 0\"");
    // On a busy machine a verdict may be `inconclusive`; a gate is decisive there, too.
    drop(bench.gapless(&["run", "scenario.toml", "--out", "before"]).assert());
    bench.expect_404();
    let compared = ["run", "scenario.toml", "--baseline", "before", "--out"];
    let ungated = bench.gapless(&[&compared[..], &["after"]].concat()).assert();
    assert_ne!(ungated.get_output().status.code(), Some(1));
    let gated = bench.gapless(&[&compared[..], &["gated", "--fail-on", "wrong +0"]].concat()).assert().code(1);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&gated.get_output().stdout), text(&gated.get_output().stderr));
    assert!(stdout.contains("\n\nload: "), "the comparison stands below the result: {stdout}");
    assert!(stderr.contains("worse than allowed: load: wrong was 0 and is "), "{stderr}");
}

#[test]
fn a_report_renders_the_same_bytes_from_the_record_alone() {
    let server = server();
    let bench = Bench::loading(&server, "");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    let exit_code = run.get_output().status.code().expect("it exited");
    let result = fs::read(bench.path().join("out/result.json")).expect("it is there");
    fs::remove_file(bench.path().join("out/result.json")).expect("removed");
    fs::remove_file(bench.path().join("scenario.toml")).expect("removed");
    let report = bench.gapless(&["report", "out"]).assert().code(exit_code);
    assert_eq!(report.get_output().stdout, run.get_output().stdout);
    assert_eq!(fs::read(bench.path().join("out/result.json")).expect("it is back"), result);
}

#[test]
fn a_target_that_never_answers_before_the_first_step_is_inconclusive() {
    let bench = Bench::with(
        "name = \"nobody\"\n[target]\nurl = \"http://127.0.0.1:9/\"\ntimeout = \"100ms\"\n[run]\nready_timeout = \"300ms\"\n",
    );
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(3);
    let table = String::from_utf8_lossy(&run.get_output().stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.contains("failed in the warmup (keep-alive:") && table.contains(" refused, new:"), "{table}");
}

#[test]
fn a_tcp_target_that_speaks_but_never_closes_is_told_to_want_an_expectation() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tcp://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            // A client that has given up is none of its business.
            let _ = std::io::Write::write_all(&mut stream, b"hello\n");
            kept.push(stream);
        }
    });
    let reasons = |expect_body: &str| {
        let target = format!("name = \"tcp\"\n[target]\nurl = \"{url}\"\ntimeout = \"100ms\"\n{expect_body}\n");
        let bench = Bench::with(&format!("{target}[run]\nready_timeout = \"300ms\"\nwarmup = \"100ms\"\n"));
        let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
        (run.get_output().status.code(), scenario_result(&bench)["reasons"].to_string())
    };
    let hint = "without expect_body, an answer to new is whole only when the target closes the connection";
    let (code, unsaid) = reasons("");
    assert!(code == Some(3) && unsaid.contains(hint), "{unsaid}");
    let (code, other) = reasons("expect_body = \"bye\"");
    assert!(code == Some(3) && other.contains("not every cohort") && !other.contains(hint), "{other}");
    let (_, said) = reasons("expect_body = \"hello\"");
    assert!(!said.contains("not every cohort"), "{said}");
}

#[test]
fn a_scenario_with_a_mistake_exits_2_and_names_the_place() {
    let bench = Bench::with("name = \"x\"\n[target]\nurl = \"http://127.0.0.1:9/\"\nmethdo = \"GET\"\n");
    let run = bench.gapless(&["run", "scenario.toml"]).assert().code(2);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(stderr.contains("scenario.toml:4:1") && stderr.contains("method"), "{stderr}");
    assert!(!bench.path().join("reports").exists(), "nothing was started");
}

#[test]
fn wrong_usage_exits_2() {
    let bench = Bench::with("");
    bench.gapless(&["run"]).assert().code(2);
    bench.gapless(&["no-such-command"]).assert().code(2);
}

#[test]
fn a_manager_that_is_not_there_exits_4_with_the_remedy() {
    let bench = Bench::with(
        "name = \"x\"\n[target]\nurl = \"http://127.0.0.1:9/\"\n[units]\nservice = \"x.service\"\n[[steps]]\nrestart = \"service\"\n",
    );
    let run = bench.gapless(&["run", "scenario.toml", "--manager", "user", "--out", "out"]).assert().code(4);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(stderr.contains("XDG_RUNTIME_DIR"), "{stderr}");
    assert!(bench.path().join("out/records/x.jsonl").exists(), "there is a record even so");
}

#[test]
fn a_folder_that_holds_something_is_never_written_to() {
    let server = server();
    let bench = Bench::loading(&server, "");
    fs::create_dir(bench.path().join("out")).expect("made");
    fs::write(bench.path().join("out/precious"), "").expect("written");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(4);
    assert!(String::from_utf8_lossy(&run.get_output().stderr).contains("is not empty"));
}

#[test]
fn a_command_that_fails_as_a_step_fails_the_run() {
    let server = server();
    let bench = Bench::loading(&server, "");
    let scenario = fs::read_to_string(bench.path().join("scenario.toml")).expect("it is there");
    let with_exec = scenario.replace("wait = \"1s\"", "exec = [\"sh\", \"-c\", \"echo half-way; exit 3\"]");
    fs::write(bench.path().join("scenario.toml"), with_exec).expect("written");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(1);
    assert!(String::from_utf8_lossy(&run.get_output().stdout).contains("ended with exit status: 3"));
    let record = fs::read_to_string(bench.path().join("out/records/load.jsonl")).expect("it is there");
    assert!(record.contains("half-way"), "its output is in the record");
}

/// A run of these steps against `server`, each of which may create `went-on` behind a gate.
fn with_steps(server: &Background, steps: &str, expect: &str) -> Bench {
    let bench = Bench::loading(server, expect);
    let scenario = fs::read_to_string(bench.path().join("scenario.toml")).expect("it is there");
    let with_steps = scenario.replace("[[steps]]\nwait = \"1s\"\n", steps);
    assert_ne!(with_steps, scenario);
    fs::write(bench.path().join("scenario.toml"), with_steps).expect("written");
    bench
}

const GO_ON: &str = "[[steps]]\nexec = [\"touch\", \"went-on\"]\n";

fn result(bench: &Bench) -> serde_json::Value {
    let saved = fs::read(bench.path().join("out/result.json")).expect("it is there");
    serde_json::from_slice(&saved).expect("JSON")
}

#[test]
fn the_requests_of_a_step_are_a_cohort_of_their_own_and_a_gate_that_holds_lets_the_run_go_on() {
    let server = server();
    let steps = "[[steps]]\nrequest = { path = \"/health\", times = 12, every = \"10ms\" }\ntimes = 2\n\
                 [[steps]]\ngate = { dropped = 0, wrong = 0 }\n";
    let bench = with_steps(&server, &format!("{steps}{GO_ON}"), "");
    // How late the load was, and so the verdict, is not what this is about.
    let _ = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    assert!(bench.path().join("went-on").exists());
    let scenario = &result(&bench)["scenarios"][0];
    let cohort = scenario["cohorts"].as_array().expect("cohorts").iter().find(|cohort| cohort["name"] == "request-1");
    assert_eq!(
        cohort.expect("it is there")["requests"],
        serde_json::json!({ "due": 24, "ok": 24, "failed": 0, "unsent": 0, "warmup": 0 })
    );
    let record = fs::read_to_string(bench.path().join("out/records/load.jsonl")).expect("it is there");
    assert_eq!(record.lines().filter(|line| line.starts_with("{\"type\":\"request\"")).count(), 24);
}

#[test]
fn a_gate_that_does_not_hold_ends_the_run_there() {
    let server = server();
    // The demo server knows /health and /, and answers 404 to anything else.
    let steps = "[[steps]]\nrequest = { path = \"/none\", times = 3 }\nexpect = { wrong = 3 }\n\
                 [[steps]]\ngate = { dropped = 0, wrong = 2 }\n";
    let bench = with_steps(&server, &format!("{steps}{GO_ON}"), "");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(1);
    assert!(!bench.path().join("went-on").exists());
    let stdout = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(stdout.contains("The gate of step 2 did not hold: 3 of "), "{stdout}");
    assert!(stdout.contains("were answered wrong; expected: at most 2."), "{stdout}");
    let result = result(&bench);
    let events = result["scenarios"][0]["events"].as_array().expect("events");
    assert_eq!(events[0]["outcomes"], serde_json::json!({ "unexpected_status": 3 }));
    assert_eq!(events.len(), 2, "what comes after the gate was not begun");
}

#[test]
fn a_gate_in_doubt_is_shut_and_the_verdict_is_inconclusive() {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let faults = vec!["close-before@every=20".parse().expect("a fault")];
    let options = ServerOptions { faults, ..ServerOptions::listening_on(vec![anywhere]) };
    let server = Background::start(options).expect("it listens");
    // Failures in the warmup: nobody knows what the target was like before the first step.
    let steps = "[[steps]]\ngate = { dropped = 1000 }\n";
    let bench = with_steps(&server, &format!("{steps}{GO_ON}"), "dropped = 1000");
    let scenario = fs::read_to_string(bench.path().join("scenario.toml")).expect("it is there");
    fs::write(bench.path().join("scenario.toml"), scenario.replace("warmup = \"100ms\"", "warmup = \"1s\"")).unwrap();
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert().code(3);
    assert!(!bench.path().join("went-on").exists());
    let stdout = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(stdout.contains("The gate of step 1 may not hold"), "{stdout}");
}

/// A scenario of one health check every 20 ms, on one connection so that its outcomes come in order.
fn checking(server: &Background, expect: &str) -> Bench {
    let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
    Bench::with(&format!(
        "name = \"load\"\n[target]\nurl = \"http://{address}/health\"\n[run]\nwarmup = \"0s\"\ncooldown = \"0s\"\n\
         [[load]]\nname = \"balancer\"\nhealth = {{ interval = \"20ms\", rise = 2, fall = 3 }}\nconnections = 1\n\
         [[steps]]\nwait = \"500ms\"\n[expect]\n{expect}\n"
    ))
}

fn server_with(fault: &str) -> Background {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let mut options = ServerOptions::listening_on(vec![anywhere]);
    options.faults.push(fault.parse().expect("a fault"));
    Background::start(options).expect("it listens")
}

fn scenario_result(bench: &Bench) -> serde_json::Value {
    let result = fs::read(bench.path().join("out/result.json")).expect("it is there");
    let mut result: serde_json::Value = serde_json::from_slice(&result).expect("JSON");
    result["scenarios"][0].take()
}

fn check<'a>(result: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let checks = result["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name} in {result:#}"))
}

#[test]
fn a_health_check_that_falls_and_rises_has_two_flaps() {
    let server = server_with("wrong-status@first=3");
    let bench = checking(&server, "wrong = 3\nflaps = \"== 2\"");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    let result = scenario_result(&bench);
    assert_eq!((&result["cohorts"][0]["flaps"], &result["wrong"]), (&2.into(), &3.into()));
    assert_eq!(
        (&check(&result, "expect.flaps")["status"], &check(&result, "expect.flaps")["actual"]),
        (&"passed".into(), &"2".into())
    );
    let table = String::from_utf8_lossy(&run.get_output().stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.contains("a check every 20ms (rise 2, fall 3)") && table.contains("; 2 flaps"), "{table}");
    for report in ["report.md", "report.html"] {
        assert!(fs::read_to_string(bench.path().join("out").join(report)).expect("it is there").contains("; 2 flaps"));
    }
}

#[test]
fn flaps_where_none_are_allowed_fail_the_run() {
    let server = server_with("close-before@first=3");
    let bench = checking(&server, "dropped = 3\nflaps = 0");
    let run = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    // 3 where the generator itself was late: a flap is no loss, and doubts go before it.
    assert_ne!(run.get_output().status.code(), Some(0));
    assert_eq!(check(&scenario_result(&bench), "expect.flaps")["status"], "failed");
}

#[test]
fn fewer_failures_than_a_fall_are_no_flap() {
    let server = server_with("close-before@first=2");
    let bench = checking(&server, "dropped = 2\nflaps = 0");
    let _ = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    let result = scenario_result(&bench);
    assert_eq!((&result["cohorts"][0]["flaps"], &result["dropped"]), (&0.into(), &2.into()));
    assert_eq!(check(&result, "expect.flaps")["status"], "passed");
}

/// A scenario that would go on for ten minutes, but for `abort`.
fn aborting(url: &str, abort: &str) -> Bench {
    Bench::with(&format!(
        "name = \"load\"\n[target]\nurl = \"{url}\"\n[run]\nwarmup = \"0s\"\nabort = {{ {abort} }}\n\
         [[steps]]\nwait = \"10m\"\n[[steps]]\nexec = [\"touch\", \"never\"]\n"
    ))
}

/// Runs it: it fails for having been stopped early, its record is complete, and its second step was not begun.
fn assert_stopped_early(bench: &Bench, reason: &str) -> serde_json::Value {
    let mut run = bench.gapless(&["run", "scenario.toml", "--out", "out"]);
    run.timeout(std::time::Duration::from_secs(120)).assert().code(1);
    let result = scenario_result(bench);
    assert_eq!((&result["verdict"], &result["incomplete"]), (&"failed".into(), &false.into()));
    let reasons = result["reasons"].to_string();
    assert!(reasons.contains("Stopped early") && reasons.contains(reason), "{reasons}");
    assert_eq!(check(&result, "run.end")["actual"], "stopped");
    assert!(!bench.path().join("never").exists());
    result
}

#[test]
fn a_run_ends_early_when_too_many_requests_were_dropped() {
    let server = server_with("close-before");
    let Endpoint::Tcp(address) = server.endpoints()[0].clone() else { panic!("a TCP server") };
    let bench = aborting(&format!("http://{address}/"), "dropped = 20");
    let result = assert_stopped_early(&bench, "[run] abort is at 20");
    assert!(result["dropped"].as_u64().expect("a number") >= 20);
    assert_eq!(result["dropped"], server.counts().injected.values().sum::<u64>(), "all of them are in the record");
}

#[test]
fn a_run_ends_early_when_nothing_was_ok_for_too_long() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let bench = aborting(&format!("http://{nobody}/"), "outage = \"300ms\"");
    let result = assert_stopped_early(&bench, "no request was ok for 300ms");
    assert!(result["stall_ms"].as_f64().expect("a number") >= 300.0, "{}", result["stall_ms"]);
}

#[test]
fn a_run_that_stays_within_its_limits_is_not_ended_early() {
    let server = server_with("close-before@first=5");
    let bench = Bench::loading(&server, "dropped = 5");
    let scenario = fs::read_to_string(bench.path().join("scenario.toml")).expect("it is there");
    let limited = scenario.replace("warmup = \"100ms\"", "warmup = \"0s\"\nabort = { dropped = 6, outage = \"20s\" }");
    assert_ne!(limited, scenario);
    fs::write(bench.path().join("scenario.toml"), limited).expect("written");
    let _ = bench.gapless(&["run", "scenario.toml", "--out", "out"]).assert();
    let result = scenario_result(&bench);
    assert_eq!((&check(&result, "run.end")["actual"], &result["dropped"]), (&"completed".into(), &5.into()));
}

#[test]
fn a_plan_is_told_and_nothing_is_left() {
    let server = server();
    let bench = with_steps(&server, "[[steps]]\ngate = { dropped = 0, p99 = \"300ms\" }\n", "");
    let run = bench.gapless(&["run", "scenario.toml", "--plan"]).assert().code(0);
    let stdout = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(stdout.contains("step 1: go on only if this holds so far: dropped <= 0, p99 <= 300ms"), "{stdout}");
    assert!(stdout.ends_with("nothing was started\n"), "{stdout}");
    assert_eq!(fs::read_dir(bench.path()).expect("it is there").count(), 1, "the scenario alone");
}
