//! The load thread goes before what it measures, where the kernel lets it.
//!
//! What is restarted may keep every core busy while it starts. A load thread that waits for its turn then is late by
//! tens of milliseconds, and the run shows the scheduler instead of the service. With the lowest real-time priority it
//! runs as soon as a request is due. That needs root or CAP_SYS_NICE; without, it runs as any other thread.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The lowest of SCHED_RR, sched(7).
const LOWEST: u8 = 1;

/// Gives this thread that priority: whether the kernel did. What it starts does not inherit it, since it starts nothing.
pub(super) fn go_ahead() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriorityValue::try_from(LOWEST).map(ThreadPriority::Crossplatform);
    priority.is_ok_and(|priority| set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok())
}
