//! The bus goes away while the harness acts through it.

use std::fs;

use gapless::record::line::EndReason;
use rustix::process::{Pid, Signal, kill_process};

use crate::faults::rig::{Running, nothing_is_left_of, until};
use crate::faults::scenario::Scenario;

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
fn a_run_that_loses_the_bus_keeps_its_record_and_the_next_one_cleans_up() {
    let scenario = Scenario::new("bus-gone").restarted(20);
    let mut run = start_over_a_bridge(&scenario);
    run.await_record("\"type\":\"step_begin\"");
    kill_bridge(&run);
    let run = run.end();
    let result = run.is_inconclusive(4, "The harness could not go on");
    assert!(result.requests.ok > 0);
    assert!(run.record().end.is_some_and(|end| matches!(end.reason, EndReason::Error(_))));
    assert!(scenario.socket_path().exists(), "without a bus, no unit can be stopped");

    let next = Scenario::new("after-the-bus").restarted(1);
    Running::start(&next, "system").end();
    let said = next.said();
    assert!(said.contains("cleaned up after a run that was killed: removed bus-gone.service"), "{said}");
    for kind in ["service", "socket"] {
        until("the unit file is gone", || !scenario.installed(kind).exists());
    }
    nothing_is_left_of(&scenario);
    nothing_is_left_of(&next);
}
