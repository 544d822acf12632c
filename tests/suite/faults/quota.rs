//! The CPU time of the generator is taken away by the quota of its cgroup.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::demo::server::{Background, ServerOptions};
use gapless::model::{Endpoint, Verdict};

use crate::faults::rig::{Ended, Running};
use crate::faults::scenario::{Scenario, run};

/// A cgroup of the CPU controller, which a kernel has in one of two versions. A box has no controller mounted.
struct Quota {
    group: PathBuf,
    mount: tempfile::TempDir,
}

impl Quota {
    /// At most this part of each 100 ms, in microseconds.
    fn of(usec: u32) -> Self {
        let mount = tempfile::tempdir_in("/run").expect("a folder");
        let at = mount.path().to_str().expect("ASCII");
        let unified = "/sys/fs/cgroup";
        let controllers = fs::read_to_string(format!("{unified}/cgroup.controllers")).unwrap_or_default();
        let group = if controllers.split_whitespace().any(|name| name == "cpu") {
            run("mount", &["--bind", unified, at]);
            fs::write(format!("{unified}/cgroup.subtree_control"), "+cpu").expect("we are root");
            mount.path().join("gapless-quota")
        } else {
            run("mount", &["-t", "cgroup", "-o", "cpu", "cgroup", at]);
            mount.path().join(format!("gapless-quota-{}", std::process::id()))
        };
        fs::create_dir(&group).expect("we are root");
        let version_2 = group.join("cpu.max");
        let limited = if version_2.exists() {
            fs::write(version_2, format!("{usec} 100000"))
        } else {
            fs::write(group.join("cpu.cfs_quota_us"), usec.to_string())
        };
        limited.expect("the controller is there");
        Self { group, mount }
    }

    fn takes(&self, running: &Running) {
        fs::write(self.group.join("cgroup.procs"), running.pid().to_string()).expect("it lives");
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
        run("umount", &[path(self.mount.path())]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

/// Loads a server that answers at once while the load has `usec` of each 100 ms; and for how long it was kept waiting.
fn loaded_with(usec: u32) -> (Ended, Duration) {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let server = Background::start(ServerOptions::listening_on(vec![anywhere])).expect("it listens");
    let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
    let scenario = Scenario::without_units("quota", &format!("http://{address}/"))
        .with_target("timeout = \"200ms\"")
        .then("wait = \"3s\"");
    let quota = Quota::of(usec);
    let mut running = Running::start(&scenario, "auto");
    running.await_counting();
    quota.takes(&running);
    let ended = running.end();
    (ended, quota.throttled())
}

#[test]
#[ignore = "runs in the box"]
fn losses_while_a_quota_kept_the_generator_from_a_core_are_in_doubt_and_the_quota_is_named() {
    let (ended, throttled) = loaded_with(1_000);
    assert!(throttled > Duration::from_secs(1), "{throttled:?}");
    let result = ended.is_inconclusive(3, "the CPU quota of its cgroup kept it from a core");
    assert!(result.requests.failed > 0, "{:?}", result.outcomes);
}

#[test]
#[ignore = "runs in the box"]
fn a_quota_that_suffices_takes_no_part_in_the_verdict() {
    let (ended, throttled) = loaded_with(200_000);
    assert_eq!(throttled, Duration::ZERO);
    let result = ended.result();
    assert_eq!((result.requests.failed, result.requests.unsent), (0, 0), "{:?}", result.outcomes);
    assert_ne!(result.verdict, Verdict::Failed, "{:#?}", result.reasons);
    assert!(!result.reasons.iter().any(|reason| reason.contains("quota")), "{:#?}", result.reasons);
}
