//! `gapless run` on a real systemd: what it says before it does anything, and that both managers come to the same.
//!
//! As root. Every test brings its own units and takes them away again.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::GAPLESS;

/// A folder with a scenario and the units that it brings.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// `units` are names and texts, `rest` follows `[target]` and `[units]`. `{port}` is one that nobody uses, and
    /// `{serve}` the demo server without the race at a stop, in which a request that is in the air is lost.
    fn new(units: &[(&str, &str)], rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port().to_string();
        let serve = format!("{GAPLESS} demo-server --idle-grace 300ms");
        let fill = |text: &str| text.replace("{port}", &port).replace("{serve}", &serve);
        for (name, text) in units {
            std::fs::write(folder.path().join(name), fill(text)).expect("written");
        }
        let files: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let scenario = format!(
            "name = \"case\"\n[target]\nurl = \"http://127.0.0.1:{{port}}/health\"\n[units]\nfiles = {files:?}\n{rest}"
        );
        std::fs::write(folder.path().join("case.toml"), fill(&scenario)).expect("written");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(GAPLESS);
        command.args(["run", "case.toml"]).args(arguments).current_dir(self.path()).output().expect("it is built")
    }

    /// Runs it under both managers.
    fn under_both(&self) -> [Came; 2] {
        ["system", "embedded"].map(|manager| {
            let output = self.run(&["--manager", manager, "--out", manager]);
            let saved = std::fs::read(self.path().join(manager).join("result.json")).unwrap_or_default();
            let document: Value = serde_json::from_slice(&saved).expect("a result");
            let scenario = document["scenarios"][0].clone();
            Came { exit: output.status.code(), stderr: text(&output.stderr), scenario }
        })
    }
}

/// What a run came to.
struct Came {
    exit: Option<i32>,
    stderr: String,
    scenario: Value,
}

