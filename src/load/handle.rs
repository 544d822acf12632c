//! The control thread's end of the load.

use std::any::Any;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::control::Control;
use super::dispatcher::Asked;
use super::engine::{Command, Engine};
use super::error::LoadError;
use super::live::Live;
use super::observation::Observation;
use super::outbox::{self, Outbox};
use super::pacer::Pacer;
use super::priority;
use super::setup::{Prepared, check_descriptors};
use super::thread_use::{Parked, ThreadUse};
use crate::clock;
use crate::model::{EventId, MonoTime, Share};
use crate::scenario::plan::{Cohort, Destination};

/// The first request is due this long after the thread has begun, so that its cohorts are set up by then.
const START_MARGIN: Duration = Duration::from_millis(5);

/// How a load starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// All that is due is counted, from the first request on, however late the control thread is.
    pub counting: bool,
    /// Which of the requests are sent here.
    pub share: Share,
    /// When the first request of the schedule is due; none for at once.
    pub at: Option<MonoTime>,
    /// Nothing is due from this long after it on; none for until the load is stopped.
    pub window: Option<Duration>,
    /// Distributions are cut every second instead of every ten.
    pub is_fine: bool,
}

impl Start {
    fn at_once(counting: bool) -> Self {
        Self { counting, share: Share::WHOLE, at: None, window: None, is_fine: false }
    }
}

/// A load that runs. Dropping it interrupts the load.
#[derive(Debug)]
pub struct LoadHandle {
    started_at: MonoTime,
    goes_first: bool,
    commands: mpsc::UnboundedSender<Command>,
    observations: Option<mpsc::Receiver<Observation>>,
    live: Arc<Live>,
    thread: JoinHandle<io::Result<()>>,
    ended: oneshot::Receiver<()>,
}

/// What the load thread is made of.
struct Parts {
    start: Start,
    cohorts: Vec<Prepared>,
    pacer: Pacer,
    commands: mpsc::UnboundedReceiver<Command>,
    outbox: Outbox,
    live: Arc<Live>,
    parked: Arc<Parked>,
}

