//! What the load thread had of the machine, span by span: whether a request that ran out of time was held up by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::line::Pause;
use crate::model::MonoTime;

/// A thread that wakes later than this after it should have has paused. It is the bound on the p99 of lateness as well.
pub const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pauses of a span are kept, up to this many.
pub const PAUSES_KEPT: usize = 8;

/// The load thread over a span of about one second. Spans follow one another without a gap, from the start of the load
/// until the last request has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorUse {
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

/// CPU time that was taken away. Read on the control thread, so its span is that of the line only roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Time that the quota of the process's cgroup, or of one above it, kept it from running (throttled_usec of cpu.stat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_ns: Option<u64>,
    /// Time that the hypervisor kept from this machine's cores, all of them together (steal of /proc/stat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ns: Option<u64>,
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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(cpu_ms: u64, run_delay_ms: u64, parked_ms: u64) -> GeneratorUse {
        let ms = 1_000_000;
        GeneratorUse {
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
