//! Pauses that options ask for.

use std::time::Duration;

/// Sleeps; no time is no sleep, since the timer's grain is a millisecond.
pub(super) async fn pause(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}
