//! One cohort at work: its agenda, its slots and its counters.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::agenda::Agenda;
use super::mailbox::Mailbox;
use super::sequence::{Asked, Sequence};
use crate::clock;
use crate::load::control::Control;
use crate::load::ended::{Ended, Trace};
use crate::load::protocol::Over;
use crate::load::slot::{Due, Slot, SlotEvent, SlotPolicy};
use crate::load::tally::Tally;
use crate::load::thread_use::Scheduled;
use crate::load::timeline::Timeline;
use crate::model::{Disposition, FailureClass, FailureKey, MonoTime, Share};
use crate::record::request::RequestEnd;
use crate::record::segment::SentOk;

/// How long after a failed connect a client of a closed loop is due again.
const CLIENT_BACKOFF: Duration = Duration::from_millis(100);

/// What a cohort does, fixed from the start.
pub(in crate::load) struct Policy {
    /// How it uses its connections.
    pub(in crate::load) slot: Rc<SlotPolicy>,
    /// The maximum number of connections.
    pub(in crate::load) slots_max: usize,
    /// The most requests at once on each connection.
    pub(in crate::load) streams: u32,
    /// A client is due again when its last request ended.
    pub(in crate::load) closed_loop: bool,
    /// Nothing is due until a step asks.
    pub(in crate::load) on_demand: bool,
    /// Which of all requests are sent here.
    pub(in crate::load) share: Share,
    /// Nothing falls due from here on.
    pub(in crate::load) until: MonoTime,
}

/// One cohort at work.
pub(in crate::load) struct Cohort {
    number: usize,
    policy: Policy,
    /// Shared by the whole load.
    control: Rc<Control>,
    tally: RefCell<Tally>,
    agenda: RefCell<Agenda>,
    slots: RefCell<Slots>,
    /// What steps ask for; none for a cohort that loads of its own accord.
    sequence: Option<RefCell<Sequence>>,
    scheduled: Cell<Scheduled>,
    /// Requests that were given out: by this number, the next one is chosen.
    given: Cell<u64>,
}

/// The connections' tasks: made on demand, never ended.
#[derive(Default)]
struct Slots {
    all: Vec<Rc<Mailbox>>,
    /// Least recently used first.
    free: VecDeque<Free>,
}

/// Room for one request in a slot.
struct Free {
    slot: Rc<Mailbox>,
    since: MonoTime,
}

impl Cohort {
    /// The cohort at that place in the plan.
    pub(in crate::load) fn new(
        number: usize,
        policy: Policy,
        control: Rc<Control>,
        tally: Tally,
        agenda: Agenda,
    ) -> Rc<Self> {
        let sequence = policy.on_demand.then(|| RefCell::new(Sequence::new()));
        Rc::new(Self {
            number,
            policy,
            control,
            tally: RefCell::new(tally),
            agenda: RefCell::new(agenda),
            slots: RefCell::default(),
            sequence,
            scheduled: Cell::default(),
            given: Cell::new(0),
        })
    }

    /// Runs `with` on the counters and the timeline they count by.
    pub(in crate::load) fn count<T>(&self, with: impl FnOnce(&mut Tally, &Timeline) -> T) -> T {
        let mut tally = self.tally.borrow_mut();
        match &self.sequence {
            Some(sequence) => with(&mut tally, sequence.borrow().marks()),
            None => with(&mut tally, &self.control.timeline.borrow()),
        }
    }

    /// Whether it sends nothing until a step asks.
    pub(in crate::load) fn is_on_demand(&self) -> bool {
        self.sequence.is_some()
    }

    /// A step asks for requests, the first of them due `now`. Replies with the end of the last; never if nobody can
    /// ask this cohort, or if the load ends before.
    pub(in crate::load) fn ask(&self, asked: Asked, now: MonoTime, reply: oneshot::Sender<MonoTime>) {
        if let Some(sequence) = self.sequence.as_ref().filter(|_| !self.control.is_stopped()) {
            sequence.borrow_mut().begin(asked, now, reply);
            self.count(|tally, _| tally.asked(now));
            self.agenda.borrow_mut().client_due(now);
        }
    }

    /// Takes a request that a step had asked for and that has ended; none once all were taken.
    pub(in crate::load) fn take_request(&self) -> Option<RequestEnd> {
        self.sequence.as_ref()?.borrow_mut().take_ended()
    }

