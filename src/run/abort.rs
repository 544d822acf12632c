//! `[run] abort`: ends a run that has shown enough.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::clock;
use crate::load::LoadHandle;
use crate::scenario::plan::Abort;

/// How often the load is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Resolves when a limit is passed: with the reason. Never without limits.
pub(super) async fn passed(load: &LoadHandle, limits: Abort) -> String {
    if limits == Abort::default() {
        std::future::pending::<()>().await;
    }
    loop {
        sleep(LOOK_EVERY).await;
        let dropped = load.live().dropped.load(Ordering::Relaxed);
        if let Some(limit) = limits.dropped.filter(|&limit| dropped >= limit) {
            return format!("{dropped} requests were dropped, and [run] abort is at {limit}");
        }
        let Some(limit) = limits.outage else { continue };
        if let Some(since) = load.no_ok_since().await
            && clock::now().since(since) >= limit
        {
            return format!("no request was ok for {limit:?} while some were due: the limit of [run] abort");
        }
    }
}
