//! `check`, `init` and `try` on units of a real systemd, as root.
//!
//! Every test brings its own units and takes them away again.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::GAPLESS;

use super::pair::{Pair, document, installed, lost_nothing, request, shown, systemctl};

#[test]
#[ignore = "runs in the box"]
fn a_pair_that_is_well_is_found_so_and_listed() {
    let pair = Pair::new("gapless-check-well", "127.0.0.1:17901", "");
    // Its files lie below /run, where a unit is enabled for this boot at most.
    assert_eq!(pair.found(&pair.service()), ["GL061"]);
    request("127.0.0.1:17901");
    assert_eq!(pair.found(&pair.socket()), ["GL061"]);

    let all = document(&pair.run(&["check", "--all", "--format", "json"]));
    let rows = all["sockets"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["unit"] == pair.socket().as_str()).expect("it is listed");
    assert_eq!((&row["listen"][0], &row["backlog"]), (&"127.0.0.1:17901".into(), &77.into()));
    let holders = row["held_by"].as_array().expect("a list");
    assert!(holders.contains(&"systemd (1)".into()), "{row}");
    assert_eq!(row["service_state"], "active (running)");
}

#[test]
#[ignore = "runs in the box"]
fn an_address_changed_under_a_running_service_is_found_before_the_restart_that_shows_it() {
    let pair = Pair::new("gapless-check-moved", "127.0.0.1:17902", "");
    request("127.0.0.1:17902");
    pair.write_socket("127.0.0.1:17903");
    let before = pair.found(&pair.socket());
    assert!(before.contains(&"GL062".to_owned()), "{before:?}");
    systemctl(&["daemon-reload"]);
    let after = pair.found(&pair.socket());
    assert!(after.contains(&"GL063".to_owned()) && !after.contains(&"GL062".to_owned()), "{after:?}");
    request("127.0.0.1:17902");
}

#[test]
#[ignore = "runs in the box"]
fn a_proxy_that_may_not_connect_is_found_and_one_that_may_is_not() {
    let pair = Pair::new("gapless-check-proxy", "/run/gapless-check-proxy.sock\nSocketMode=0660\nSocketGroup=adm", "");
    let found = |client: &str| {
        let output = pair.run(&["check", &pair.socket(), "--client", client, "--format", "json"]);
        shown(&output).contains("GL026")
    };
    assert!(found("www-data"));
    assert!(!found("root"));
    pair.write_socket("/run/gapless-check-proxy.sock\nSocketMode=0660\nSocketGroup=www-data");
    systemctl(&["daemon-reload"]);
    assert!(!found("www-data"));
}

#[test]
#[ignore = "runs in the box"]
fn the_gap_is_measured_at_the_last_start_and_a_name_alone_is_a_services() {
    let pair = Pair::new("gapless-check-gap", "127.0.0.1:17911", "--start-delay 1200ms");
    request("127.0.0.1:17911");
    // 77 is its backlog: 66/s for a second fit, for the 1.2 s of its start they do not.
    let output = pair.run(&["check", pair.name, "--rate", "66"]);
    assert!(shown(&output).contains("which its last start took"), "{}", shown(&output));
}