    /// Sends all that falls due before `before` and all that waits, as far as there are connections.
    pub(in crate::load) fn release(self: &Rc<Self>, before: MonoTime) {
        let fall_due = || self.agenda.borrow_mut().fall_due(before.min(self.policy.until));
        while let Some(due) = fall_due() {
            self.count(|tally, timeline| tally.fell_due(timeline, due));
            self.scheduled.update(|scheduled| Scheduled { due: scheduled.due + 1, ..scheduled });
        }
        self.expire(clock::now());
        while self.agenda.borrow().first_waiting().is_some() {
            let Some(Free { slot, since }) = self.take_free() else { return };
            if let Some(due) = self.begin_waiting() {
                slot.post(due, since);
            }
        }
    }

    /// When [`Self::release`] has something to do again.
    pub(in crate::load) fn next_release(&self) -> Option<MonoTime> {
        let agenda = self.agenda.borrow();
        let expiry = agenda.first_waiting().map(|due| due + self.policy.slot.target.timeout);
        agenda.next_due().filter(|due| *due < self.policy.until).into_iter().chain(expiry).min()
    }

    /// How many requests are due and wait for a connection.
    pub(in crate::load) fn waiting(&self) -> u64 {
        self.agenda.borrow().waiting()
    }

    /// Nothing more falls due.
    pub(in crate::load) fn close(&self) {
        self.agenda.borrow_mut().close();
    }

    /// Ends every request now: those that wait here, those under way in their slots.
    pub(in crate::load) fn interrupt(&self) {
        let now = clock::now();
        while let Some(due) = self.take_waiting() {
            self.ended(&never_sent(FailureClass::Interrupted, due, now));
        }
        self.slots.borrow().all.iter().for_each(|slot| slot.wake());
    }

    /// Counts a request whose slot is free again, and gives that slot its next one; without one it is idle.
    fn finished(&self, ended: &Ended, slot: &Rc<Mailbox>) -> Option<Due> {
        self.ended(ended);
        if self.policy.closed_loop && !self.control.is_stopped() && ended.end < self.policy.until {
            if ended.result.is_ok() || ended.trace.connected.is_some() {
                self.count(|tally, timeline| tally.fell_due(timeline, ended.end));
                return Some(self.choose(ended.end));
            }
            self.agenda.borrow_mut().client_due(ended.end + CLIENT_BACKOFF);
            self.control.attention.notify_one();
        }
        if let Some(sequence) = &self.sequence {
            let next = sequence.borrow_mut().ended(ended);
            self.go_on_asking(next, ended.end);
        }
        self.expire(ended.end);
        let next = self.begin_waiting();
        if next.is_none() {
            self.slots.borrow_mut().free.push_back(Free { slot: Rc::clone(slot), since: ended.end });
        }
        next
    }

    /// After a request of a step: the next one is due, or that was the last one and nothing is missing an answer now.
    fn go_on_asking(&self, next: Option<MonoTime>, now: MonoTime) {
        match next {
            Some(_) if self.control.is_stopped() => {}
            Some(due) => {
                self.agenda.borrow_mut().client_due(due);
                self.control.attention.notify_one();
            }
            None => self.count(|tally, timeline| tally.finish(timeline, now)),
        }
    }

    /// What waited for a connection until its timeout is failed.
    fn expire(&self, now: MonoTime) {
        let timeout = self.policy.slot.target.timeout;
        while self.agenda.borrow().first_waiting().is_some_and(|due| due + timeout <= now) {
            if let Some(due) = self.take_waiting() {
                self.ended(&never_sent(FailureClass::NoConnection, due, now));
            }
        }
    }

    /// What fell due and what was begun so far.
    pub(in crate::load) fn scheduled(&self) -> Scheduled {
        self.scheduled.get()
    }

    /// The next one that waits, for a connection to take up.
    fn begin_waiting(&self) -> Option<Due> {
        let due = self.take_waiting()?;
        self.scheduled.update(|scheduled| Scheduled { begun: scheduled.begun + 1, ..scheduled });
        Some(due)
    }

    fn take_waiting(&self) -> Option<Due> {
        let due = self.agenda.borrow_mut().take_waiting()?;
        Some(self.choose(due))
    }

