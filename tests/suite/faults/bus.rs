//! The bus goes away while the harness acts through it.

use std::fs;
use std::process::{Command, Stdio};

use gapless::record::line::EndReason;
use rustix::process::{Pid, Signal, kill_process};

use crate::faults::rig::{Running, nothing_is_left_of, until};
use crate::faults::scenario::{Scenario, ledgers, show, systemctl};

/// A run whose connection to the bus goes through a process of its own, which can be killed.
fn start_over_a_bridge(scenario: &Scenario) -> Running {
    let out = scenario.folder().join("out");
    Running::start_with(scenario, "system", &out, |command| {
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unixexec:path=systemd-stdio-bridge");
    })
}

fn kill_bridge(run: &Running) {
    let pid = run.pid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it lives");
    let mut children = children.split_whitespace().filter_map(|child| child.parse::<i32>().ok());
    let is_bridge = |child: &i32| {
        fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.starts_with("systemd-stdio"))
    };
    let bridge = children.find(is_bridge).expect("the connection goes through it");
    kill_process(Pid::from_raw(bridge).expect("no zero"), Signal::KILL).expect("it lives");
}

#[test]
#[ignore = "runs in the box"]
fn a_run_that_loses_the_bus_keeps_its_record_and_takes_its_units_away_all_the_same() {
    let scenario = Scenario::new("bus-gone").restarted(20);
    let mut run = start_over_a_bridge(&scenario);
    run.await_record("\"type\":\"step_begin\"");
    kill_bridge(&run);
    let run = run.end();
    let result = run.is_inconclusive(4, "The harness could not go on");
    assert!(result.requests.ok > 0);
    assert!(run.record().end.is_some_and(|end| matches!(end.reason, EndReason::Error(_))));
    for kind in ["service", "socket"] {
        assert!(!scenario.installed(kind).exists(), "{}", scenario.said());
    }
    nothing_is_left_of(&scenario);
    assert_eq!(ledgers(), [""; 0]);
}

/// Both units were found running and are stopped by steps; then `on_the_way` happens.
fn put_back_after(name: &str, on_the_way: impl FnOnce()) {
    let scenario = Scenario::new(name)
        .found()
        .then("stop = \"socket\"\nready = false")
        .then("stop = \"service\"\nready = false")
        .then("wait = \"2s\"\nready = false");
    let before = show(&scenario.unit("service"), "InvocationID");
    let mut run = Running::start(&scenario, "system");
    run.await_record("{\"type\":\"step_end\",\"event\":1,");
    assert_eq!(show(&scenario.unit("service"), "ActiveState"), "inactive");
    on_the_way();
    let run = run.end();
    let said = scenario.said();
    for kind in ["service", "socket"] {
        assert_eq!(show(&scenario.unit(kind), "ActiveState"), "active", "{said}");
    }
    assert_ne!(show(&scenario.unit("service"), "InvocationID"), before);
    // What it lost meanwhile weighs more than that it could not go on.
    assert!(matches!(run.code, Some(1 | 4)) && said.contains("lost systemd on the system bus"), "{said}");
    assert_eq!(ledgers(), [""; 0]);
}

#[test]
#[ignore = "runs in the box"]
fn a_bus_that_is_restarted_under_a_stopped_unit_does_not_leave_it_stopped() {
    put_back_after("bus-restarted", || systemctl(&["restart", "dbus.service"]));
}

#[test]
#[ignore = "runs in the box"]
fn a_bus_that_does_not_come_back_does_not_either() {
    let _bus = Bus;
    put_back_after("bus-stopped", || systemctl(&["stop", "dbus.socket", "dbus.service"]));
}

/// Is there again for the tests that follow.
struct Bus;

impl Drop for Bus {
    fn drop(&mut self) {
        systemctl(&["start", "dbus.socket", "dbus.service"]);
        until("the bus is back", || {
            let mut ask = Command::new("busctl");
            ask.args(["status", "org.freedesktop.systemd1"]).stdout(Stdio::null()).stderr(Stdio::null());
            ask.status().is_ok_and(|status| status.success())
        });
    }
}
