//! What the load thread had of the machine, span by span: whether a request that ran out of time was held up by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::line::Pause;
use crate::model::MonoTime;

/// A thread that wakes later than this after it should have has paused. It is the bound on the p99 of lateness as well.
pub const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pauses of a span are kept, up to this many.
pub const PAUSES_KEPT: usize = 8;

/// A load thread with less idle time than this share is at its limit: it hardly ever waits for the target, so what its
/// connections wait for is the thread itself, and how long their answers have been there is unknown.
const IDLE_SHARE_MIN: f64 = 0.15;

/// Idle time alone does not clear the thread. On a machine whose cores the target shares it was idle for 9 to 44 % of each
/// second while it was asked for 3 to 8 times what it can send: each answer took a moment, and with few connections that
/// adds up. So where requests wait for a connection, what it did is held against what was asked: a thread that took this
/// share of a core or more for the requests it began, and would have needed all of one for those that were due, could not
/// have kept up with any target.
const BUSY_SHARE_MIN: f64 = 0.25;

/// A request that was begun takes the thread some 10 microseconds, ten times that in a build without optimisation. Where
/// it seems to take more than this, the thread was busy with the requests that wait, because the target hangs.
const COST_MAX: Duration = Duration::from_millis(1);

/// The load thread over a span of about one second. Spans follow one another without a gap, from the start of the load
/// until the last request has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorUse {
    /// The shard whose thread it is, in a record that was merged of several; 0 for the one that wrote the record.
    #[serde(default, skip_serializing_if = "is_no_shard")]
    pub shard: u32,
    /// Where the span before ended.
    pub from: MonoTime,
    /// When it was read.
    pub to: MonoTime,
    /// CPU time of the thread (CLOCK_THREAD_CPUTIME_ID).
    pub cpu_ns: u64,
    /// Time that the thread could have run and waited for a core: the second figure of /proc/thread-self/schedstat. None
    /// where the kernel does not count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay_ns: Option<u64>,
    /// Time that the thread waited for an event. What it then waited for a core is part of it.
    pub parked_ns: u64,
    /// Requests that fell due by a schedule; 0 in records from before this was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: u64,
    /// Of all that were due by a schedule, those that a connection took up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begun: u64,
    /// Requests that were due and waited for a free connection, at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// When the thread did not run though it should have, for at least [`PAUSE_MIN`]; longest first, at most
    /// [`PAUSES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// Shorter pauses that were not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pauses_left_out: u64,
    /// What the machine took from the whole process meanwhile; none where it cannot be read.
    #[serde(flatten)]
    pub taken: Taken,
}

/// CPU time and memory that were taken away. Read on the control thread, so its span is that of the line only roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Time that the quota of the process's cgroup, or of one above it, kept it from running (throttled_usec of cpu.stat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_ns: Option<u64>,
    /// Time that the hypervisor kept from this machine's cores, all of them together (steal of /proc/stat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ns: Option<u64>,
    /// Time that a task of the process's own cgroup waited for memory (memory.pressure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_wait_ns: Option<u64>,
    /// How often a limit of the process's cgroup, or of one above it, was in the way of a socket: refusals that the kernel
    /// counts (memory.kmem.tcp.failcnt, or sock_throttled of memory.events), and limits of version 1 that were exceeded when
    /// this was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_memory_denied: Option<u64>,
}

impl GeneratorUse {
    /// Length of the span.
    #[must_use]
    pub fn span_ns(&self) -> u64 {
        self.to.nanos_since(self.from)
    }

    /// Time that the thread had nothing to do: it waited for an event, and not for a core.
    #[must_use]
    pub fn idle_ns(&self) -> u64 {
        let taken = self.cpu_ns.saturating_add(self.run_delay_ns.unwrap_or_default());
        self.parked_ns.min(self.span_ns().saturating_sub(taken))
    }

    /// The thread was at its limit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "spans of seconds")]
    pub fn is_saturated(&self) -> bool {
        let span_ns = self.span_ns();
        // What is shorter than a pause says nothing of a share.
        u128::from(span_ns) >= PAUSE_MIN.as_nanos()
            && ((self.idle_ns() as f64) < span_ns as f64 * IDLE_SHARE_MIN || self.is_asked_too_much())
    }

    /// Sockets were refused memory, or tasks waited for it for a tenth of the span.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        let waited_ns = self.taken.memory_wait_ns.unwrap_or_default();
        self.taken.socket_memory_denied.is_some_and(|denied| denied > 0) || waited_ns > self.span_ns() / 10
    }

    /// Whether the requests that were due would have needed more of a core than there is, by what those took that were begun.
    #[expect(clippy::cast_precision_loss, reason = "spans of seconds and their requests")]
    fn is_asked_too_much(&self) -> bool {
        if self.waiting == 0 || self.begun == 0 {
            return false;
        }
        let busy = self.cpu_ns as f64 / self.span_ns() as f64;
        let cost_ns = self.cpu_ns / self.begun;
        let needed = busy * self.due as f64 / self.begun as f64;
        busy >= BUSY_SHARE_MIN && u128::from(cost_ns) <= COST_MAX.as_nanos() && needed >= 1.0 - IDLE_SHARE_MIN
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_no_shard(shard: &u32) -> bool {
    *shard == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(cpu_ms: u64, run_delay_ms: u64, parked_ms: u64) -> GeneratorUse {
        let ms = 1_000_000;
        GeneratorUse {
            shard: 0,
            from: MonoTime::from_nanos(0),
            to: MonoTime::from_nanos(1_000 * ms),
            cpu_ns: cpu_ms * ms,
            run_delay_ns: Some(run_delay_ms * ms),
            parked_ns: parked_ms * ms,
            due: 0,
            begun: 0,
            waiting: 0,
            pauses: Vec::new(),
            pauses_left_out: 0,
            taken: Taken::default(),
        }
    }

    #[test]
    fn a_thread_is_idle_while_it_waits_for_an_event_and_not_for_a_core() {
        let idle_ms = |cpu, run_delay, parked| second(cpu, run_delay, parked).idle_ns() / 1_000_000;
        assert_eq!(idle_ms(100, 0, 890), 890);
        assert_eq!(idle_ms(100, 700, 890), 200, "it was woken, and got no core");
        assert_eq!(idle_ms(100, 0, 50), 50, "it waited in the kernel, for memory or for a disk");
        assert_eq!(idle_ms(970, 20, 100), 10, "a poll that returns at once is work");
    }
}
