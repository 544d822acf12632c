//! A load that several generators share: which part this one sends, when it starts, and how long it lasts.
//!
//! Shards do not talk to each other. All of them start at one time by the wall clocks of their machines and load for one
//! length of time, so that together they send what one generator would. Only the first acts on units.

use std::time::Duration;

use tokio::time::sleep;

use super::estimate;
use super::halt::Halt;
use super::interrupt::Interrupt;
use crate::clock;
use crate::load::LoadError;
use crate::model::{MonoTime, Share};
use crate::scenario::plan::{Action, Plan};

/// The wall clock is asked again this often while the start is awaited: it may be set meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// From the last look at the wall clock to the start: what a busy machine may need to start a thread.
const LEAD: Duration = Duration::from_millis(300);

/// What steps may take longer than is usual.
const PATIENCE: Duration = Duration::from_secs(10);

/// The part that this run has of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Which of the requests.
    pub share: Share,
    /// When the load starts, in nanoseconds since 1970; none for at once.
    pub start_at_ns: Option<u64>,
    /// How long it lasts from its start, whatever the steps take; none for as long as these do.
    pub window: Option<Duration>,
    /// Distributions are cut every second: see [`is_asked_finely`].
    pub is_fine: bool,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { share: Share::WHOLE, start_at_ns: None, window: None, is_fine: false }
    }
}

impl Sharing {
    /// Whether it carries out the steps.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.share.is_first()
    }

    /// Waits until the load is about to start: the moment of its start; none for at once.
    pub(super) async fn await_start(&self, interrupt: &Interrupt) -> Result<Option<MonoTime>, Halt> {
        let Some(start_at_ns) = self.start_at_ns else { return Ok(None) };
        loop {
            let (now, wall_ns) = clock::both();
            let Some(left) = start_at_ns.checked_sub(wall_ns).map(Duration::from_nanos) else {
                return Err(LoadError::too_late(Duration::from_nanos(wall_ns - start_at_ns)).into());
            };
            if left <= LEAD {
                return Ok(Some(now + left));
            }
            let pause = left.saturating_sub(LEAD).min(ASK_EVERY);
            interrupt.unless_raised(sleep(pause)).await.ok_or(Halt::Interrupted)?;
        }
    }

    /// Waits until the load of all shards ends that started at `started_at`: by how much that was over already.
    pub(super) async fn await_end(&self, started_at: MonoTime, interrupt: &Interrupt) -> Result<Duration, Halt> {
        let Some(window) = self.window else { return Ok(Duration::ZERO) };
        let (end, now) = (started_at + window, clock::now());
        interrupt.unless_raised(sleep(end.since(now))).await.ok_or(Halt::Interrupted)?;
        Ok(now.since(end))
    }

    /// What requests of other shards may still take when the load has ended.
    pub(super) fn others_take(&self, plan: &Plan) -> Duration {
        let longest = plan.cohorts.iter().map(|cohort| cohort.target.timeout).max();
        longest.filter(|_| !self.share.is_whole()).unwrap_or_default()
    }
}

/// How long all shards load where nobody says so: the warmup, what the steps usually take, twice that of those whose time is
/// not stated and some more, and the cooldown.
#[must_use]
pub fn window(plan: &Plan) -> Duration {
    let usual = estimate::duration(plan);
    let is_stated = plan.steps.iter().all(|step| matches!(step.action, Action::Wait { .. }));
    if is_stated {
        return usual;
    }
    let steps = usual.saturating_sub(plan.run.warmup + plan.run.cooldown);
    usual + steps + PATIENCE
}

/// Whether something is asked of single steps, or it matters who answered after an event. A shard knows of no event, and has
/// to tell more often then what it counted.
#[must_use]
pub fn is_asked_finely(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.expect.is_some())
        || plan.cohorts.iter().any(|cohort| cohort.target.instance.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::plan;

    #[tokio::test]
    async fn a_load_starts_at_its_time_by_the_wall_clock_and_never_after_it() {
        let (_source, interrupt) = Interrupt::pair();
        let (now, wall_ns) = clock::both();
        let at = |ns| Sharing { start_at_ns: Some(ns), ..Sharing::default() };
        let start = at(wall_ns + 400_000_000).await_start(&interrupt).await.expect("it is to come").expect("a time");
        // The two clocks are read one after the other, and one of them may be slewed.
        assert!(start.nanos_since(now).abs_diff(400_000_000) < 50_000_000);
        assert!(clock::now() < start, "the thread has time to begin");
        let late = at(wall_ns).await_start(&interrupt).await.expect_err("it is over");
        assert!(late.to_string().contains("give a later --start-at"), "{late}");
        assert_eq!(Sharing::default().await_start(&interrupt).await.expect("at once"), None);
    }

    #[test]
    fn a_window_is_exact_where_every_step_says_what_it_takes() {
        let mut plan = plan("restart");
        plan.run.warmup = Duration::from_secs(2);
        assert_eq!(window(&plan), Duration::from_secs(2 + 2 + 10));
        plan.steps[0].action = Action::Wait { duration: Duration::from_secs(60) };
        assert_eq!(window(&plan), Duration::from_secs(62));
    }
}
