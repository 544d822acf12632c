//! What goes on being told, with root and a tracefs: and that nothing of it outlives its peer.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::clock;
use gapless::host::{Host, Remote};
use gapless::model::UnitName;
use gapless::record::line::Traced;
use tokio::process::Command;

use super::{on_one_thread, remote};
use crate::support::GAPLESS;

/// The tracing instances of gapless on this kernel that follow this port. Those of others come and go meanwhile: the kernel
/// has one tracefs for all.
fn instances(port: u16) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/sys/kernel/tracing/instances").expect("tracefs");
    let filter = |path: &Path| std::fs::read_to_string(path.join("events/sock/inet_sock_set_state/filter"));
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| filter(path).is_ok_and(|text| text.contains(&port.to_string()))).collect()
}

/// A probe whose CLOCK_MONOTONIC is ahead of ours, or behind.
pub(super) fn elsewhen(seconds: i64) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--time", "--monotonic", &seconds.to_string(), "--fork", "--kill-child", GAPLESS, "probe"]);
    command
}

#[test]
#[ignore = "runs in the box"]
fn listeners_come_and_go_on_our_clock_and_nothing_is_left_out() {
    on_one_thread(async {
        for seconds in [0, 86_400] {
            let remote = Remote::start("box", elsewhen(seconds)).await.unwrap();
            let port = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
            let mut feed = remote.trace(&[port]).await.unwrap();
            assert_eq!(instances(port).len(), 1);
            let began = clock::now();
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            let up = clock::now();
            drop(listener);
            let down = clock::now();
            assert_eq!((feed.stop)().await.unwrap(), 0);
            let mut events = Vec::new();
            while let Some(event) = feed.events.recv().await {
                events.push(event);
            }
            let [came, went] = events.as_slice() else { panic!("{events:?}") };
            assert!(matches!(came.traced, Traced::ListenerUp { .. }), "{came:?}");
            assert!(matches!(went.traced, Traced::ListenerDown { cookie: Some(_), .. }), "{went:?}");
            // The trace counts in microseconds.
            let slack = Duration::from_nanos(remote.clock().unwrap().half_width_ns) + Duration::from_micros(2);
            assert!(began < came.at + slack && came.at < up + slack, "{began:?} {came:?} {up:?} {slack:?}");
            assert!(up < went.at + slack && went.at < down + slack, "{up:?} {went:?} {down:?} {slack:?}");
            assert!(instances(port).is_empty(), "it is removed at its end");
        }
    });
}

#[test]
#[ignore = "runs in the box"]
fn the_offset_of_another_clock_is_within_its_half_width() {
    on_one_thread(async {
        for seconds in [86_400, 3, -1] {
            let remote = Remote::start("box", elsewhen(seconds)).await.unwrap();
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let clock = remote.clock().unwrap();
                let off = clock.offset_ns.abs_diff(seconds * 1_000_000_000);
                assert!(off <= clock.half_width_ns, "{off} ns off, {} said", clock.half_width_ns);
                assert!(clock.half_width_ns < 5_000_000, "{} ns", clock.half_width_ns);
            }
        }
    });
}

#[test]
#[ignore = "runs in the box"]
fn a_trace_whose_peer_is_killed_is_gone_with_its_probe() {
    let port = 18_471_u16;
    // The shell stands for ssh. It asks for a trace, and is killed.
    let ask = format!(r#"(echo '{{"id":1,"ask":{{"trace":{{"ports":[{port}]}}}}}}'; exec sleep 60) | {GAPLESS} probe"#);
    let mut shell = std::process::Command::new("setsid");
    shell.args(["sh", "-c", &ask]).stdout(std::process::Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("began") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "it answers");
    }
    assert_eq!(instances(port).len(), 1);
    // All but the probe.
    let group = i32::try_from(child.id()).unwrap();
    for pid in of_group(group) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name.trim_end() != "gapless" {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
    child.wait().unwrap();
    std::io::Read::read_to_end(&mut said, &mut Vec::new()).unwrap();
    // A process closes its files before it is gone.
    let begin = std::time::Instant::now();
    while !of_group(group).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?} are left", of_group(group));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(instances(port).is_empty(), "no instance is left");
}

/// The PIDs of a process group, without zombies.
fn of_group(group: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("it is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ').collect()).unwrap_or_default();
        fields.first().is_some_and(|state| *state != "Z") && fields.get(2) == Some(&group.to_string().as_str())
    })
    .collect()
}

#[test]
#[ignore = "runs in the box"]
fn the_journal_of_a_unit_is_told_line_by_line() {
    on_one_thread(async {
        for seconds in [0, 86_400] {
            let remote =
                if seconds == 0 { remote().await } else { Remote::start("box", elsewhen(seconds)).await.unwrap() };
            let unit = UnitName::new(format!("probe-journal-{seconds}.service")).unwrap();
            let mut feed =
                remote.journal(gapless::host::journal::Scope::System, std::slice::from_ref(&unit)).await.unwrap();
            let before = clock::now();
            let mut command = Command::new("systemd-run");
            command.args(["--quiet", "--wait", &format!("--unit={unit}"), "echo", "one line of it"]);
            assert!(command.status().await.unwrap().success());
            let said = loop {
                let entry = feed.events.recv().await.expect("the journal goes on");
                if entry.message == "one line of it" {
                    break entry;
                }
            };
            let slack = Duration::from_nanos(remote.clock().unwrap().half_width_ns) + Duration::from_micros(2);
            assert_eq!(said.unit, unit);
            assert!(before < said.at + slack && said.at < clock::now(), "{before:?} {said:?}");
            assert_eq!((feed.stop)().await.unwrap(), 0);
            while feed.events.recv().await.is_some() {}
        }
    });
}
