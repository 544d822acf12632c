//! From the start of the load to the first step: the target has to be healthy.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::drive::{Setup, phase};
use super::halt::Halt;
use super::progress::Stage;
use crate::clock;
use crate::load::LoadHandle;
use crate::model::MonoTime;
use crate::record::line::Phase;
use crate::scenario::plan::{Cohort, Plan, Scheme};

/// How often the load is asked whether a request of the warmup has failed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Requests of the warmup have at least this long to end before the first step.
const SETTLE_MIN: Duration = Duration::from_secs(1);

/// As [`be_answered`]; a run that is not patient ends with the first request of the warmup that fails.
pub(super) async fn warm_up<M>(setup: &Setup<'_, M>, load: &LoadHandle, started_at: MonoTime) -> Result<(), Halt> {
    if setup.is_patient || setup.plan.run.warmup.is_zero() {
        return be_answered(setup, load, started_at).await;
    }
    tokio::select! {
        biased;
        () = has_failed(load) => {}
        answered = be_answered(setup, load, started_at) => answered?,
    }
    match load.live().warmup_failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => {
            let requests = if failed == 1 { "request" } else { "requests" };
            Err(Halt::NotReady(format!("{failed} {requests} failed in the warmup, so nothing was done")))
        }
    }
}

/// A request of the warmup has failed.
async fn has_failed(load: &LoadHandle) {
    while load.live().warmup_failed.load(Ordering::Relaxed) == 0 {
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until every cohort was answered once, then for the warmup; counting begins at its end.
async fn be_answered<M>(setup: &Setup<'_, M>, load: &LoadHandle, started_at: MonoTime) -> Result<(), Halt> {
    let run = &setup.plan.run;
    if run.warmup.is_zero() {
        phase(setup.recorder, Phase::Counting, started_at);
        return Ok(());
    }
    setup.progress.stage(&Stage::WarmingUp);
    if !setup.sharing.share.is_whole() {
        return warm_up_shard(setup, load, started_at).await;
    }
    let healthy = timeout(run.ready_timeout, load.all_answered(started_at));
    if setup.interrupt.unless_raised(healthy).await.ok_or(Halt::Interrupted)?.is_err() {
        return Err(Halt::NotReady(not_ready(setup.plan)));
    }
    setup.interrupt.unless_raised(sleep(run.warmup)).await.ok_or(Halt::Interrupted)?;
    phase(setup.recorder, Phase::Counting, load.begin_counting().await);
    // What was due in the warmup is to end before a step cuts it off; a target that never answers is not waited for.
    let ended = timeout(run.warmup.max(SETTLE_MIN), load.hand_over());
    setup.interrupt.unless_raised(ended).await.map(drop).ok_or(Halt::Interrupted)
}

/// As [`be_answered`], for the same time in all shards. The first acts on units, so it has to be answered before; what others
/// send at a low rate may not even be due by then.
async fn warm_up_shard<M>(setup: &Setup<'_, M>, load: &LoadHandle, started_at: MonoTime) -> Result<(), Halt> {
    let warmup = setup.plan.run.warmup;
    let left = || (started_at + warmup).since(clock::now());
    if setup.sharing.acts() {
        let healthy = timeout(left(), load.all_answered(started_at));
        if setup.interrupt.unless_raised(healthy).await.ok_or(Halt::Interrupted)?.is_err() {
            return Err(Halt::NotReady(format!(
                "not every cohort had an answer within the warmup ({warmup:?}), which is as long in every shard; make it longer"
            )));
        }
    }
    setup.interrupt.unless_raised(sleep(left())).await.ok_or(Halt::Interrupted)?;
    phase(setup.recorder, Phase::Counting, load.begin_counting().await);
    let ended = timeout(warmup.max(SETTLE_MIN), load.hand_over());
    setup.interrupt.unless_raised(ended).await.map(drop).ok_or(Halt::Interrupted)
}

/// Why the load found the target not healthy, with a hint where the scenario may be to blame.
fn not_ready(plan: &Plan) -> String {
    let limit = plan.run.ready_timeout;
    let is_open_ended = |cohort: &&Cohort| cohort.target.scheme == Scheme::Tcp && cohort.target.expect_body.is_none();
    let hint = plan.cohorts.iter().find(is_open_ended).map(|cohort| {
        let name = &cohort.name;
        format!("; without expect_body, an answer to {name} is whole only when the target closes the connection")
    });
    format!("not every cohort had an answer within ready_timeout ({limit:?}){}", hint.unwrap_or_default())
}
