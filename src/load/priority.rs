//! The load thread goes before what it measures, where the kernel lets it.
//!
//! What is restarted may keep every core busy while it starts. A load thread that waits for its turn then is late by
//! tens of milliseconds, and the run shows the scheduler instead of the service. With the lowest real-time priority it
//! runs as soon as a request is due. That needs root or CAP_SYS_NICE; without, it runs as any other thread.

use std::os::unix::thread::JoinHandleExt as _;
use std::thread::JoinHandle;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy,
};

/// The lowest of SCHED_RR, sched(7).
const LOWEST: u8 = 1;

/// Gives the thread that priority: whether the kernel did. What it starts does not inherit it, since it starts nothing.
pub(super) fn put_ahead<T>(thread: &JoinHandle<T>) -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriorityValue::try_from(LOWEST).map(ThreadPriority::Crossplatform);
    priority.is_ok_and(|priority| set_thread_priority_and_policy(thread.as_pthread_t(), priority, policy).is_ok())
}