    /// Chooses which request is made of one that is due.
    fn choose(&self, at: MonoTime) -> Due {
        let number = self.given.get();
        self.given.set(number + 1);
        Due { at, which: self.policy.slot.target.mix.nth(self.policy.share.in_whole(number)) }
    }

    fn ended(&self, ended: &Ended) {
        let excused = self.excused(ended);
        let ended = excused.as_ref().unwrap_or(ended);
        let outstanding = self.count(|tally, timeline| {
            tally.ended(timeline, ended);
            tally.outstanding()
        });
        if let (Ok(_), Some(sent)) = (ended.result, ended.trace.sent) {
            self.control.readiness.borrow_mut().ok(self.number, SentOk { sent, end: ended.end });
        }
        if outstanding == 0 && self.control.is_stopped() {
            self.control.attention.notify_one();
        }
    }

    /// A request whose time ran out because this thread did not run says nothing about the target: it was interrupted.
    fn excused(&self, ended: &Ended) -> Option<Ended> {
        let target = &self.policy.slot.target;
        let limit = match ended.result {
            Err(FailureKey { class: FailureClass::ConnectTimeout, .. }) => target.connect_timeout,
            Err(FailureKey { class: FailureClass::ResponseTimeout | FailureClass::NoConnection, .. }) => target.timeout,
            _ => return None,
        };
        let interrupted = |key| FailureKey { class: FailureClass::Interrupted, ..key };
        let is_excused = self.control.heartbeat.cut_into(ended.due, ended.due + limit, ended.end);
        is_excused.then(|| Ended { result: ended.result.map_err(interrupted), ..*ended })
    }

    fn take_free(self: &Rc<Self>) -> Option<Free> {
        let mut slots = self.slots.borrow_mut();
        if let Some(free) = slots.free.pop_front() {
            return Some(free);
        }
        if slots.all.len() == self.policy.slots_max {
            return None;
        }
        let mailbox = Rc::new(Mailbox::default());
        slots.all.push(Rc::clone(&mailbox));
        tokio::task::spawn_local(Rc::clone(self).drive(Rc::clone(&mailbox)));
        let free = |slot| Free { slot, since: MonoTime::default() };
        slots.free.extend((1..self.policy.streams).map(|_| free(Rc::clone(&mailbox))));
        Some(free(mailbox))
    }

    /// The task of one slot: gives it the requests that are posted, and takes what happens in it, for ever.
    async fn drive(self: Rc<Self>, mailbox: Rc<Mailbox>) {
        let _panic = PanicWatch(&self.control);
        let (scratch, interruption) = (self.control.scratch.clone(), Rc::clone(&self.control.interruption));
        let instances = self.control.instances.clone();
        let mut slot = Slot::new(Rc::clone(&self.policy.slot), scratch, instances, interruption);
        loop {
            let event = poll_fn(|cx| {
                while let Some((due, free_since)) = mailbox.take(cx) {
                    slot.start(due, free_since);
                }
                slot.poll_event(cx)
            });
            match event.await {
                SlotEvent::ConnectCalled(at) => self.count(|tally, timeline| tally.connect_attempted(timeline, at)),
                SlotEvent::Opened(at) => self.count(|tally, timeline| tally.connection_opened(timeline, at)),
                SlotEvent::IdleOver(Over::Ended, at) => {
                    self.count(|tally, timeline| tally.connection_closed_idle(timeline, at));
                }
                SlotEvent::IdleOver(Over::Unasked, at) => {
                    self.count(|tally, timeline| tally.bytes_unasked(timeline, at));
                }
                SlotEvent::GoAways(goaways) => self.count(|tally, timeline| tally.goaways(timeline, goaways)),
                SlotEvent::Ended(ended) => {
                    let next = self.finished(&ended, &mailbox);
                    next.into_iter().for_each(|due| slot.start(due, ended.end));
                    if ended.result.is_err() {
                        // What fails at once, again and again, must not keep the thread from everything else.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }
}

/// The runtime catches a panic of a task; the engine has to know that a request is lost to the count.
struct PanicWatch<'a>(&'a Control);

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.slot_panicked();
        }
    }
}

fn never_sent(class: FailureClass, Due { at: due, which }: Due, end: MonoTime) -> Ended {
    let key = FailureKey::new(class, Disposition::Unsent);
    Ended { due, which, end, result: Err(key), lateness_ns: None, trace: Trace::default() }
}
