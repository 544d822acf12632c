//! The loop of the load thread: obeys commands, lets requests fall due, hands over what was counted.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::control::Control;
use super::dispatcher::{Asked, Cohort};
use super::heartbeat::BEAT_EVERY;
use super::observation::{Observation, Receipt};
use super::outbox::Outbox;
use super::pacer::Pacer;
use super::thread_use::{Scheduled, ThreadUse};
use crate::clock;
use crate::model::{EventId, MonoTime};
use crate::record::generator::GeneratorUse;
use crate::record::line::Cap;

/// Rows are handed over every second, and segments with every tenth of them.
const ROWS_EVERY: Duration = Duration::from_secs(1);
const SEGMENT_EVERY_ROWS: u64 = 10;

/// From one try to hand everything over to the next, while requests are under way or the channel is full.
const HAND_OVER_EVERY: Duration = Duration::from_millis(5);

/// What the control thread asks for. Each reply is the moment from which it holds.
#[derive(Debug)]
pub(super) enum Command {
    /// What is due from now on is counted.
    BeginCounting(oneshot::Sender<MonoTime>),
    /// An event begins now.
    Mark(EventId, oneshot::Sender<MonoTime>),
    /// An event that is to replace what answers is over now.
    Over(EventId, oneshot::Sender<MonoTime>),
    /// Reply when every cohort had an `ok` that was sent after this.
    AllAnswered(MonoTime, oneshot::Sender<MonoTime>),
    /// Make requests for a step, on the cohort at that place in the plan; reply with the end of the last.
    Request(u16, Asked, oneshot::Sender<MonoTime>),
    /// Hand over all that is counted now, once what was due before has ended; one at a time.
    HandOver(oneshot::Sender<MonoTime>),
    /// Reply since when the cohort that has waited longest had no `ok` while requests were due.
    NoOkSince(oneshot::Sender<Option<MonoTime>>),
    /// Nothing is due from now on; reply when all requests have ended.
    Stop(oneshot::Sender<MonoTime>),
    /// End all requests now.
    Interrupt,
}

/// The load thread.
pub(super) struct Engine {
    control: Rc<Control>,
    cohorts: Vec<(String, Rc<Cohort>)>,
    pacer: Pacer,
    commands: mpsc::UnboundedReceiver<Command>,
    has_handle: bool,
    outbox: Outbox,
    thread: ThreadUse,
    next_rows: MonoTime,
    rows_handed_over: u64,
    segment_every_rows: u64,
    /// Wants all that was counted until then.
    receipt: Option<Receipt>,
    stopped_at: Option<MonoTime>,
    stop_replies: Vec<oneshot::Sender<MonoTime>>,
}

impl Engine {
    /// Starts at `origin`, with the cohorts by name, in the order of the plan.
    pub(super) fn new(
        origin: MonoTime,
        control: Rc<Control>,
        cohorts: Vec<(String, Rc<Cohort>)>,
        pacer: Pacer,
        commands: mpsc::UnboundedReceiver<Command>,
        outbox: Outbox,
        thread: ThreadUse,
    ) -> Self {
        Self {
            control,
            cohorts,
            pacer,
            commands,
            has_handle: true,
            outbox,
            thread,
            next_rows: origin + ROWS_EVERY,
            rows_handed_over: 0,
            segment_every_rows: SEGMENT_EVERY_ROWS,
            receipt: None,
            stopped_at: None,
            stop_replies: Vec::new(),
        }
    }

    /// With segments as often as rows, if `is_fine`.
    pub(super) fn cut_finely(self, is_fine: bool) -> Self {
        Self { segment_every_rows: if is_fine { 1 } else { SEGMENT_EVERY_ROWS }, ..self }
    }

