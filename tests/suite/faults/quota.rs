//! CPU time and memory of the generator are taken away by the limits of its cgroup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::demo::server::{Background, ServerOptions};
use gapless::model::{Endpoint, Verdict};
use tempfile::TempDir;

use crate::faults::rig::{Ended, Running, until};
use crate::faults::scenario::{Scenario, run};

/// A cgroup of one controller, which a kernel has in one of two versions. A box has no controller mounted.
struct Limited {
    mount: TempDir,
    group: PathBuf,
    /// Where this process was before.
    before: PathBuf,
}

impl Limited {
    /// Without a limit yet.
    fn by(controller: &str) -> Self {
        let mount = tempfile::tempdir_in("/run").expect("a folder");
        let unified = "/sys/fs/cgroup";
        let controllers = fs::read_to_string(format!("{unified}/cgroup.controllers")).unwrap_or_default();
        let is_unified = controllers.split_whitespace().any(|name| name == controller);
        if is_unified {
            run("mount", &["--bind", unified, text(mount.path())]);
            fs::write(format!("{unified}/cgroup.subtree_control"), format!("+{controller}")).expect("we are root");
        } else {
            run("mount", &["-t", "cgroup", "-o", controller, "cgroup", text(mount.path())]);
        }
        let own = fs::read_to_string("/proc/self/cgroup").expect("it is there");
        let before_path = if is_unified { "0::/".to_owned() } else { format!(":{controller}:/") };
        let of_line = |line: &str| line.split_once(&before_path).map(|at| at.1.to_owned());
        let before = mount.path().join(own.lines().find_map(of_line).expect("every process has one"));
        // A test that was killed has left it: of version 1 there is one hierarchy, inside a box and outside.
        let group = mount.path().join("gapless-limited");
        fs::create_dir_all(&group).expect("we are root");
        let limited = Self { mount, group, before };
        match controller {
            "cpu" => limited.set_quota(None),
            _ => limited.set_memory(None),
        }
        limited
    }

    /// What `start` starts is in the group from its beginning: a thread with real-time priority cannot be moved there.
    fn around<T>(&self, start: impl FnOnce() -> T) -> T {
        let enter = |group: &Path| fs::write(group.join("cgroup.procs"), "0").expect("we are root");
        enter(&self.group);
        let started = start();
        enter(&self.before);
        started
    }

    /// From now on at most this part of each 100 ms, in microseconds; none: all of it.
    fn set_quota(&self, usec: Option<u32>) {
        let version_2 = self.group.join("cpu.max");
        let (file, text) = if version_2.exists() {
            (version_2, usec.map_or("max".to_owned(), |usec| format!("{usec} 100000")))
        } else {
            (self.group.join("cpu.cfs_quota_us"), usec.map_or("-1".to_owned(), |usec| usec.to_string()))
        };
        fs::write(file, text).expect("the controller is there");
    }

    /// From now on this many bytes before the kernel holds the group back; none: any number. Version 1 counts what TCP buffers
    /// apart; version 2 has one limit for all.
    fn set_memory(&self, bytes: Option<u32>) {
        let version_1 = self.group.join("memory.kmem.tcp.limit_in_bytes");
        let (file, all) = if version_1.exists() { (version_1, "-1") } else { (self.group.join("memory.high"), "max") };
        let text = bytes.map_or(all.to_owned(), |bytes| bytes.to_string());
        // A limit below what is in use is refused: what requests in flight hold is given back when they end.
        until("the kernel takes the limit", || match fs::write(&file, &text) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => false,
            written => {
                written.expect("the controller is there");
                true
            }
        });
    }

    /// For how long the kernel kept the group from running.
    fn throttled(&self) -> Duration {
        let stat = fs::read_to_string(self.group.join("cpu.stat")).expect("it is there");
        let of = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        let usec = of("throttled_usec ").map(Duration::from_micros);
        usec.or_else(|| of("throttled_time ").map(Duration::from_nanos)).expect("the controller counts it")
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
        run("umount", &[text(self.mount.path())]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

/// Loads a server that answers at once. While requests are counted, the load has `usec` of each 100 ms, until it was kept
/// waiting for `throttled` in all.
fn loaded_with(usec: u32, throttled: Duration) -> (Ended, Scenario) {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let server = Background::start(ServerOptions::listening_on(vec![anywhere])).expect("it listens");
    let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
    let scenario = Scenario::without_units("quota", &format!("http://{address}/"))
        .with_target("timeout = \"500ms\"")
        .then("wait = \"5s\"");
    let quota = Limited::by("cpu");
    let mut running = quota.around(|| Running::start(&scenario, "auto"));
    running.await_counting();
    quota.set_quota(Some(usec));
    until("the kernel has kept it waiting", || quota.throttled() >= throttled);
    quota.set_quota(None);
    (running.end(), scenario)
}

#[test]
#[ignore = "runs in the box"]
fn losses_while_a_quota_kept_the_generator_from_a_core_are_in_doubt_and_the_quota_is_named() {
    let (ended, _files) = loaded_with(1_000, Duration::from_secs(3));
    let result = ended.is_inconclusive(3, "the CPU quota of its cgroup kept it from a core");
    // What it could not even send in time is `unsent`.
    assert!(result.requests.failed + result.requests.unsent > 0, "{:?}", result.outcomes);
}

#[test]
#[ignore = "runs in the box"]
fn a_quota_that_suffices_takes_no_part_in_the_verdict() {
    let (ended, _files) = loaded_with(200_000, Duration::ZERO);
    let result = ended.result();
    assert_eq!((result.requests.failed, result.requests.unsent), (0, 0), "{:?}", result.outcomes);
    assert_ne!(result.verdict, Verdict::Failed, "{:#?}", result.reasons);
    assert!(!result.reasons.iter().any(|reason| reason.contains("quota")), "{:#?}", result.reasons);
}

/// Loads the same server with large requests, each of which has `timeout`, while memory is limited to `bytes`.
fn loaded_within(bytes: u32, timeout: &str) -> (Ended, Scenario) {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let server = Background::start(ServerOptions::listening_on(vec![anywhere])).expect("it listens");
    let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
    let body = "x".repeat(400_000);
    let scenario = Scenario::without_units("memory", &format!("http://{address}/"))
        .with_target(&format!("timeout = \"{timeout}\"\nmethod = \"POST\"\nbody = \"{body}\""))
        .then("wait = \"3s\"");
    let limited = Limited::by("memory");
    let mut running = limited.around(|| Running::start(&scenario, "auto"));
    running.await_counting();
    limited.set_memory(Some(bytes));
    (running.end(), scenario)
}

#[test]
#[ignore = "runs in the box"]
fn losses_while_the_generator_lacked_memory_are_in_doubt_and_the_limit_is_named() {
    let (ended, _files) = loaded_within(65_536, "50ms");
    let result = ended.is_inconclusive(3, "of its cgroup");
    assert!(result.reasons.iter().any(|reason| reason.contains("memory")), "{:#?}", result.reasons);
    assert!(result.requests.failed > 0, "{:?}", result.outcomes);
}

#[test]
#[ignore = "runs in the box"]
fn a_limit_of_memory_that_suffices_takes_no_part_in_the_verdict() {
    let (ended, _files) = loaded_within(1 << 30, "10s");
    let result = ended.result();
    assert_eq!((result.requests.failed, result.requests.unsent), (0, 0), "{:?}", result.outcomes);
    assert_ne!(result.verdict, Verdict::Failed, "{:#?}", result.reasons);
    assert!(!result.reasons.iter().any(|reason| reason.contains("memory")), "{:#?}", result.reasons);
}
