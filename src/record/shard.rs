//! What the record of a generator says that shares its load with others, and what a merged record says of them.

use serde::{Deserialize, Serialize};

use super::histogram::LatencyHistogram;
use crate::model::MonoTime;
use crate::model::share::Share;

/// The part that a generator has of the load: in the first line of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which of how many.
    pub share: Share,
    /// When the load starts by the wall clock of the generator's machine, in nanoseconds since 1970; none for the one
    /// shard of a load that starts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at_ns: Option<u64>,
    /// How long the load lasts from its start, in nanoseconds, in all shards; none where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ns: Option<u64>,
    /// Of the plan as every shard reads it, before anything of this machine is in it: 8 hex digits.
    pub plan_sum: String,
    /// /proc/sys/kernel/random/boot_id: records of one boot are on one clock. None where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// Both clocks of a machine at one moment: whether the wall clock was set while the load ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The moment.
    pub at: MonoTime,
    /// The same, in nanoseconds since 1970.
    pub wall_ns: u64,
}

/// In the first line of a merged record: of how many shards it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// How many shards there are to be.
    pub of: u32,
    /// What the clocks of different machines are taken to agree within, in nanoseconds: stated, not measured.
    pub clock_error_ns: u64,
}

/// What one generator of a merged record did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardUse {
    /// Which, from 1.
    pub index: u32,
    /// The nodename of its machine.
    pub host: String,
    /// Counted requests that fell due.
    pub due: u64,
    /// Of these, those that ended `ok`,
    pub ok: u64,
    /// dropped or wrong,
    pub failed: u64,
    /// or unsent; those that never ended are among these.
    pub unsent: u64,
    /// Requests that fell due in the warmup.
    pub warmup: u64,
    /// From the later of (due, a connection was free) to the first write or connect call, of counted requests.
    pub lateness: LatencyHistogram,
    /// Its times are on the clock of this record; else they were mapped by the wall clocks of both machines.
    pub is_on_clock: bool,
    /// Its record came to its end, and all of it was counted.
    pub is_whole: bool,
}
