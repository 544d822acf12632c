//! Which instances answered: processes, releases or pods, by the name that each answer gives.

use serde::{Deserialize, Serialize};

use crate::model::{EventId, MonoTime};

/// At most so many instances are told by name in one run.
pub const INSTANCES_MAX: usize = 256;

/// A longer name, in bytes, is not kept.
pub const NAME_BYTES_MAX: usize = 256;

/// The complete answers of one scope of one cohort over a span, by instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// By name; only those that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<InstanceCount>,
    /// Answers that named no instance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnamed: u64,
    /// Of these, the expected ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnamed_ok: u64,
    /// Answers whose instance is not kept: there were [`INSTANCES_MAX`] others before it, or its name is too long.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// Answers of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceCount {
    /// Its name.
    pub name: String,
    /// How many.
    pub answers: u64,
    /// When the first of them was whole.
    pub first: MonoTime,
    /// When the last of them was whole.
    pub last: MonoTime,
    /// When the requests of the first and the last of them were sent; known of loads that are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<(MonoTime, MonoTime)>,
    /// Of these, the stale ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<StaleCount>,
}

/// Answers to requests that were sent after an event was over, of an instance that had answered before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleCount {
    /// The event.
    pub event: EventId,
    /// How many.
    pub n: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
