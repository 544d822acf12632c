//! Which processes belong to a unit, without control groups: by session, by a mark in the environment that
//! children inherit, and by descent from either.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal as RawSignal, kill_process};

use crate::host::process::Stat;
use crate::model::{ProcessId, Signal};

/// The environment variable that marks the processes of a run: `RUN/UNIT`.
pub(super) const MARK: &str = "GAPLESS_EMBEDDED_UNIT";

/// A process with its place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    stat: Stat,
}

impl Process {
    /// The process of that PID; none if there is none.
    pub(super) fn read(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self { id: ProcessId { pid, start_ticks: stat.start_ticks }, stat })
    }

    /// Whether it still runs: not gone, not waiting to be reaped, and not another with the same PID.
    pub(super) fn is_alive(id: ProcessId) -> bool {
        Self::read(id.pid).is_some_and(|process| process.id == id && !process.stat.is_zombie())
    }

    fn all() -> Vec<Self> {
        let Ok(directory) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = directory.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).filter(|process| !process.stat.is_zombie()).collect()
    }
}

impl ProcessId {
    /// Sends a signal, unless the process is gone. Whether it was sent.
    pub(super) fn kill(self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw).filter(|_| Process::is_alive(self)) else {
            return false;
        };
        if let Some(raw) = RawSignal::from_named_raw(signal.number()) {
            return kill_process(pid, raw).is_ok();
        }
        // A real-time signal: the library has no safe way to name one.
        let number = format!("-{}", signal.number());
        let sent = std::process::Command::new("kill").args([number, self.pid.to_string()]).status();
        sent.is_ok_and(|status| status.success())
    }
}

/// The processes of a unit, or of a whole run.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// `GAPLESS_EMBEDDED_UNIT=RUN/UNIT` and a NUL, or up to the slash for a whole run.
    mark: String,
    sessions: BTreeSet<u32>,
}

impl Family {
    /// Every process of a run.
    pub(super) fn of_run(run: &str) -> Self {
        Self { mark: format!("{MARK}={run}/"), sessions: BTreeSet::new() }
    }

    /// The processes of one unit of a run.
    pub(super) fn of_unit(run: &str, unit: &str) -> Self {
        Self { mark: format!("{MARK}={run}/{unit}\0"), sessions: BTreeSet::new() }
    }

    /// Adds a session: its leader's PID.
    pub(super) fn add_session(&mut self, session: u32) {
        self.sessions.insert(session);
    }

    /// Takes a session away.
    pub(super) fn forget_session(&mut self, session: u32) {
        self.sessions.remove(&session);
    }

    /// Takes all sessions away.
    pub(super) fn take_sessions(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.sessions)
    }

    /// The processes that run now, ascending by PID; zombies do not count.
    pub(super) fn members(&self) -> Vec<ProcessId> {
        let all = Process::all();
        let ours = std::process::id();
        let mut members: BTreeSet<u32> =
            all.iter().filter(|process| self.is_member(process)).map(|process| process.id.pid).collect();
        loop {
            let before = members.len();
            let born =
                all.iter().filter(|process| members.contains(&process.stat.parent)).map(|process| process.id.pid);
            members.extend(born.collect::<Vec<_>>());
            if members.len() == before {
                break;
            }
        }
        all.iter().map(|process| process.id).filter(|id| id.pid != ours && members.contains(&id.pid)).collect()
    }

    fn is_member(&self, process: &Process) -> bool {
        let in_session =
            || self.sessions.contains(&process.stat.session) || self.sessions.contains(&process.stat.group);
        self.sessions.contains(&process.id.pid) || in_session() || self.is_marked(process.id.pid)
    }

    fn is_marked(&self, pid: u32) -> bool {
        // Not readable for processes of others, which cannot be ours.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let mark = self.mark.as_bytes();
        environment.starts_with(mark) || contains_variable(&environment, mark)
    }
}

/// Whether `mark` stands at the start of a variable of a NUL-separated environment.
fn contains_variable(environment: &[u8], mark: &[u8]) -> bool {
    environment.windows(mark.len() + 1).any(|window| window[0] == 0 && &window[1..] == mark)
}

/// Memory of the processes in bytes: the sum of their proportional set sizes, proc(5) smaps_rollup. None where
/// that of none can be read.
pub(super) fn memory_bytes(processes: &[ProcessId]) -> Option<u64> {
    let pss = |id: &ProcessId| {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", id.pid)).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let known: Vec<u64> = processes.iter().filter_map(pss).collect();
    (!known.is_empty()).then(|| known.iter().sum::<u64>() * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive_and_a_namesake_of_ours_is_not() {
        let ours = Process::read(std::process::id()).expect("we run").id;
        assert!(Process::is_alive(ours));
        assert!(!Process::is_alive(ProcessId { start_ticks: ours.start_ticks + 1, ..ours }));
    }

    #[test]
    fn a_mark_counts_only_as_a_whole_variable() {
        assert!(contains_variable(b"A=1\0M=run/a\0", b"M=run/a\0"));
        assert!(!contains_variable(b"A=1\0XM=run/a\0", b"M=run/a\0"));
        assert!(!contains_variable(b"A=1\0M=run/ab\0", b"M=run/a\0"));
    }
}
