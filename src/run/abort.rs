//! What ends a run before its last step: the user, or `[run] abort` once the run has shown enough.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::interrupt::{Interrupt, InterruptSource};
use crate::clock;
use crate::load::LoadHandle;
use crate::scenario::plan::Abort;

/// How often the load is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The user and `[run] abort` raise the same interrupt, which all waits are raced against: actions on units are not, so
/// that no unit is left in the middle of one.
pub(super) struct EarlyEnd<'a> {
    user: &'a Interrupt,
    source: InterruptSource,
}

impl<'a> EarlyEnd<'a> {
    /// With the interrupt that it raises.
    pub(super) fn of(user: &'a Interrupt) -> (Self, Interrupt) {
        let (source, interrupt) = Interrupt::pair();
        (Self { user, source }, interrupt)
    }

    /// What `run` comes to, which ends soon after the interrupt is raised; and the limit that was passed, if it was
    /// that which raised it and the user did not.
    pub(super) async fn watch<T>(
        &self,
        run: impl Future<Output = T>,
        load: &LoadHandle,
        limits: Abort,
    ) -> (T, Option<String>) {
        tokio::pin!(run);
        let reason = tokio::select! {
            result = &mut run => return (result, None),
            () = self.user.raised() => None,
            reason = passed(load, limits) => Some(reason),
        };
        self.source.raise();
        let result = run.await;
        (result, reason.filter(|_| !self.user.is_raised()))
    }
}

/// Resolves when a limit is passed: with the reason. Never without limits.
async fn passed(load: &LoadHandle, limits: Abort) -> String {
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
