//! Wall-clock stamps: the only place that asks what time people have.

#![expect(
    clippy::disallowed_methods,
    reason = "what people's clocks say is asked for here, to be shown, or to tell what day it is"
)]

use jiff::{Timestamp, Zoned};

/// Now, RFC 3339 in UTC to the millisecond.
#[must_use]
pub fn started_at() -> String {
    format!("{:.3}", Timestamp::now())
}

/// Now, in this machine's time zone.
#[must_use]
pub fn local() -> Zoned {
    Zoned::now()
}

/// A folder's name for a run that starts now: `2026-11-20T08-30-00Z`.
#[must_use]
pub fn folder_name() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}