impl Came {
    fn list(&self, name: &str) -> &[Value] {
        self.scenario[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// Every check and how it went, but for how late the load was and what of the kernel's evidence there was.
    fn checks(&self) -> Vec<(String, String)> {
        let checks = self.list("checks").iter().filter(|check| check["name"] != "instrument.lateness");
        checks.map(|check| (word(&check["name"]), word(&check["status"]))).collect()
    }

    /// What can be compared of each event.
    fn events(&self) -> Vec<String> {
        let keys = ["action", "unit", "job", "proven", "incarnation_changed", "listener_inode_changed"];
        let told = |event: &Value| keys.map(|key| event[key].to_string()).join(" ");
        self.list("events").iter().map(told).collect()
    }

    fn outcomes(&self) -> BTreeSet<String> {
        self.scenario["outcomes"].as_object().into_iter().flatten().map(|(class, _)| class.clone()).collect()
    }
}

fn word(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Both managers came to the same. `certain` are the classes that both must have counted; whether there are some of
/// `possible` as well is a matter of microseconds.
fn assert_the_same([systemd, embedded]: &[Came; 2], certain: &[&str], possible: &[&str]) {
    assert_eq!(systemd.events(), embedded.events());
    assert_eq!(
        systemd.checks(),
        embedded.checks(),
        "{:#}\n{:#}",
        systemd.scenario["reasons"],
        embedded.scenario["reasons"]
    );
    for came in [systemd, embedded] {
        let outcomes = came.outcomes();
        assert!(certain.iter().all(|class| outcomes.contains(*class)), "{outcomes:?}");
        assert!(
            outcomes.iter().all(|class| certain.contains(&&**class) || possible.contains(&&**class)),
            "{outcomes:?}"
        );
    }
}

/// What a process that is killed may take with it.
const IN_FLIGHT: &[&str] = &[
    "reset_before_response",
    "closed_before_response",
    "reset_mid_response",
    "closed_mid_response",
    "connect_reset",
    "write_failed",
];

const RUN: &str = "[run]\nwarmup = \"300ms\"\ncooldown = \"300ms\"\n";
const ANY_LOSS: &str = "[expect]\ndropped = 100000\n";

fn steps(step: &str, expect: &str) -> String {
    format!("{RUN}[[steps]]\n{step}\n{expect}")
}

const PLAIN: &str = "[Service]\nType=notify\nExecStart={serve} --listen 127.0.0.1:{port}\n";
const SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:{port}\n";
const HELD: &str = "[Unit]\nRequires=held.socket\n[Service]\nType=notify\nExecStart={serve}\n";

#[test]
#[ignore = "runs in the box"]
fn both_managers_lose_the_same_in_a_plain_restart() {
    let steps = steps("restart = \"service\"\ntimes = 2\nevery = \"1s\"", ANY_LOSS);
    let came = Bench::new(&[("plain.service", PLAIN)], &steps).under_both();
    assert_the_same(&came, &["refused"], IN_FLIGHT);
    assert_eq!(came[0].events().len(), 2);
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_lose_nothing_behind_a_held_socket() {
    let steps = steps("restart = \"service\"\ntimes = 2\nevery = \"1s\"", "");
    let came = Bench::new(&[("held.socket", SOCKET), ("held.service", HELD)], &steps).under_both();
    assert_the_same(&came, &[], &[]);
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_start_a_killed_service_again_as_restart_says() {
    let service = format!("{PLAIN}Restart=always\nRestartSec=200ms\n");
    let steps = steps("kill = \"service\"\nsignal = \"KILL\"\ntimes = 2\nevery = \"1s\"", ANY_LOSS);
    let came = Bench::new(&[("plain.service", &service)], &steps).under_both();
    assert_the_same(&came, &["refused"], IN_FLIGHT);
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_leave_a_killed_service_down_where_nothing_starts_it() {
    let run = "[run]\nwarmup = \"300ms\"\ncooldown = \"300ms\"\nready_timeout = \"1s\"\n";
    let steps = format!("{run}[[steps]]\nkill = \"service\"\nsignal = \"KILL\"\n{ANY_LOSS}");
    let came = Bench::new(&[("plain.service", PLAIN)], &steps).under_both();
    assert_the_same(&came, &["refused"], IN_FLIGHT);
    assert_eq!(came.map(|came| came.exit), [Some(1), Some(1)], "never ready again: a failed step");
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_start_a_killed_service_by_the_next_connection() {
    let steps = steps("kill = \"service\"\nsignal = \"KILL\"\ntimes = 2\nevery = \"1s\"", ANY_LOSS);
    let came = Bench::new(&[("held.socket", SOCKET), ("held.service", HELD)], &steps).under_both();
    assert_the_same(&came, &[], IN_FLIGHT);
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_take_the_socket_down_at_the_start_limit() {
    let service = HELD.replace("[Service]", "StartLimitBurst=2\nStartLimitIntervalSec=1000\n[Service]");
    let run = "[run]\nwarmup = \"300ms\"\ncooldown = \"300ms\"\npace = false\n";
    let steps = format!("{run}[[steps]]\nrestart = \"service\"\ntimes = 2\nevery = \"500ms\"\n{ANY_LOSS}");
    let came = Bench::new(&[("held.socket", SOCKET), ("held.service", &service)], &steps).under_both();
    // The run ends with the restart that is refused: whether a client still was is a matter of microseconds.
    assert_the_same(&came, &[], &[IN_FLIGHT, &["refused"]].concat());
    assert!(came.iter().all(|came| came.exit == Some(1)), "the second restart is refused");
    let jobs: Vec<String> = came[0].list("events").iter().map(|event| word(&event["job"])).collect();
    assert_eq!(jobs, ["done", "failed"]);
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_kill_a_service_that_ignores_its_stop() {
    let service = HELD.replace("{serve}", "{serve} --stop ignore") + "TimeoutStopSec=1\n";
    let steps = steps("restart = \"service\"", ANY_LOSS);
    let came = Bench::new(&[("held.socket", SOCKET), ("held.service", &service)], &steps).under_both();
    assert_the_same(&came, &[], IN_FLIGHT);
    for came in &came {
        let stop_ms = came.list("events")[0]["stop_ms"].as_f64().expect("it was gone");
        assert!(stop_ms >= 1_000.0, "not before its timeout: {stop_ms}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_say_203_exec_of_a_missing_executable() {
    let service = "[Service]\nExecStart=/nowhere/at-all\nType=exec\n";
    let came = Bench::new(&[("plain.service", service)], &steps("restart = \"service\"", "")).under_both();
    for came in &came {
        assert_eq!(came.exit, Some(4), "{}", came.stderr);
        assert!(came.stderr.contains("203/EXEC") && came.stderr.contains("plain.service"), "{}", came.stderr);
    }
}

#[test]
#[ignore = "runs in the box"]
fn both_managers_start_a_service_for_each_connection() {
    // Reads the request to its empty line, so that nothing unread makes the close a reset.
    let answer = "sed -u /^.$$/q >/dev/null; \
                  printf 'HTTP/1.1 200 OK\\\\r\\\\nContent-Length: 2\\\\r\\\\nConnection: close\\\\r\\\\n\\\\r\\\\nok'";
    let each = format!("[Service]\nExecStart=/bin/sh -c \"{answer}\"\nStandardInput=socket\n");
    let socket = format!("{SOCKET}Accept=yes\n");
    let load = "[[load]]\nname = \"new\"\nrate = 20\nreuse = false\n";
    let steps = format!("{load}{}", steps("wait = \"500ms\"", ""));
    let came = Bench::new(&[("each.socket", &socket), ("each@.service", &each)], &steps).under_both();
    assert_the_same(&came, &[], &[]);
}

/// A unit that is there independently of the harness.
struct Foreign(&'static str);

impl Foreign {
    fn new(name: &'static str, text: &str) -> Self {
        std::fs::write(Path::new("/run/systemd/system").join(name), text).expect("we are root");
        systemctl(&["daemon-reload"]);
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        systemctl(&["stop", self.0]);
        let _ = std::fs::remove_file(Path::new("/run/systemd/system").join(self.0));
        systemctl(&["daemon-reload"]);
    }
}

fn systemctl(arguments: &[&str]) -> String {
    text(&Command::new("systemctl").args(arguments).output().expect("systemd is there").stdout)
}

#[test]
#[ignore = "runs in the box"]
fn a_plan_names_what_is_pulled_along_and_touches_nothing() {
    let sleeps = "[Service]\nExecStart=sleep infinity\n";
    let _app = Foreign::new("plan-app.service", &format!("[Unit]\nWants=plan-helper.service\n{sleeps}"));
    let _helper = Foreign::new("plan-helper.service", sleeps);
    let _part = Foreign::new("plan-part.service", &format!("[Unit]\nPartOf=plan-app.service\n{sleeps}"));
    let _bound = Foreign::new("plan-bound.service", &format!("[Unit]\nBindsTo=plan-part.service\n{sleeps}"));
    let _idle = Foreign::new("plan-idle.service", &format!("[Unit]\nRequires=plan-app.service\n{sleeps}"));
    systemctl(&["start", "plan-app.service", "plan-part.service", "plan-bound.service"]);
    systemctl(&["stop", "plan-helper.service"]);
    let states = || {
        let units =
            ["plan-app", "plan-helper", "plan-part", "plan-bound", "plan-idle"].map(|name| format!("{name}.service"));
        let mut arguments = vec!["show", "--property=Id,ActiveState,InvocationID,NRestarts,MainPID"];
        arguments.extend(units.iter().map(String::as_str));
        systemctl(&arguments)
    };
    let bench = Bench::new(&[], "service = \"plan-app.service\"\n[[steps]]\nrestart = \"service\"\ntimes = 7\n");
    let before = (states(), folder_of_ledgers());
    let output = bench.run(&["--plan", "--manager", "system"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert_eq!((states(), folder_of_ledgers()), before);
    let left: Vec<_> = std::fs::read_dir(bench.path()).expect("it is there").collect();
    assert_eq!(left.len(), 1, "nothing but the scenario: {left:?}");
    for line in [
        "manager: system (asked for with --manager)",
        "unit plan-app.service: active (running)",
        "step 1: restart plan-app.service, 7 times",
        "plan-part.service is restarted with it: plan-part.service has PartOf=plan-app.service",
        "plan-bound.service is restarted with it: plan-bound.service has BindsTo=plan-part.service",
        "plan-helper.service is started with it: plan-app.service has Wants=plan-helper.service",
        "its start limit is 5 in 10s: waits where it must, not to trip it",
        "nothing was started",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("plan-idle"), "it is down, and nothing starts it: {said}");
}

#[test]
#[ignore = "runs in the box"]
fn a_plan_says_which_units_are_protected_and_which_are_not_there() {
    let rest = "service = \"nobody-has-this.service\"\n[[steps]]\nrestart = \"systemd-journald.service\"\n";
    let output = Bench::new(&[], rest).run(&["--plan", "--manager", "system"]);
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stdout);
    assert!(said.contains("REFUSED: the machine depends on this unit; --force acts on it all the same"), "{said}");
    assert!(said.contains("REFUSED: systemd says that it is not-found"), "{said}");
}

#[test]
#[ignore = "runs in the box"]
fn what_stopped_with_a_unit_runs_again_when_the_run_is_over() {
    let sleeps = "[Service]\nExecStart=sleep infinity\n";
    let _app = Foreign::new("along-app.service", sleeps);
    let needs = format!("[Unit]\nRequires=along-app.service\nAfter=along-app.service\n{sleeps}");
    let _needs = Foreign::new("along-needs.service", &needs);
    systemctl(&["start", "along-app.service", "along-needs.service"]);
    let rest = "service = \"along-app.service\"\n[run]\nwarmup = \"0s\"\n[[steps]]\nstop = \"service\"\n";
    let bench = Bench::new(&[], rest);
    let ledgers = folder_of_ledgers();
    let output = bench.run(&["--manager", "system", "--out", "out"]);
    let report = std::fs::read_to_string(bench.path().join("out/report.md")).expect("a report");
    let put_back = ["along-app", "along-needs"].map(|name| format!("put back: start {name}.service"));
    let said = text(&output.stderr);
    assert!(put_back.iter().all(|note| report.replace('\\', "").contains(note)), "{report}\n{said}");
    assert_eq!(systemctl(&["is-active", "along-app.service", "along-needs.service"]), "active\nactive\n");
    assert_eq!(folder_of_ledgers(), ledgers);
}

/// The service serves, the socket is active, and no request is lost; the next restart would lose them.
#[test]
#[ignore = "runs in the box"]
fn a_service_that_listens_in_its_sockets_place_is_found() {
    let path = "/run/gapless-usurped.sock";
    let _socket = Foreign::new("usurped.socket", &format!("[Socket]\nListenStream={path}\n"));
    let usurps = format!(
        "[Service]\nType=notify\nExecStartPre=rm {path}\n\
         ExecStart=env -u LISTEN_FDS -u LISTEN_PID {GAPLESS} demo-server --listen unix:{path}\n"
    );
    let _service = Foreign::new("usurped.service", &usurps);
    systemctl(&["start", "usurped.socket"]);
    let rest = format!(
        "service = \"usurped.service\"\nsocket = \"usurped.socket\"\n[run]\nwarmup = \"300ms\"\ncooldown = \"300ms\"\n\
         [[load]]\nname = \"new\"\nrate = 50\nreuse = false\nunix = \"{path}\"\n[[steps]]\nwait = \"500ms\"\n"
    );
    let told = |out: &str| {
        let bench = Bench::new(&[], &rest);
        let output = bench.run(&["--manager", "system", "--out", out]);
        let document: Value =
            serde_json::from_slice(&std::fs::read(bench.path().join(out).join("result.json")).expect("a result"))
                .expect("JSON");
        let scenario = &document["scenarios"][0];
        let checks = scenario["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == "end.listener").expect("the listener is looked at");
        assert_eq!(scenario["dropped"], 0, "{}", text(&output.stderr));
        (output.status.code(), word(&check["actual"]))
    };
    systemctl(&["start", "usurped.service"]);
    assert_eq!(told("usurped"), (Some(1), "somebody else listens there".to_owned()));
    // And by the book.
    let serves = format!("[Service]\nType=notify\nExecStart={GAPLESS} demo-server\n");
    std::fs::write("/run/systemd/system/usurped.service", serves).expect("we are root");
    systemctl(&["daemon-reload"]);
    systemctl(&["stop", "usurped.service"]);
    systemctl(&["restart", "usurped.socket"]);
    assert_eq!(told("by-the-book").1, "it is");
}

fn folder_of_ledgers() -> Vec<String> {
    let entries = std::fs::read_dir("/run/gapless").into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
