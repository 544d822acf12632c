//! The CPU time of the generator is taken away by the quota of its cgroup.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::demo::server::{Background, ServerOptions};
use gapless::model::{Endpoint, Verdict};
use tempfile::TempDir;

use crate::faults::rig::{Ended, Running, until};
use crate::faults::scenario::{Scenario, run};

/// A cgroup of the CPU controller, which a kernel has in one of two versions. A box has no controller mounted.
struct Quota {
    mount: TempDir,
    group: PathBuf,
    /// Where this process was before.
    before: PathBuf,
}

impl Quota {
    fn none_yet() -> Self {
        let mount = tempfile::tempdir_in("/run").expect("a folder");
        let unified = "/sys/fs/cgroup";
        let controllers = fs::read_to_string(format!("{unified}/cgroup.controllers")).unwrap_or_default();
        let is_unified = controllers.split_whitespace().any(|name| name == "cpu");
        if is_unified {
            run("mount", &["--bind", unified, text(mount.path())]);
            fs::write(format!("{unified}/cgroup.subtree_control"), "+cpu").expect("we are root");
        } else {
            run("mount", &["-t", "cgroup", "-o", "cpu", "cgroup", text(mount.path())]);
        }
        let own = fs::read_to_string("/proc/self/cgroup").expect("it is there");
        let of_line =
            |line: &str| line.split_once(if is_unified { "0::/" } else { ":cpu:/" }).map(|at| at.1.to_owned());
        let before = mount.path().join(own.lines().find_map(of_line).expect("every process has one"));
        // A test that was killed has left it: of version 1 there is one hierarchy, inside a box and outside.
        let group = mount.path().join("gapless-quota");
        fs::create_dir_all(&group).expect("we are root");
        let quota = Self { mount, group, before };
        quota.set(None);
        quota
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
    fn set(&self, usec: Option<u32>) {
        let version_2 = self.group.join("cpu.max");
        let (file, text) = if version_2.exists() {
            (version_2, usec.map_or("max".to_owned(), |usec| format!("{usec} 100000")))
        } else {
            (self.group.join("cpu.cfs_quota_us"), usec.map_or("-1".to_owned(), |usec| usec.to_string()))
        };
        fs::write(file, text).expect("the controller is there");
    }

    /// For how long the kernel kept the group from running.
    fn throttled(&self) -> Duration {
        let stat = fs::read_to_string(self.group.join("cpu.stat")).expect("it is there");
        let of = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        let usec = of("throttled_usec ").map(Duration::from_micros);
        usec.or_else(|| of("throttled_time ").map(Duration::from_nanos)).expect("the controller counts it")
    }
}

impl Drop for Quota {
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
        .with_target("timeout = \"200ms\"")
        .then("wait = \"3s\"");
    let quota = Quota::none_yet();
    let mut running = quota.around(|| Running::start(&scenario, "auto"));
    running.await_counting();
    quota.set(Some(usec));
    until("the kernel has kept it waiting", || quota.throttled() >= throttled);
    quota.set(None);
    (running.end(), scenario)
}

#[test]
#[ignore = "runs in the box"]
fn losses_while_a_quota_kept_the_generator_from_a_core_are_in_doubt_and_the_quota_is_named() {
    let (ended, _files) = loaded_with(1_000, Duration::from_secs(2));
    let result = ended.is_inconclusive(3, "the CPU quota of its cgroup kept it from a core");
    assert!(result.requests.failed > 0, "{:?}", result.outcomes);
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
