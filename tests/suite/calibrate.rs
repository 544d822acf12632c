//! `gapless calibrate`: what was injected is what is counted.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Output, Stdio};

use assert_cmd::Command;
use gapless::model::FailureClass;
use serde_json::Value;

use crate::faults::rig::until;
use crate::support::GAPLESS;

fn rows(output: &Output) -> Vec<Value> {
    let mut calibration: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    serde_json::from_value(calibration["rows"].take()).expect("rows")
}

/// Whether unshare(1) gets namespaces here in which `script` succeeds.
fn can_unshare(namespaces: &[&str], script: &str) -> bool {
    let tried = Command::new("unshare").args(namespaces).args(["sh", "-c", script]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// The classes that this machine does not let us inject.
fn impossible_here() -> BTreeSet<FailureClass> {
    // A network alone does not do: some machines give one and no rights over it.
    let narrow_ports = "echo 40000 40063 >/proc/sys/net/ipv4/ip_local_port_range";
    let mut impossible = BTreeSet::new();
    if !can_unshare(&["--net"], narrow_ports) && !can_unshare(&["--map-root-user", "--net"], narrow_ports) {
        impossible.extend([FailureClass::ConnectReset, FailureClass::LocalPort]);
    }
    if rustix::process::geteuid().is_root() && !can_unshare(&["--user"], "true") {
        impossible.insert(FailureClass::Permission);
    }
    impossible
}

#[test]
fn every_fault_is_counted_as_often_as_it_was_injected() {
    let run = Command::new(GAPLESS).args(["calibrate", "--format", "json"]).assert();
    let output = run.get_output();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = rows(output);
    for row in &rows {
        let is_left_out = row.get("left_out").is_some();
        assert!(is_left_out || row["injected"].as_u64() > Some(0), "{row}");
        assert_eq!((&row["counted"], &row["strays"]), (&row["injected"], &serde_json::json!({})), "{row}");
    }

    let ways: BTreeSet<(&str, &str)> =
        rows.iter().filter_map(|row| Some((row["transport"].as_str()?, row["connections"].as_str()?))).collect();
    assert_eq!(
        ways,
        [
            ("tcp", "new"),
            ("tcp", "reused"),
            ("unix", "new"),
            ("unix", "reused"),
            ("udp", "new"),
            ("unix_dgram", "new"),
            ("unix_seqpacket", "new"),
            ("fifo", "new"),
        ]
        .into()
    );
    let classes = |left_out: bool| -> BTreeSet<_> {
        let rows = rows.iter().filter(|row| row.get("left_out").is_some() == left_out);
        rows.filter_map(|row| row["class"].as_str()?.parse().ok()).collect()
    };
    let (injected, left_out) = (classes(false), classes(true));
    assert_eq!(left_out, impossible_here());
    let all: BTreeSet<_> = injected.union(&left_out).copied().collect();
    assert_eq!(all, FailureClass::ALL.iter().copied().collect(), "each class is injected, or said not to be");

    // Of messages: what is lost, refused, left in the queue and turned away for want of room.
    let classes_of = |transport: &str| -> BTreeSet<_> {
        let rows = rows.iter().filter(|row| row["transport"] == transport);
        rows.filter_map(|row| Some((row["fault"].as_str()?, row["class"].as_str()))).collect()
    };
    for (transport, unread) in [("unix_seqpacket", Some("response_timeout")), ("fifo", None)] {
        let all = [("refuse", Some("refused")), ("queue-full", Some("queue_full")), ("unread", unread)];
        let all = all.into_iter().chain([("overflow", Some("queue_full")), ("path-missing", Some("path_missing"))]);
        let classes = classes_of(transport);
        assert!(all.clone().all(|row| classes.contains(&row)), "{transport}: {classes:?}");
    }

    let of_streams = rows.iter().filter(|row| row["protocol"] == "http2" || row["protocol"] == "grpc");
    let mut ways = std::collections::BTreeMap::<_, BTreeSet<_>>::new();
    for row in of_streams {
        ways.entry(row["fault"].as_str()).or_default().insert((row["tls"].as_bool(), row["streams"].as_u64()));
    }
    let all = [(false, 1), (false, 8), (true, 1), (true, 8)].map(|(tls, streams)| (Some(tls), Some(streams)));
    assert!(ways.len() >= 17 && ways.values().all(|ways| *ways == all.into()), "{ways:?}");
    // Eight clients on one connection: all of their streams meet its end, and half of them a GOAWAY in their middle.
    let injected = |fault: &str| -> Vec<_> {
        let rows = rows.iter().filter(|row| row["fault"] == fault && row["streams"] == 8);
        rows.filter_map(|row| row["injected"].as_u64()).collect()
    };
    for fault in ["goaway-then-close", "goaway-zero", "close-before", "reset-before"] {
        assert!(injected(fault).iter().all(|&n| n >= 8), "{fault}");
    }
    assert_eq!(injected("stall"), [1, 1], "one alone, beside others that are answered");
}

#[test]
fn what_a_killed_calibration_left_is_gone_once_the_next_has_started() {
    let place = tempfile::tempdir().expect("a place");
    let start = || {
        let mut command = std::process::Command::new(GAPLESS);
        command.arg("calibrate").env("TMPDIR", place.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it is built")
    };
    let folder_of = |calibration: &Child| place.path().join(format!("gapless-calibrate.{}", calibration.id()));
    let await_socket_of = |calibration: &Child| {
        until("it has bound a socket", || {
            fs::read_dir(folder_of(calibration)).is_ok_and(|entries| entries.count() > 0)
        });
    };
    let mut killed = start();
    await_socket_of(&killed);
    killed.kill().expect("ours");
    killed.wait().expect("ours");
    assert!(folder_of(&killed).exists(), "it could not remove that itself");

    let mut next = start();
    await_socket_of(&next);
    assert!(!folder_of(&killed).exists() && folder_of(&next).exists());
    next.kill().expect("ours");
    next.wait().expect("ours");
    let works_here = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let place = place.path().as_os_str().as_encoded_bytes();
        environment.windows(place.len()).any(|window| window == place)
    };
    until("its processes have ended with it", || {
        let pids = fs::read_dir("/proc").expect("it is there").flatten();
        !pids.filter_map(|entry| entry.file_name().into_string().ok()).any(|pid| works_here(&pid))
    });
}
