//! Processes: which one, when it ended, how much memory it holds. From `/proc` and pidfds.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;
use crate::model::process::{Exit, ExitSource, Process};
use crate::model::{MonoTime, ProcessId, UnitName};

/// Where control groups are mounted: the unified hierarchy, then systemd's two hybrid layouts.
const CGROUP_ROOTS: &[&str] = &["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/// How often an exit is looked for where no pidfd can be had.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The process that has this PID now, a zombie included; none if there is none.
#[must_use]
pub fn identify(pid: u32) -> Option<ProcessId> {
    Stat::read(pid).map(|stat| ProcessId { pid, start_ticks: stat.start_ticks })
}

/// Every process of a control group and of the groups below it, by PID.
///
/// `control_group` is systemd's ControlGroup property, such as `/system.slice/ledger-api.service`; it is empty
/// for a unit without processes.
#[must_use]
pub fn in_cgroup(control_group: &str) -> Vec<ProcessId> {
    if control_group.is_empty() {
        return Vec::new();
    }
    let below = control_group.trim_start_matches('/');
    let group = CGROUP_ROOTS.iter().map(|root| Path::new(root).join(below)).find(|group| group.is_dir());
    group.map(|group| in_cgroup_directory(&group)).unwrap_or_default()
}

/// The process's share of the memory it uses (Pss of `/proc/PID/smaps_rollup`, proc(5)), in bytes; none if it
/// is gone or we may not read it.
#[must_use]
pub fn pss_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

/// Waits until `process` has ended and says when that was noticed; at once if it is gone already, which includes
/// that its PID belongs to another process now.
///
/// A zombie has ended: its sockets are closed. Needs a tokio runtime with I/O and time.
pub async fn exited(process: ProcessId) -> MonoTime {
    exit_of(process).await.at
}

/// As [`exited`], and by what it was noticed.
pub async fn exit_of(process: ProcessId) -> Exit {
    match pidfd(process) {
        Ok(None) => Exit { at: clock::now(), source: ExitSource::Late },
        // With the identity checked after the descriptor was opened, it is of this process for certain.
        Ok(Some(pidfd)) => match pidfd.readable().await {
            Ok(_) => Exit { at: clock::now(), source: ExitSource::Pidfd },
            Err(_) => Exit { at: poll_exit(process).await, source: ExitSource::Proc },
        },
        Err(_) => Exit { at: poll_exit(process).await, source: ExitSource::Proc },
    }
}

/// What is known of the process that has this PID now; none if there is none.
#[must_use]
pub fn describe(pid: u32) -> Option<Process> {
    let id = identify(pid)?;
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let link = |file: &str| fs::read_link(format!("/proc/{pid}/{file}")).ok()?.to_str().map(str::to_owned);
    let control_group = read("cgroup").and_then(|text| control_group_of(&text));
    let process = Process {
        id,
        name: read("comm").unwrap_or_default().trim_end().to_owned(),
        unit: control_group.as_deref().and_then(unit_of),
        control_group,
        exe: link("exe"),
        netns: link("ns/net").and_then(|link| link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()),
        caught_signals: read("status").and_then(|text| caught_signals(&text)),
    };
    // The PID may have gone to another process meanwhile.
    (identify(pid) == Some(id)).then_some(process)
}

/// The control group of `/proc/PID/cgroup`: systemd's own hierarchy, or the unified one, cgroups(7). In a namespace of
/// control groups one of the two may be there without systemd using it: everything is at its root then.
fn control_group_of(text: &str) -> Option<String> {
    let of = |hierarchy: &str| text.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(hierarchy));
    let used = of("name=systemd:").filter(|group| *group != "/");
    used.or_else(|| of(":")).filter(|group| group.starts_with('/')).map(str::to_owned)
}

/// The unit that a control group belongs to: the first below the slices; below a user's manager, the first below the
/// slices of that, as `sd_pid_get_user_unit(3)` has it.
fn unit_of(control_group: &str) -> Option<UnitName> {
    let mut units = control_group.split('/').filter(|part| !part.is_empty() && part.strip_suffix(".slice").is_none());
    let unit = units.next()?;
    let of_user = unit.starts_with("user@").then(|| units.next()).flatten();
    // A name that would begin with an underscore or a dot is escaped by one underscore.
    UnitName::new(of_user.unwrap_or(unit).trim_start_matches('_')).ok()
}

/// SigCgt of `/proc/PID/status`.
fn caught_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// A descriptor that becomes readable when `process` ends; none if it is gone.
fn pidfd(process: ProcessId) -> io::Result<Option<AsyncFd<OwnedFd>>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let fd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(fd) => fd,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if identify(process.pid) != Some(process) {
        return Ok(None);
    }
    #[expect(
        deprecated,
        reason = "its successor is unsafe; what it asks for, that the descriptor stays, OwnedFd grants"
    )]
    AsyncFd::with_interest(fd, Interest::READABLE).map(Some)
}

/// For a process whose pidfd cannot be had: no descriptor is free, or a seccomp filter forbids it.
async fn poll_exit(process: ProcessId) -> MonoTime {
    while Stat::read(process.pid).is_some_and(|stat| stat.start_ticks == process.start_ticks && !stat.is_zombie()) {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    clock::now()
}

/// What we need of `/proc/PID/stat`, proc(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) start_ticks: u64,
}