/// As a distribution ships a socket beside a service that binds its own port: nothing starts it.
#[test]
#[ignore = "runs in the box"]
fn a_socket_that_nothing_starts_is_not_that_of_a_service_that_holds_its_own_port() {
    let pair = Pair::new("gapless-check-own", "127.0.0.1:17904", "--listen 127.0.0.1:17904");
    systemctl(&["stop", &pair.socket()]);
    let service = std::fs::read_to_string(installed(&pair.service())).expect("ours");
    let alone = service.replace(&format!("Requires={}\n", pair.socket()), "");
    std::fs::write(installed(&pair.service()), alone).expect("we are root");
    systemctl(&["daemon-reload"]);
    systemctl(&["start", &pair.service()]);
    assert_eq!(pair.found(&pair.service()), ["GL067"]);
    assert_eq!(pair.found(&pair.socket()), ["GL060"]);
    assert!(pair.run(&["check", &pair.socket()]).status.success(), "it is told, and no error");
    let ran =
        pair.run(&["try", &pair.service(), "--action", "restart", "--times", "1", "--format", "json", "--out", "out"]);
    assert_eq!(ran.status.code(), Some(1), "{}", shown(&ran));
    let scenario = &document(&ran)["scenarios"][0];
    let failed: Vec<_> =
        scenario["checks"].as_array().expect("a list").iter().filter(|check| check["status"] == "failed").collect();
    assert!(failed.iter().all(|check| check["name"] == "expect.dropped"), "{failed:?}");
    assert!(scenario["causes"].get("socket_unit_down").is_none(), "{}", scenario["causes"]);
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_that_a_restart_of_its_service_takes_along_is_found_and_no_other() {
    let pair = Pair::new("gapless-check-part", "127.0.0.1:17917", "");
    let socket = std::fs::read_to_string(installed(&pair.socket())).expect("ours");
    let invocation = || {
        let mut command = Command::new("systemctl");
        shown(&command.args(["show", "--value", "-p", "InvocationID", &pair.socket()]).output().expect("systemctl"))
    };
    for (line, is_taken_along) in [
        ("PartOf=", true),
        ("BindsTo=", true),
        ("Requires=", true),
        ("Requisite=", true),
        ("StopPropagatedFrom=", false),
        ("Wants=", false),
        ("ReloadPropagatedFrom=", false),
    ] {
        std::fs::write(installed(&pair.socket()), format!("[Unit]\n{line}{}\n{socket}", pair.service()))
            .expect("we are root");
        systemctl(&["daemon-reload"]);
        systemctl(&["start", &pair.service()]);
        systemctl(&["start", &pair.socket()]);
        let before = invocation();
        systemctl(&["restart", &pair.service()]);
        assert_eq!(invocation() != before, is_taken_along, "systemd, {line}");
        let found = document(&pair.run(&["check", &pair.service(), "--format", "json"]));
        let errors = found["findings"].as_array().expect("a list").iter();
        let is_found = errors.filter(|finding| finding["id"] == "GL016" && finding["severity"] == "error").count() == 1;
        assert_eq!(is_found, is_taken_along, "check, {line}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn a_template_whose_instance_is_the_port_is_read_and_tried_by_its_instances() {
    let pair = Pair::new("gapless-check-port@", "127.0.0.1:%i", "");
    let instance = |kind: &str| format!("gapless-check-port@17918.{kind}");
    systemctl(&["start", &instance("socket")]);
    request("127.0.0.1:17918");
    for unit in [instance("socket"), instance("service"), pair.socket()] {
        assert_eq!(pair.found(&unit), ["GL061"], "{unit}");
    }
    let ran = pair.run(&["try", &instance("service"), "--times", "1", "--format", "json", "--out", "out"]);
    lost_nothing(&ran, 1);
    systemctl(&["stop", &instance("socket"), &instance("service")]);
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_is_not_there_is_the_harnesss_failure() {
    let pair = Pair::new("gapless-check-none", "127.0.0.1:17905", "");
    let output = pair.run(&["check", "gapless-nowhere.socket"]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(shown(&output).contains("no such unit"), "{}", shown(&output));
}

#[test]
#[ignore = "runs in the box"]
fn what_init_writes_runs_as_it_is() {
    for (name, listen) in
        [("gapless-check-init", "127.0.0.1:17906"), ("gapless-check-unix", "/run/gapless-check-init.sock")]
    {
        let pair = Pair::new(name, listen, "");
        let written = pair.run(&["init", &pair.service(), "--output", "scenario.toml"]);
        assert!(written.status.success(), "{}", shown(&written));
        let ran = pair.run(&["run", "scenario.toml", "--times", "1", "--format", "json", "--out", "out"]);
        lost_nothing(&ran, 1);
        let again = pair.run(&["init", &pair.service(), "--output", "scenario.toml"]);
        assert_eq!(again.status.code(), Some(2), "a scenario is never written over: {}", shown(&again));
    }
}

#[test]
#[ignore = "runs in the box"]
fn one_line_tries_a_unit_and_says_what_it_is_about_to_do() {
    let pair = Pair::new("gapless-check-try", "127.0.0.1:17907", "");
    let ran = pair.run(&["try", &pair.service(), "--times", "2", "--every", "1s", "--format", "json", "--out", "out"]);
    lost_nothing(&ran, 2);
    assert!(shown(&ran).contains("about to restart gapless-check-try.service 2 times"), "{}", shown(&ran));
}

#[test]
#[ignore = "runs in the box"]
fn a_service_that_does_not_speak_http_is_tried_with_what_it_is_told() {
    let pair = Pair::new("gapless-check-tcp", "127.0.0.1:17914", "--fault garbage");
    let unsaid = pair.run(&["try", &pair.service(), "--times", "1", "--out", "out"]);
    assert_eq!(unsaid.status.code(), Some(2), "{}", shown(&unsaid));
    assert!(shown(&unsaid).contains("does not answer in HTTP and sends nothing on its own"), "{}", shown(&unsaid));
    let said = ["--body", "GET / HTTP/1.0\r\n\r\n", "--expect-body", "."];
    let tried = ["try", &pair.service(), "--times", "1", "--format", "json", "--out", "out"];
    lost_nothing(&pair.run(&[&tried[..], &said[..]].concat()), 1);
}

#[test]
#[ignore = "runs in the box"]
fn a_person_is_asked_first_and_may_say_no() {
    let pair = Pair::new("gapless-check-ask", "127.0.0.1:17912", "");
    request("127.0.0.1:17912");
    let invocation = || shown(&pair.systemctl_show("InvocationID"));
    let before = invocation();
    let at_a_terminal = |answer: &str| {
        let line = format!("{GAPLESS} try {} --times 1 --out out", pair.service());
        // script(1) gives it a terminal.
        let mut asked = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(pair.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there");
        asked.stdin.take().expect("piped").write_all(format!("{answer}\n").as_bytes()).expect("it reads");
        asked.wait_with_output().expect("it ends")
    };
    let refused = at_a_terminal("n");
    assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
    assert!(shown(&refused).contains("nothing was done"), "{}", shown(&refused));
    assert_eq!(invocation(), before);
    let granted = at_a_terminal("yes");
    assert!(matches!(granted.status.code(), Some(0 | 3)), "{}", shown(&granted));
    assert_ne!(invocation(), before);
}

#[test]
#[ignore = "runs in the box"]
fn a_service_without_a_socket_is_found_by_what_its_processes_listen_at_and_loses_requests() {
    let pair = Pair::new("gapless-check-alone", "127.0.0.1:17908", "--listen 127.0.0.1:17909 --start-delay 300ms");
    systemctl(&["stop", &pair.socket()]);
    std::fs::remove_file(installed(&pair.socket())).expect("ours");
    let service = format!(
        "[Service]\nType=notify\nExecStart={GAPLESS} demo-server --listen 127.0.0.1:17909 --start-delay 300ms\n"
    );
    std::fs::write(installed(&pair.service()), service).expect("we are root");
    systemctl(&["daemon-reload"]);
    systemctl(&["start", &pair.service()]);
    let ran = pair.run(&["try", &pair.service(), "--times", "1", "--format", "json", "--out", "out"]);
    assert_eq!(ran.status.code(), Some(1), "{}", shown(&ran));
    assert!(document(&ran)["scenarios"][0]["dropped"].as_u64().is_some_and(|dropped| dropped > 0));
    assert!(shown(&ran).contains("http://127.0.0.1:17909"), "{}", shown(&ran));
}

#[test]
#[ignore = "runs in the box"]
fn what_the_machine_depends_on_is_not_touched() {
    let pair = Pair::new("gapless-check-guard", "127.0.0.1:17910", "");
    let output = pair.run(&["try", "dbus.service", "--url", "http://127.0.0.1:1/"]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(shown(&output).contains("the machine depends on it"), "{}", shown(&output));
}
