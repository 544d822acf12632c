//! What is taken from this process: CPU time, by the quota of its cgroup and by the hypervisor, and memory, by the limits
//! of its cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup;
use crate::record::generator::Taken;

/// Nanoseconds in a tick of /proc/stat: USER_HZ is 100 on every architecture of Linux that Rust builds for.
const TICK_NS: u64 = 10_000_000;

/// Most that the sockets of a group of version 1 may buffer, and what they do buffer: bytes.
const TCP_LIMIT: &str = "memory.kmem.tcp.limit_in_bytes";
const TCP_USAGE: &str = "memory.kmem.tcp.usage_in_bytes";

/// Tells what was taken since it was last asked.
#[derive(Debug)]
pub struct TakenMeter {
    files: Files,
    last: Taken,
}

/// Where the kernel counts it. A limit of a group above holds for this process as well.
#[derive(Debug)]
struct Files {
    /// `cpu.stat`.
    cpu: Vec<PathBuf>,
    /// `memory.events` of version 2, `memory.kmem.tcp.failcnt` of version 1.
    socket_memory: Vec<PathBuf>,
    /// Groups of version 1 with a limit for what TCP buffers.
    socket_memory_limits: Vec<PathBuf>,
    /// `memory.pressure` of this process's own group: whichever group has the limit, those who wait are counted in theirs.
    memory_pressure: Option<PathBuf>,
}

impl TakenMeter {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        let files = Files::find();
        let last = files.since_boot();
        Self { files, last }
    }

    /// What was taken since; none of what cannot be read.
    pub fn taken(&mut self) -> Taken {
        let now = self.files.since_boot();
        let last = std::mem::replace(&mut self.last, now);
        let rise = |of: fn(Taken) -> Option<u64>| of(now).zip(of(last)).map(|(now, last)| now.saturating_sub(last));
        Taken {
            throttled_ns: rise(|taken| taken.throttled_ns),
            steal_ns: rise(|taken| taken.steal_ns),
            memory_wait_ns: rise(|taken| taken.memory_wait_ns),
            socket_memory_denied: rise(|taken| taken.socket_memory_denied)
                .map(|denied| denied + self.files.socket_memory_exceeded()),
        }
    }
}

impl Files {
    fn find() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cgroup, mountinfo) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let groups = |controller| cgroup::groups(controller, &cgroup, &mountinfo);
        let memory = groups("memory");
        let denied = |group: &PathBuf| ["memory.events", "memory.kmem.tcp.failcnt"].map(|name| group.join(name));
        // The root group, which has no events, counts the whole machine's pressure there, also what the service brings about.
        let has_own_pressure =
            |group: &&PathBuf| group.join("memory.pressure").exists() && group.join("cgroup.events").exists();
        Self {
            cpu: groups("cpu").into_iter().map(|group| group.join("cpu.stat")).collect(),
            socket_memory: memory.iter().flat_map(denied).filter(|path| path.exists()).collect(),
            socket_memory_limits: memory.iter().filter(|group| group.join(TCP_LIMIT).exists()).cloned().collect(),
            memory_pressure: memory.iter().find(has_own_pressure).map(|group| group.join("memory.pressure")),
        }
    }

    fn since_boot(&self) -> Taken {
        Taken {
            throttled_ns: sum(&self.cpu, throttled_ns),
            steal_ns: fs::read_to_string("/proc/stat").ok().and_then(|text| steal_ns(&text)),
            memory_wait_ns: sum(self.memory_pressure.as_slice(), memory_wait_ns),
            socket_memory_denied: sum(&self.socket_memory, socket_memory_denied),
        }
    }

    /// How many limits of what TCP buffers are exceeded now. What is in use has to be looked at as well, since
    /// memory.kmem.tcp.failcnt stays 0 on Linux 6.18: the kernel lets sockets exceed the limit and holds them back.
    fn socket_memory_exceeded(&self) -> u64 {
        let read = |group: &Path, name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        let is_exceeded = |group: &&PathBuf| read(group, TCP_USAGE) > read(group, TCP_LIMIT);
        self.socket_memory_limits.iter().filter(is_exceeded).count() as u64
    }
}

/// What all these files count; none if none of them does, as without a limit.
fn sum(paths: &[PathBuf], count: fn(&str) -> Option<u64>) -> Option<u64> {
    let counts = paths.iter().filter_map(|path| count(&fs::read_to_string(path).ok()?));
    counts.fold(None, |sum, n| Some(sum.unwrap_or(0) + n))
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

/// For how long at least one task of the group waited for memory (Documentation/accounting/psi.rst): microseconds.
fn memory_wait_ns(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|figure| figure.strip_prefix("total="))?.parse::<u64>().ok()?.checked_mul(1_000)
}

/// How often a socket was refused memory: the only line of a failcnt, or an event of its own where the kernel has it. Other
/// memory events do not tell: they count the reclaim of cached files too, which hurts no request.
fn socket_memory_denied(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("sock_throttled ").unwrap_or(line).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn waiting_for_memory_is_that_of_any_task_of_the_group() {
        let pressure =
            "some avg10=0.00 avg60=1.20 avg300=0.00 total=1500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(memory_wait_ns(pressure), Some(1_500_000));
        assert_eq!(memory_wait_ns(""), None);
    }

    #[test]
    fn only_what_sockets_were_refused_counts_as_memory_of_sockets() {
        assert_eq!(socket_memory_denied("17\n"), Some(17));
        assert_eq!(socket_memory_denied("low 0\nhigh 8\nmax 9\noom 0\nsock_throttled 4\n"), Some(4));
        assert_eq!(socket_memory_denied("low 0\nhigh 8\nmax 9\noom 0\n"), None);
    }
}
