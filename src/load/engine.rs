//! The loop of the load thread: obeys commands, lets requests fall due, hands over what was counted.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Observation;
use super::cohort::Cohort;
use super::control::Control;
use super::outbox::Outbox;
use super::pacer::Pacer;
use crate::clock;
use crate::model::{EventId, MonoTime};
use crate::record::line::Cap;

/// Rows are handed over every second, and segments with every tenth of them.
const ROWS_EVERY: Duration = Duration::from_secs(1);
const SEGMENT_EVERY_ROWS: u64 = 10;

/// What the control thread asks for. Each reply is the moment from which it holds.
#[derive(Debug)]
pub(super) enum Command {
    /// What is due from now on is counted.
    BeginCounting(oneshot::Sender<MonoTime>),
    /// An event begins now.
    Mark(EventId, oneshot::Sender<MonoTime>),
    /// Reply when every cohort had an `ok` that was sent after this.
    AllAnswered(MonoTime, oneshot::Sender<MonoTime>),
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
    next_rows: MonoTime,
    rows_handed_over: u64,
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
    ) -> Self {
        Self {
            control,
            cohorts,
            pacer,
            commands,
            has_handle: true,
            outbox,
            next_rows: origin + ROWS_EVERY,
            rows_handed_over: 0,
            stopped_at: None,
            stop_replies: Vec::new(),
        }
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
        if now >= self.next_rows {
            self.rows_handed_over += 1;
            self.next_rows = now + ROWS_EVERY;
            self.offer(now, self.rows_handed_over.is_multiple_of(SEGMENT_EVERY_ROWS));
        }
        let next_release = self.cohorts().filter_map(|cohort| cohort.next_release()).min();
        next_release.map_or(self.next_rows, |at| at.min(self.next_rows))
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
        }
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
                self.offer(now, true);
                self.control.timeline.borrow_mut().mark(event, now);
                acknowledge(reply, now);
            }
            Command::AllAnswered(sent_after, reply) => {
                let latest = self.cohorts().map(|cohort| cohort.count(|tally, _| tally.latest_ok()));
                self.control.readiness.borrow_mut().wait(sent_after, latest, reply);
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
        self.offer(now, true);
        self.control.timeline.borrow_mut().begin_counting(now);
        self.cohorts().for_each(|cohort| cohort.count(|tally, timeline| tally.begin_counting(timeline, now)));
        now
    }

    fn stop(&mut self, now: MonoTime) {
        self.stopped_at.get_or_insert(now);
        self.control.stop();
        self.cohorts().for_each(|cohort| cohort.close());
    }

    fn is_over(&self) -> bool {
        let all_ended = || self.cohorts().all(|cohort| cohort.count(|tally, _| tally.outstanding() == 0));
        self.stopped_at.is_some() && all_ended()
    }

    async fn finish(self) {
        let now = clock::now();
        let stopped_at = self.stopped_at.unwrap_or(now);
        for reply in self.stop_replies {
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
            let left_out = cohort.count(|tally, _| tally.samples_left_out());
            if left_out > 0 {
                let what = format!("failure samples of {name}");
                self.outbox.deliver(Observation::Cap(Cap { what, left_out })).await;
            }
        }
        let held_up = self.control.heartbeat.total();
        if held_up.times > 0 {
            self.outbox.deliver(Observation::HeldUp(held_up)).await;
        }
    }
}

/// Who asked may have gone, and needs no answer then.
fn acknowledge(reply: oneshot::Sender<MonoTime>, at: MonoTime) {
    let _ = reply.send(at);
}
