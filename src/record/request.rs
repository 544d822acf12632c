//! The requests of `request` steps, one by one.

use serde::{Deserialize, Serialize};

use crate::model::{EventId, FailureKey, MonoTime};

/// A request of a `request` step has ended. It is counted in the rows and segments of its cohort, as every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEnd {
    /// Which event asked for it.
    pub event: EventId,
    /// Which of the event's requests it was, from 1.
    pub nth: u32,
    /// When it was to be sent.
    pub due: MonoTime,
    /// The first write that the kernel took; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<MonoTime>,
    /// When its answer was whole, or it was known to have failed.
    pub end: MonoTime,
    /// The status of its answer; none if no status line came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it failed; none if it was `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKey>,
}