    /// Runs until the load is stopped or interrupted and all requests have ended.
    ///
    /// # Errors
    /// Those of the timer.
    ///
    /// # Panics
    /// When a connection's task has panicked: its request would be missing from the count.
    pub(super) async fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            assert!(!self.control.has_slot_panicked(), "a connection's task has panicked");
            let wake_at = self.work(clock::now());
            self.control.heartbeat.sleeps_until(wake_at);
            tokio::select! {
                biased;
                command = self.commands.recv(), if self.has_handle => self.hear(command),
                () = self.control.attention.notified() => {}
                slept = self.pacer.sleep_until(wake_at) => slept?,
            }
        }
        self.finish().await;
        Ok(())
    }

    fn cohorts(&self) -> impl Iterator<Item = &Rc<Cohort>> {
        self.cohorts.iter().map(|(_, cohort)| cohort)
    }

    /// Does what is to be done by `now`; returns when there is more.
    fn work(&mut self, now: MonoTime) -> MonoTime {
        self.control.heartbeat.beat(now);
        self.release(now);
        self.thread.see_waiting(self.cohorts().map(|cohort| cohort.waiting()).sum());
        if now >= self.next_rows {
            self.rows_handed_over += 1;
            self.next_rows = now + ROWS_EVERY;
            self.offer(now, self.rows_handed_over.is_multiple_of(self.segment_every_rows));
            self.outbox.offer_use(|| self.thread_use());
        }
        self.hand_over(now);
        let next_release = self.cohorts().filter_map(|cohort| cohort.next_release()).min();
        let next_try = self.receipt.is_some().then(|| now + HAND_OVER_EVERY);
        let next_beat = self.next_rows.min(now + BEAT_EVERY);
        [next_release, next_try].into_iter().flatten().fold(next_beat, MonoTime::min)
    }

    fn thread_use(&self) -> GeneratorUse {
        let add = |sum: Scheduled, of: Scheduled| Scheduled { due: sum.due + of.due, begun: sum.begun + of.begun };
        let scheduled = self.cohorts().map(|cohort| cohort.scheduled()).fold(Scheduled::default(), add);
        self.thread.take(self.control.heartbeat.take_pauses(), scheduled)
    }

    /// Gives the receipt, if one is wanted, once all that it is about has ended and was handed over.
    fn hand_over(&mut self, now: MonoTime) {
        let has_ended = |cohort: &Rc<Cohort>| cohort.count(|tally, _| tally.has_ended());
        let Some(receipt) = self.receipt.take_if(|_| self.cohorts.iter().all(|(_, cohort)| has_ended(cohort))) else {
            return;
        };
        self.offer(now, true);
        let all_taken = self.cohorts().all(|cohort| cohort.count(|tally, _| tally.is_empty()));
        let handed_over = Observation::HandedOver(receipt);
        let left = if all_taken { self.outbox.offer(handed_over).err() } else { Some(handed_over) };
        if let Some(Observation::HandedOver(receipt)) = left {
            self.receipt = Some(receipt);
        }
    }

    fn release(&self, before: MonoTime) {
        self.cohorts().for_each(|cohort| cohort.release(before));
    }

    fn offer(&self, at: MonoTime, segments: bool) {
        for cohort in self.cohorts() {
            cohort.count(|tally, _| {
                self.outbox.offer_rows(tally);
                if segments {
                    self.outbox.offer_segments(tally, at);
                }
            });
            self.outbox.offer_requests(cohort);
        }
        self.outbox.offer_pauses(&self.control.heartbeat);
    }

    fn hear(&mut self, command: Option<Command>) {
        self.has_handle = command.is_some();
        self.obey(command.unwrap_or(Command::Interrupt));
    }

    fn obey(&mut self, command: Command) {
        // What was due until now is due before whatever the command begins.
        let now = clock::now();
        self.release(now);
        match command {
            Command::BeginCounting(reply) => acknowledge(reply, self.begin_counting(now)),
            Command::Mark(event, reply) => {
                self.end_attempt_gaps(now);
                self.offer(now, true);
                self.control.timeline.borrow_mut().mark(event, now);
                acknowledge(reply, now);
            }
            Command::Over(event, reply) => {
                self.control.timeline.borrow_mut().over(event, now);
                acknowledge(reply, now);
            }
            Command::AllAnswered(sent_after, reply) => {
                let latest = self.cohorts().map(|cohort| cohort.count(|tally, _| tally.latest_ok()));
                self.control.readiness.borrow_mut().wait(sent_after, latest, reply);
            }
            Command::Request(cohort, asked, reply) => {
                if let Some((_, cohort)) = self.cohorts.get(usize::from(cohort)) {
                    cohort.ask(asked, now, reply);
                }
            }
            Command::HandOver(reply) => {
                // What is due at this very moment as well, so that nothing else is under way.
                let until = now + Duration::from_nanos(1);
                self.release(until);
                self.cohorts().for_each(|cohort| cohort.count(|tally, _| tally.await_due_before(until)));
                self.receipt = Some(Receipt { until, reply });
            }
            Command::NoOkSince(reply) => {
                let since = self.cohorts().filter_map(|cohort| cohort.count(|tally, _| tally.no_ok_since())).min();
                // Who asked may have gone, and needs no answer then.
                let _ = reply.send(since.filter(|_| self.control.timeline.borrow().counting_from().is_some()));
            }
            Command::Stop(reply) => {
                self.stop(now);
                self.offer(now, false);
                self.stop_replies.push(reply);
            }
            Command::Interrupt => {
                self.stop(now);
                self.control.interrupt();
                self.cohorts().for_each(|cohort| cohort.interrupt());
            }
        }
    }

    /// Counting begins once: returns when it did.
    fn begin_counting(&self, now: MonoTime) -> MonoTime {
        let began = self.control.timeline.borrow().counting_from();
        if let Some(at) = began {
            return at;
        }
        self.end_attempt_gaps(now);
        self.offer(now, true);
        self.control.timeline.borrow_mut().begin_counting(now);
        self.cohorts().for_each(|cohort| cohort.count(|tally, timeline| tally.begin_counting(timeline, now)));
        now
    }

    /// What is counted from `at` on belongs to another scope. A cohort that waits to be asked has scopes of its own.
    fn end_attempt_gaps(&self, at: MonoTime) {
        for cohort in self.cohorts().filter(|cohort| !cohort.is_on_demand()) {
            cohort.count(|tally, timeline| tally.end_attempt_gap(timeline, at));
        }
    }

    fn stop(&mut self, now: MonoTime) {
        if self.stopped_at.is_none() {
            self.end_attempt_gaps(now);
        }
        self.stopped_at.get_or_insert(now);
        self.control.stop();
        self.cohorts().for_each(|cohort| cohort.close());
    }

    fn is_over(&self) -> bool {
        let all_ended = || self.cohorts().all(|cohort| cohort.count(|tally, _| tally.outstanding() == 0));
        self.stopped_at.is_some() && all_ended()
    }

    async fn finish(mut self) {
        let now = clock::now();
        let stopped_at = self.stopped_at.unwrap_or(now);
        for reply in self.stop_replies.drain(..) {
            acknowledge(reply, stopped_at);
        }
        for (name, cohort) in &self.cohorts {
            cohort.count(|tally, timeline| tally.finish(timeline, stopped_at));
            while let Some(rows) = cohort.count(|tally, _| tally.take_rows()) {
                self.outbox.deliver(Observation::Rows(rows)).await;
            }
            while let Some(segment) = cohort.count(|tally, _| tally.take_segment(now)) {
                self.outbox.deliver(Observation::Segment(segment)).await;
            }
            while let Some(request) = cohort.take_request() {
                self.outbox.deliver(Observation::Request(request)).await;
            }
            let left_out = cohort.count(|tally, _| tally.samples_left_out());
            if left_out > 0 {
                let what = format!("failure samples of {name}");
                self.outbox.deliver(Observation::Cap(Cap { what, left_out })).await;
            }
        }
        self.outbox.deliver(Observation::Generator(Box::new(self.thread_use()))).await;
        let unasked = self.cohorts().map(|cohort| cohort.count(|tally, _| tally.unasked())).sum();
        if unasked > 0 {
            self.outbox.deliver(Observation::Unasked(unasked)).await;
        }
        while let Some(pause) = self.control.heartbeat.take() {
            self.outbox.deliver(Observation::Pause(pause)).await;
        }
    }
}

/// Who asked may have gone, and needs no answer then.
fn acknowledge(reply: oneshot::Sender<MonoTime>, at: MonoTime) {
    let _ = reply.send(at);
}