impl LoadHandle {
    /// Finds all that would keep [`Self::start`] from loading with `cohorts` here and now, before anything is begun,
    /// and has an address stand for each host's name from then on: probes and load are to mean the same one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn pin(cohorts: &mut [Cohort], share: Share) -> Result<(), LoadError> {
        let prepared = prepare(cohorts, share)?;
        for (cohort, ready) in cohorts.iter_mut().zip(&prepared) {
            let pinned = Destination::at(ready.endpoint());
            // An address with a zone (fe80::1%eth0) is more than a destination can say.
            if pinned.endpoint().as_ref() == Some(ready.endpoint()) {
                cohort.target.connect = pinned;
            }
        }
        Ok(())
    }

    /// Resolves hosts once, compiles expectations, checks limits and starts the thread. The first request of
    /// each cohort is due at [`Self::started_at`].
    ///
    /// # Errors
    /// Everything that can be wrong with the plan on this machine; nothing is sent then.
    pub fn start(cohorts: &[Cohort]) -> Result<Self, LoadError> {
        Self::start_as(cohorts, Start::at_once(false))
    }

    /// As [`Self::start`], for a load without a warmup: all that is due is counted, from the first request on,
    /// however late the control thread is. [`Self::begin_counting`] then returns [`Self::started_at`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_counting(cohorts: &[Cohort]) -> Result<Self, LoadError> {
        Self::start_as(cohorts, Start::at_once(true))
    }

    /// As [`Self::start`], at a certain time, or with a share of the requests.
    ///
    /// # Errors
    /// As [`Self::start`], and when the time to start at has passed.
    pub fn start_as(cohorts: &[Cohort], start: Start) -> Result<Self, LoadError> {
        let prepared = prepare(cohorts, start.share)?;
        // Clients that send as fast as they are answered would take every core for themselves.
        let keeps_pace = prepared.iter().all(|cohort| !cohort.is_closed_loop());
        let mut builder = Builder::new_current_thread();
        let parked = Parked::observe(builder.enable_all());
        let runtime = builder.build().map_err(failed_to("start a runtime"))?;
        let pacer = {
            let _within = runtime.enter();
            Pacer::new().map_err(failed_to("make a timer"))?
        };
        let (commands, receiver) = mpsc::unbounded_channel();
        let (outbox, observations) = outbox::channel();
        let (alive, ended) = oneshot::channel();
        let live = Arc::<Live>::default();
        let live_of_thread = Arc::clone(&live);
        let parts = Parts { start, cohorts: prepared, pacer, commands: receiver, outbox, live: live_of_thread, parked };
        let (begin, begun) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // Dropped at the end of the thread, after a panic as well.
                let _alive: oneshot::Sender<()> = alive;
                let goes_first = keeps_pace && priority::go_ahead();
                // Not before: on a busy machine, a new thread waits for its first turn.
                let earliest = clock::now() + START_MARGIN;
                let origin = start.at.unwrap_or(earliest);
                if origin < earliest {
                    // As for a thread that could not be started: nothing was sent.
                    let _ = begin.send(Err(LoadError::too_late(earliest.since(origin))));
                    return Ok(());
                }
                // Who started it waits for that.
                let _ = begin.send(Ok((origin, goes_first)));
                parts.run(&runtime, origin)
            })
            .map_err(failed_to("start the load thread"))?;
        let is_gone = |_| failed_to("start the load thread")(io::Error::other("it ended at once"));
        let (started_at, goes_first) = begun.recv().map_err(is_gone)??;
        Ok(Self { started_at, goes_first, commands, observations: Some(observations), live, thread, ended })
    }

    /// When the first requests are due: where [`Row::index`](crate::record::segment::Row::index) counts from.
    #[must_use]
    pub fn started_at(&self) -> MonoTime {
        self.started_at
    }

    /// Whether its thread has real-time priority, so that what is restarted does not keep it from a core.
    #[must_use]
    pub fn goes_first(&self) -> bool {
        self.goes_first
    }

    /// What the load counts, in parts; none if it was taken before. The channel is bounded, but the load never
    /// waits for it: as long as it is full, parts are merged. It closes when the load is over and all of it
    /// was received.
    pub fn take_observations(&mut self) -> Option<mpsc::Receiver<Observation>> {
        self.observations.take()
    }

    /// All that is due from the returned time on is counted; what was due before is warmup. Once said, this does
    /// not change any more.
    pub async fn begin_counting(&self) -> MonoTime {
        self.ask(Command::BeginCounting).await.unwrap_or_else(clock::now)
    }

    /// `event` begins at the returned time, which the load thread has acknowledged.
    pub async fn mark(&self, event: EventId) -> MonoTime {
        self.ask(|reply| Command::Mark(event, reply)).await.unwrap_or_else(clock::now)
    }

    /// `event`, which is to replace what answers, is over at the returned time: whoever had answered before it and
    /// answers a request that is sent later is stale.
    pub async fn over(&self, event: EventId) -> MonoTime {
        self.ask(|reply| Command::Over(event, reply)).await.unwrap_or_else(clock::now)
    }

    /// Resolves once in every cohort a request that was sent after `sent_after` was `ok`: with the end of the
    /// last of them. Never resolves when the load ends before that.
    pub async fn all_answered(&self, sent_after: MonoTime) -> MonoTime {
        match self.ask(|reply| Command::AllAnswered(sent_after, reply)).await {
            Some(at) => at,
            None => std::future::pending().await,
        }
    }

    /// Makes the requests that a step asks for, one after the other, on the cohort at that place in the plan, whose
    /// pace is [`Pace::OnDemand`](crate::scenario::plan::Pace::OnDemand). Resolves with the end of the last; with none
    /// when the load ends before that.
    pub async fn request(&self, cohort: u16, asked: Asked) -> Option<MonoTime> {
        self.ask(|reply| Command::Request(cohort, asked, reply)).await
    }

    /// Hands over all that was counted until now, and all of it once what was due until now has ended. Resolves when
    /// whoever receives the observations has confirmed it: with that moment; with none when the load ends before.
    pub async fn hand_over(&self) -> Option<MonoTime> {
        self.ask(Command::HandOver).await
    }

    /// Since when the cohort that has waited longest had no `ok` while requests were due; none if all is well, and
    /// before counting began.
    pub async fn no_ok_since(&self) -> Option<MonoTime> {
        self.ask(Command::NoOkSince).await.flatten()
    }

    /// Nothing is due from the returned time on. Requests that are under way run on to their answer or timeout;
    /// resolves when all have ended.
    pub async fn stop(&self) -> MonoTime {
        self.ask(Command::Stop).await.unwrap_or_else(clock::now)
    }

    /// Stops at once. What is under way, or due and not sent, is counted as `interrupted`.
    pub fn interrupt(&self) {
        // A load that is over needs no interruption.
        let _ = self.commands.send(Command::Interrupt);
    }

    /// Figures of the moment.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Waits for the thread to end; a load that was not stopped is interrupted. Observations that were not taken
    /// are dropped, those that were must be received for the thread to end.
    ///
    /// # Errors
    /// When the thread panicked or its timer failed: the counts are then incomplete.
    pub async fn join(self) -> Result<(), LoadError> {
        drop((self.commands, self.observations));
        // An error says just the same: the thread is at its end.
        let _ = self.ended.await;
        match self.thread.join() {
            Ok(result) => result.map_err(failed_to("wait for the next due time")),
            Err(panic) => Err(LoadError::Panicked(panic_message(&*panic))),
        }
    }

    /// None if the thread is gone: [`Self::join`] tells why.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).ok()?;
        answer.await.ok()
    }
}

fn prepare(cohorts: &[Cohort], share: Share) -> Result<Vec<Prepared>, LoadError> {
    if cohorts.is_empty() {
        return Err(LoadError::NoCohort);
    }
    let prepared = cohorts.iter().map(|cohort| Prepared::new(cohort, share)).collect::<Result<Vec<_>, _>>()?;
    check_descriptors(&prepared)?;
    Ok(prepared)
}

impl Parts {
    fn run(self, runtime: &Runtime, origin: MonoTime) -> io::Result<()> {
        let Self { start, cohorts, pacer, commands, outbox, live, parked } = self;
        LocalSet::new().block_on(runtime, async move {
            let control = Rc::new(Control::new(cohorts.iter().map(Prepared::loads).collect()));
            if start.counting {
                control.timeline.borrow_mut().begin_counting(origin);
            }
            let until = start.window.map_or(MonoTime::from_nanos(u64::MAX), |window| origin + window);
            let at_work =
                (0..).zip(cohorts).map(|(number, cohort)| cohort.at_work(number, &control, (origin, until), &live));
            let at_work = at_work.collect();
            let thread = ThreadUse::new(parked, origin);
            let engine = Engine::new(origin, control, at_work, pacer, commands, outbox, thread);
            engine.cut_finely(start.is_fine).run().await
        })
    }
}

fn failed_to(doing: &'static str) -> impl FnOnce(io::Error) -> LoadError {
    move |source| LoadError::Io { doing, source }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
