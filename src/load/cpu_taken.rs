//! CPU time that is taken from this process: by the quota of its cgroup, and by the hypervisor from the whole machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::record::generator::Taken;

/// Nanoseconds in a tick of /proc/stat: USER_HZ is 100 on every architecture of Linux that Rust builds for.
const TICK_NS: u64 = 10_000_000;

/// Tells what was taken since it was last asked.
#[derive(Debug)]
pub struct CpuTaken {
    /// `cpu.stat` of this process's cgroup and of all above it: each may have a quota.
    stats: Vec<PathBuf>,
    last: Taken,
}

impl CpuTaken {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let stats = stats(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let last = since_boot(&stats);
        Self { stats, last }
    }

    /// What was taken since; none of what cannot be read.
    pub fn taken(&mut self) -> Taken {
        let now = since_boot(&self.stats);
        let last = std::mem::replace(&mut self.last, now);
        let rise = |now: Option<u64>, last: Option<u64>| now.zip(last).map(|(now, last)| now.saturating_sub(last));
        Taken { throttled_ns: rise(now.throttled_ns, last.throttled_ns), steal_ns: rise(now.steal_ns, last.steal_ns) }
    }
}

fn since_boot(stats: &[PathBuf]) -> Taken {
    let throttled = stats.iter().filter_map(|path| throttled_ns(&fs::read_to_string(path).ok()?));
    let steal_ns = fs::read_to_string("/proc/stat").ok().and_then(|text| steal_ns(&text));
    // A group without a quota counts nothing.
    Taken { throttled_ns: throttled.fold(None, |sum, ns| Some(sum.unwrap_or(0) + ns)), steal_ns }
}

/// Where the CPU controller counts for the process with these `/proc/PID/cgroup` and `/proc/PID/mountinfo`, be it
/// version 2 or 1: its own group first.
fn stats(cgroup: &str, mountinfo: &str) -> Vec<PathBuf> {
    let of_controller = |controllers: &str| controllers.split(',').any(|name| name == "cpu");
    let groups = cgroup.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        (controllers.is_empty() || of_controller(controllers)).then_some((controllers.is_empty(), group))
    });
    let folders = groups.flat_map(|(is_unified, group)| {
        let mount = mountinfo.lines().find_map(|line| mounted(line, is_unified, of_controller));
        let folder = mount.and_then(|(root, point)| {
            let below = Path::new(group).strip_prefix(root).ok()?;
            Some((point.join(below), point))
        });
        folder.into_iter().flat_map(|(folder, point)| {
            let above = folder.ancestors().take_while(|above| above.starts_with(&point));
            above.map(|above| above.join("cpu.stat")).collect::<Vec<_>>()
        })
    });
    folders.collect()
}

/// The root and the mount point of a line of mountinfo (proc_pid_mountinfo(5)), if the controller is mounted there.
fn mounted(line: &str, is_unified: bool, of_controller: impl Fn(&str) -> bool) -> Option<(&str, PathBuf)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let is_it = match filesystem.next()? {
        "cgroup2" => is_unified,
        "cgroup" => !is_unified && of_controller(filesystem.nth(1)?),
        _ => false,
    };
    is_it.then(|| (root, PathBuf::from(point)))
}

fn throttled_ns(cpu_stat: &str) -> Option<u64> {
    cpu_stat.lines().find_map(|line| match line.split_once(' ')? {
        ("throttled_usec", usec) => usec.parse::<u64>().ok()?.checked_mul(1_000),
        ("throttled_time", nsec) => nsec.parse().ok(),
        _ => None,
    })
}

/// The eighth figure of the line of all cores (proc_stat(5)).
fn steal_ns(stat: &str) -> Option<u64> {
    let cores = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    cores.split_ascii_whitespace().nth(7)?.parse::<u64>().ok()?.checked_mul(TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const SPLIT: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                         38 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn paths(cgroup: &str, mountinfo: &str) -> Vec<String> {
        stats(cgroup, mountinfo).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_quota_may_be_that_of_any_group_above() {
        let expected = ["system.slice/ci.service", "system.slice", ""].map(|group| match group {
            "" => "/sys/fs/cgroup/cpu.stat".to_owned(),
            group => format!("/sys/fs/cgroup/{group}/cpu.stat"),
        });
        assert_eq!(paths("0::/system.slice/ci.service\n", UNIFIED), expected);
    }

    #[test]
    fn a_controller_of_version_1_has_a_hierarchy_of_its_own() {
        let cgroup = "4:memory:/m\n1:cpuacct,cpu:/ci\n0::/\n";
        let cpu = "/sys/fs/cgroup/cpu,cpuacct";
        let expected =
            [format!("{cpu}/ci/cpu.stat"), format!("{cpu}/cpu.stat"), "/sys/fs/cgroup/unified/cpu.stat".into()];
        assert_eq!(paths(cgroup, SPLIT), expected);
    }

    #[test]
    fn what_is_mounted_from_a_group_on_is_found_below_its_mount_point() {
        let mounted_below = UNIFIED.replace(" / /sys", " /docker/1 /sys");
        assert_eq!(paths("0::/docker/1/x\n", &mounted_below), ["/sys/fs/cgroup/x/cpu.stat", "/sys/fs/cgroup/cpu.stat"]);
        assert!(paths("0::/elsewhere\n", &mounted_below).is_empty());
    }

    #[test]
    fn both_versions_count_throttled_time_in_units_of_their_own() {
        assert_eq!(throttled_ns("usage_usec 9\nnr_throttled 2\nthrottled_usec 1500\n"), Some(1_500_000));
        assert_eq!(throttled_ns("nr_periods 9\nnr_throttled 2\nthrottled_time 1500\n"), Some(1_500));
        assert_eq!(throttled_ns("usage_usec 9\n"), None);
    }

    #[test]
    fn steal_is_that_of_all_cores() {
        let stat = "cpu  10 0 20 3000 4 0 5 7 0 0\ncpu0 10 0 20 3000 4 0 5 6 0 0\n";
        assert_eq!(steal_ns(stat), Some(70_000_000));
        assert_eq!(steal_ns("cpu  10 0 20\n"), None);
    }
}
