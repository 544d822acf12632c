//! What ends a run before its last step: the user, or `[run] abort` once the run has shown enough.

use std::convert::Infallible;
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

    /// The user's own interrupt.
    pub(super) fn user(&self) -> &Interrupt {
        self.user
    }

    /// What `run` comes to, which ends soon after the interrupt is raised; and the limit that was passed, if it was
    /// that which raised it and the user did not. The user's first signal ends the load at once, whatever job is
    /// waited for then.
    pub(super) async fn watch<T>(
        &self,
        run: impl Future<Output = T>,
        load: &LoadHandle,
        limits: Abort,
    ) -> (T, Option<String>) {
        tokio::pin!(run);
        let reason = tokio::select! {
            // The interrupt first: a job that two quick signals gave up is the user's doing, and no failed step.
            biased;
            () = self.user.raised() => None,
            result = &mut run => return (result, None),
            reason = passed(load, limits) => Some(reason),
        };
        self.source.raise();
        let hand_on = async {
            self.user.raised().await;
            load.interrupt();
            self.user.raised_times(2).await;
            self.source.raise();
            std::future::pending::<Infallible>().await
        };
        let result = tokio::select! {
            result = &mut run => result,
            never = hand_on => match never {},
        };
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
