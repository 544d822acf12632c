//! The one clock.

use rustix::time::{ClockId, clock_gettime};

use crate::model::MonoTime;

/// Now, on `CLOCK_MONOTONIC`. A vDSO call: no system call on common machines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[expect(clippy::cast_sign_loss, reason = "CLOCK_MONOTONIC starts at boot and is never negative")]
pub fn now() -> MonoTime {
    let time = clock_gettime(ClockId::Monotonic);
    MonoTime::from_nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
