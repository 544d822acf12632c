//! Which process.

use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The PID, in our PID namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_ticks: u64,
}
