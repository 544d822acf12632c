//! `gapless check --host` and `init --host`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::machine::{Machine, shown};
use crate::support::GAPLESS;

fn ids(document: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let findings = document["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["id"].as_str().expect("a text").to_owned()).collect()
}

#[test]
#[ignore = "runs in the fleet"]
fn a_unit_is_found_from_afar_to_be_as_it_is_found_there() {
    let mut machine = Machine::new("h2");
    machine.behind_socket("seen", 8084, "");
    machine.own_port("alone.service", 8085, "");
    // Changed on disk after it was loaded.
    machine.unit("stale.service", "[Service]\nExecStart=/bin/sleep 1000");
    machine.ssh(
        "systemctl daemon-reload; systemctl start stale.service; echo RestartSec=7 >>/run/systemd/system/stale.service",
    );
    machine.behind_socket("down", 8086, "");
    machine.ssh("echo [Install] >>/run/systemd/system/down.socket; echo WantedBy=sockets.target >>/run/systemd/system/down.socket; systemctl daemon-reload; systemctl enable --runtime down.socket; systemctl stop down.socket");
    for unit in ["seen.service", "seen.socket", "alone.service", "stale.service", "down.socket"] {
        let from_here =
            machine.gapless(&["check", "--host", "root@h2", unit, "--format", "json"]).output().expect("runs");
        let there = machine.ssh(&format!("{GAPLESS} check {unit} --format json"));
        let found = ids(&String::from_utf8_lossy(&from_here.stdout));
        assert_eq!(found, ids(&there), "{unit}: {}", shown(&from_here));
    }
    assert!(ids(&machine.ssh(&format!("{GAPLESS} check alone.service --format json"))).contains("GL067"));
    assert!(ids(&machine.ssh(&format!("{GAPLESS} check down.socket --format json"))).contains("GL060"));
}

#[test]
#[ignore = "runs in the fleet"]
fn a_scenario_is_written_with_the_address_that_the_machine_is_reached_at() {
    let mut machine = Machine::new("h2");
    machine.behind_socket("drafted", 8087, "");
    let output = machine.gapless(&["init", "--host", "root@h2", "drafted.service"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let url = format!("url = \"http://{}:8087/health\"", machine.address());
    assert!(shown(&output).contains(&url), "{}", shown(&output));
}

#[test]
#[ignore = "runs in the fleet"]
fn what_listens_on_loopback_alone_is_not_reached_from_here_and_that_is_said() {
    let mut machine = Machine::new("h2");
    let text = format!("[Service]\nType=notify\nExecStart={GAPLESS} demo-server --listen 127.0.0.1:8088");
    machine.unit("inner.service", &text);
    machine.ssh("systemctl daemon-reload; systemctl start inner.service");
    let output = machine.try_unit("inner.service", &[]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains("listens at 127.0.0.1:8088, which is not reached from here"), "{}", shown(&output));
}
