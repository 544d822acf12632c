//! What is read from the kernel beside the load: processes, listeners, accept queues.

pub mod process;