impl Stat {
    /// Of the process of that PID; none if there is none.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The command name stands in parentheses and may itself hold blanks and parentheses: count from the last.
        let (_, behind_name) = text.rsplit_once(") ")?;
        let mut fields = behind_name.split(' ');
        let state = fields.next()?.chars().next()?;
        let mut number = || fields.next()?.parse().ok();
        let (parent, group, session) = (number()?, number()?, number()?);
        let start_ticks = fields.nth(15)?.parse().ok()?;
        Some(Self { state, parent, group, session, start_ticks })
    }

    /// Whether it waits to be reaped.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn in_cgroup_directory(group: &Path) -> Vec<ProcessId> {
    let mut groups = vec![group.to_path_buf()];
    let mut processes = Vec::new();
    while let Some(group) = groups.pop() {
        let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        processes.extend(pids.lines().filter_map(|pid| identify(pid.parse().ok()?)));
        groups.extend(directories_in(&group));
    }
    processes.sort_unstable();
    processes
}

/// The directories right below; none if the group vanished meanwhile, as groups do.
fn directories_in(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(group) else {
        return Vec::new();
    };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_directory).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Self(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep(1) is everywhere"))
        }

        fn id(&self) -> ProcessId {
            identify(self.0.id()).expect("it runs")
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_command_name_may_hold_blanks_and_parentheses() {
        let stat = Stat::parse("7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0").expect("parses");
        assert_eq!((stat.state, stat.start_ticks), ('S', 4711));
        assert_eq!((stat.parent, stat.group, stat.session), (1, 7, 7));
    }

    #[test]
    fn a_running_process_has_an_identity_and_a_reaped_one_has_none() {
        let mut sleeper = Sleeper::start();
        let id = sleeper.id();
        assert_eq!(id.pid, sleeper.0.id());
        assert_eq!(identify(id.pid), Some(id), "and keeps it");
        sleeper.0.kill().expect("it is ours");
        sleeper.0.wait().expect("it is ours");
        assert_eq!(identify(id.pid), None);
    }

    #[test]
    fn a_process_has_a_name_a_control_group_and_the_signals_that_it_catches() {
        let sleeper = Sleeper::start();
        let process = describe(sleeper.0.id()).expect("it runs");
        assert_eq!(process.id, sleeper.id());
        // Between fork and exec it is still called as we are.
        assert!(!process.name.is_empty() && process.netns.is_some());
        assert_eq!(caught_signals("Name:\tx\nSigCgt:\t0000000000004002\n"), Some(0x4002));
        assert_eq!(describe(0), None);
    }

    #[test]
    fn a_control_group_is_of_the_unit_that_systemd_would_say() {
        for (group, unit) in [
            ("/system.slice/ledger-api.service", Some("ledger-api.service")),
            ("/system.slice/system-app.slice/app@1.service/worker", Some("app@1.service")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", Some("a.service")),
            ("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope")),
            ("/init.scope", Some("init.scope")),
            ("/", None),
            ("/docker/0123", None),
        ] {
            assert_eq!(unit_of(group).as_ref().map(UnitName::as_str), unit, "{group}");
        }
    }

    #[test]
    fn the_control_group_is_read_in_both_layouts() {
        assert_eq!(control_group_of("0::/a.slice/b.service\n").as_deref(), Some("/a.slice/b.service"));
        let hybrid = "12:pids:/x\n1:name=systemd:/a.slice/b.service\n0::/y\n";
        assert_eq!(control_group_of(hybrid).as_deref(), Some("/a.slice/b.service"));
        assert_eq!(control_group_of(""), None);
    }

    #[test]
    fn our_own_memory_is_known_and_that_of_nobody_is_not() {
        let own = pss_bytes(std::process::id()).expect("we may read our own");
        assert!(own > 64 * 1024, "{own} bytes for a whole process");
        assert_eq!(pss_bytes(0), None);
    }

    #[tokio::test]
    async fn an_exit_is_seen_before_the_process_is_reaped() {
        let mut sleeper = Sleeper::start();
        let id = sleeper.id();
        let waiting = tokio::spawn(exited(id));
        let killed_at = clock::now();
        sleeper.0.kill().expect("it is ours");
        assert!(waiting.await.expect("no panic") >= killed_at);
        assert_eq!(identify(id.pid), Some(id), "still a zombie");
        assert!(exited(id).await >= killed_at, "a zombie has ended");
        assert!(poll_exit(id).await >= killed_at, "also where there is no pidfd");
    }

    #[tokio::test]
    async fn a_process_whose_pid_was_reused_has_exited() {
        let sleeper = Sleeper::start();
        let earlier = ProcessId { start_ticks: sleeper.id().start_ticks - 1, ..sleeper.id() };
        exited(earlier).await;
        poll_exit(earlier).await;
    }

    #[test]
    fn a_control_group_has_the_processes_of_the_groups_below_it_by_pid() {
        let sleepers: Vec<Sleeper> = (0..3).map(|_| Sleeper::start()).collect();
        let group = tempfile::tempdir().expect("a place for files");
        let below = group.path().join("worker");
        fs::create_dir(&below).expect("writable");
        let pid = |nth: usize| sleepers[nth].0.id();
        fs::write(group.path().join("cgroup.procs"), format!("{}\n", pid(1))).expect("writable");
        fs::write(below.join("cgroup.procs"), format!("{}\n{}\n", pid(2), pid(0))).expect("writable");
        let mut expected: Vec<ProcessId> = sleepers.iter().map(Sleeper::id).collect();
        expected.sort_unstable();
        assert_eq!(in_cgroup_directory(group.path()), expected);
    }

    #[test]
    fn a_unit_without_a_control_group_has_no_processes() {
        assert_eq!(in_cgroup(""), []);
        assert_eq!(in_cgroup("/no-such.slice/no-such.service"), []);
    }
}
