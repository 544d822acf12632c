//! What is read from the kernel beside the load: processes, listeners, accept queues, counters, its trace.

pub mod counters;
pub mod holder;
pub mod host;
pub mod http;
pub mod listener;
pub mod process;
pub mod trace;
