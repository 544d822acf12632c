//! What is read beside the load: processes, listeners, accept queues, the kernel's counters and its trace, the journal.

pub mod answer;
pub mod counters;
pub mod cpu_taken;
pub mod holder;
pub mod host;
pub mod journal;
pub mod listener;
pub mod process;
pub mod trace;
