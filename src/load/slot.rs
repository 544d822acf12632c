//! A connection slot: one connection after the other, and the requests on it. It returns what happened and calls nobody.

mod open;

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use self::open::Open;
use super::classify::Failure;
use super::connection::{OpenFailure, Opened, Opening, Scratch};
use super::ended::{Accepted, Ended, Trace};
use super::guard::{Guard, Interruption, Stopped};
use super::instances::Instances;
use super::protocol::{Exchanged, Over, ProtocolEvent, Room};
use super::target::ReadyTarget;
use crate::clock;
use crate::model::{Disposition, FailureClass, FailureKey, MonoTime};
use crate::record::segment::GoAways;

/// With this number of retired connections, one without a request is closed for each that is added.
const RETIRED_IDLE_MAX: usize = 8;

/// How all connections of a cohort are used.
pub(super) struct SlotPolicy {
    /// What is sent where, and what must come back.
    pub(super) target: ReadyTarget,
    /// Connections serve more than one request.
    pub(super) reuse: bool,
    /// The pause between a new connection and its first request.
    pub(super) connect_delay: Duration,
}

/// A request that is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// When.
    pub(super) at: MonoTime,
    /// Which of the requests of its target.
    pub(super) which: u16,
}

/// What happened in a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum SlotEvent {
    /// A connect call is made.
    ConnectCalled(MonoTime),
    /// A connection was established.
    Opened(MonoTime),
    /// A connection without a request was found to be of no further use.
    IdleOver(Over, MonoTime),
    /// The server announced the end of a connection, or answered a stream that was in flight then: what is to be added.
    GoAways(GoAways),
    /// A request has ended: there is room for another one.
    Ended(Ended),
}

/// Makes the requests that it is given, as many at once as its protocol allows.
pub(super) struct Slot {
    policy: Rc<SlotPolicy>,
    scratch: Scratch,
    instances: Instances,
    guard: Guard,
    /// Where new exchanges start.
    link: Link,
    /// Connections that only end what was started on them: those that announced their end.
    retired: Vec<Retired>,
    retired_before: u64,
    requests: Vec<Request>,
    /// What is still to be returned.
    events: VecDeque<SlotEvent>,
}

enum Link {
    None,
    Opening(Opening),
    Open(Box<Open>),
}

/// A connection that takes no new exchange.
struct Retired {
    /// From 1.
    number: u64,
    open: Box<Open>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has no exchange.
    Waiting,
    /// On the connection where new exchanges start.
    Current,
    /// On that retired connection.
    Retired(u64),
}

/// A request that has not ended.
#[derive(Clone, Copy)]
struct Request {
    due: MonoTime,
    /// Which of the requests of its target.
    which: u16,
    could_start: MonoTime,
    /// It waits for room on a connection that others opened or use, which is not the instrument's own error.
    has_waited: bool,
    /// The first connect call that was made for it.
    connect_call: Option<MonoTime>,
    place: Place,
    /// The number of its exchange on the connection, from 1; 0 while it has none.
    nth: u64,
}

impl Request {
    fn ended(
        self,
        result: Result<Accepted, FailureKey>,
        first_call: Option<MonoTime>,
        trace: Trace,
        end: MonoTime,
    ) -> Ended {
        let lateness_ns = first_call.map(|called_at| called_at.nanos_since(self.could_start));
        Ended { due: self.due, which: self.which, end, result, lateness_ns, trace }
    }

    /// It had no connection, or no room on one.
    fn unsent(self, key: FailureKey, trace: Trace, end: MonoTime) -> Ended {
        self.ended(Err(key), self.connect_call, trace, end)
    }
}

impl Slot {
    /// Idle, without a connection. Must be called within a runtime.
    pub(super) fn new(
        policy: Rc<SlotPolicy>,
        scratch: Scratch,
        instances: Instances,
        interruption: Rc<Interruption>,
    ) -> Self {
        Self {
            policy,
            scratch,
            instances,
            guard: Guard::new(interruption),
            link: Link::None,
            retired: Vec::new(),
            retired_before: 0,
            requests: Vec::with_capacity(1),
            events: VecDeque::new(),
        }
    }

    /// Takes on a request; there must be room for it, since `free_since`.
    pub(super) fn start(&mut self, Due { at: due, which }: Due, free_since: MonoTime) {
        self.requests.push(Request {
            due,
            which,
            could_start: due.max(free_since),
            has_waited: matches!(self.link, Link::Opening(_)),
            connect_call: None,
            place: Place::Waiting,
            nth: 0,
        });
    }

    /// What happens next. Only a connection that ended before a byte of a request was written is replaced.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<SlotEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.poll_retired(cx).is_ready() {
                continue;
            }
            let event = match self.link {
                Link::None if self.waits() => Some(self.connect()),
                Link::None => ready!(self.poll_given_up(cx)),
                Link::Opening(_) => ready!(self.poll_opening(cx)),
                Link::Open(_) => ready!(self.poll_open(cx)),
            };
            if let Some(event) = event {
                return Poll::Ready(event);
            }
        }
    }

    /// Whether a request has no exchange.
    fn waits(&self) -> bool {
        self.requests.iter().any(|request| request.place == Place::Waiting)
    }

    fn connect(&mut self) -> SlotEvent {
        let called_at = clock::now();
        for request in self.requests.iter_mut().filter(|request| request.place == Place::Waiting) {
            request.connect_call.get_or_insert(called_at);
        }
        match Opening::begin(&self.policy.target.endpoint) {
            Ok(opening) => self.link = Link::Opening(opening),
            Err(failure) => self.not_connected(failure),
        }
        SlotEvent::ConnectCalled(called_at)
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let Link::Opening(opening) = &mut self.link else { return Poll::Ready(None) };
        match opening.poll(self.policy.target.tls.as_ref(), cx) {
            Poll::Ready(Ok(opened)) => Poll::Ready(Some(self.opened(opened))),
            Poll::Ready(Err(failure)) => {
                self.not_connected(failure);
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_given_up(cx),
        }
    }

    fn opened(&mut self, opened: Opened) -> SlotEvent {
        let since = opened.since;
        let open = Open::new(opened, &self.policy, self.scratch.clone(), self.instances.clone());
        self.link = Link::Open(Box::new(open));
        SlotEvent::Opened(since)
    }

    /// Ends all requests that wait: there is no connection for them.
    fn not_connected(&mut self, OpenFailure { class, errno, tls, local, instead }: OpenFailure) {
        self.link = Link::None;
        let end = clock::now();
        let trace = Trace { local, instead, ..Trace::default() };
        let key = FailureKey { errno, tls, ..FailureKey::new(class, Disposition::Unsent) };
        let waiting = self.requests.extract_if(.., |request| request.place == Place::Waiting);
        self.events.extend(waiting.map(|request| SlotEvent::Ended(request.unsent(key, trace, end))));
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let Link::Open(open) = &mut self.link else { return Poll::Ready(None) };
        let target = &self.policy.target;
        for request in self.requests.iter_mut().filter(|request| request.place == Place::Waiting) {
            if open.room() != Room::Now {
                request.has_waited = true;
                continue;
            }
            if std::mem::take(&mut request.has_waited) && request.connect_call.is_none() {
                request.could_start = clock::now();
            }
            (request.place, request.nth) = (Place::Current, open.start(request.which, target));
        }
        let polled = open.poll(target, cx);
        self.events.extend(open.take_goaways().map(SlotEvent::GoAways));
        let Poll::Ready(event) = polled else {
            if open.room() == Room::Never {
                self.retire();
            }
            return if self.events.is_empty() { self.poll_given_up(cx) } else { Poll::Ready(None) };
        };
        Poll::Ready(match event {
            ProtocolEvent::Ended(nth, exchanged) => self.exchanged(Place::Current, nth, exchanged),
            ProtocolEvent::NotSent(nth, over) => self.not_sent(nth, over),
            ProtocolEvent::Over(over) => Some(self.idle_over(over)),
        })
    }

    /// Polls the connections that take nothing new: ready if something happened on one.
    fn poll_retired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let target = &self.policy.target;
        let polled = self.retired.iter_mut().find_map(|Retired { number, open }| {
            let polled = open.poll(target, cx);
            self.events.extend(open.take_goaways().map(SlotEvent::GoAways));
            match polled {
                Poll::Ready(event) => Some((*number, event)),
                Poll::Pending => None,
            }
        });
        let Some((number, event)) = polled else {
            return if self.events.is_empty() { Poll::Pending } else { Poll::Ready(()) };
        };
        match event {
            ProtocolEvent::Ended(nth, exchanged) => {
                let ended = self.exchanged(Place::Retired(number), nth, exchanged);
                self.events.extend(ended);
            }
            ProtocolEvent::NotSent(nth, _) => self.wait_again(Place::Retired(number), nth),
            ProtocolEvent::Over(_) => self.close(Place::Retired(number)),
        }
        Poll::Ready(())
    }

    /// The current connection serves those in flight, and new requests get another one.
    fn retire(&mut self) {
        let Link::Open(open) = std::mem::replace(&mut self.link, Link::None) else { return };
        if open.in_flight == 0 {
            self.events.push_back(SlotEvent::IdleOver(Over::Ended, clock::now()));
        }
        self.retired_before += 1;
        let number = self.retired_before;
        for request in self.requests.iter_mut().filter(|request| request.place == Place::Current) {
            request.place = Place::Retired(number);
        }
        if self.retired.len() >= RETIRED_IDLE_MAX {
            // A server that ends each connection at once: one that still serves is of more use than its last words.
            let idle = self.retired.iter().find(|retired| retired.open.in_flight == 0).map(|retired| retired.number);
            idle.into_iter().for_each(|number| self.close(Place::Retired(number)));
        }
        self.retired.push(Retired { number, open });
    }

    /// That exchange was not made: it has to be, on another connection.
    fn not_sent(&mut self, nth: u64, over: Over) -> Option<SlotEvent> {
        self.wait_again(Place::Current, nth);
        let Link::Open(open) = &self.link else { return None };
        if open.room() == Room::Never {
            self.retire();
            return None;
        }
        Some(self.idle_over(over))
    }

    fn wait_again(&mut self, place: Place, nth: u64) {
        let unsent = self.requests.iter_mut().find(|request| request.place == place && request.nth == nth);
        if let Some(request) = unsent {
            (request.place, request.nth) = (Place::Waiting, 0);
        }
        if let Some(open) = self.open_at(place) {
            open.in_flight -= 1;
        }
    }

    /// Gives up the request whose time is over first.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let target = &self.policy.target;
        let is_opening = matches!(self.link, Link::Opening(_));
        let deadline = |request: &Request| match request.place {
            Place::Waiting if is_opening => request.due + target.connect_timeout,
            _ => request.due + target.timeout,
        };
        let times = self.requests.iter().map(deadline).enumerate();
        let Some((index, deadline)) = times.min_by_key(|&(_, deadline)| deadline) else { return Poll::Pending };
        let stopped = ready!(self.guard.poll_stopped(cx, deadline));
        let Request { place, nth, .. } = self.requests[index];
        if place == Place::Waiting {
            return Poll::Ready(Some(self.waited_in_vain(index, stopped)));
        }
        let Some(open) = self.open_at(place) else { return Poll::Ready(None) };
        let exchanged = open.abandon(nth, stopped.into());
        Poll::Ready(self.exchanged(place, nth, exchanged))
    }

    /// Ends a request that got no connection, or no room on one.
    fn waited_in_vain(&mut self, index: usize, stopped: Stopped) -> SlotEvent {
        let request = self.requests.swap_remove(index);
        let class = match (stopped, &self.link) {
            (Stopped::Interrupted, _) => FailureClass::Interrupted,
            (Stopped::TimedOut, Link::Opening(_)) => FailureClass::ConnectTimeout,
            (Stopped::TimedOut, Link::None | Link::Open(_)) => FailureClass::NoConnection,
        };
        let mut trace = Trace::default();
        if let Link::Opening(opening) = &self.link {
            trace.local = opening.local();
            if !self.waits() {
                self.link = Link::None;
            }
        }
        SlotEvent::Ended(request.unsent(FailureKey::new(class, Disposition::Unsent), trace, clock::now()))
    }

    fn exchanged(&mut self, place: Place, nth: u64, exchanged: Exchanged) -> Option<SlotEvent> {
        let end = clock::now();
        let index = self.requests.iter().position(|request| request.place == place && request.nth == nth)?;
        let request = self.requests.swap_remove(index);
        let policy = Rc::clone(&self.policy);
        let open = self.open_at(place)?;
        open.in_flight -= 1;
        let ended = SlotEvent::Ended(open.ended(request, &exchanged, &policy.target, end));
        if exchanged.result.is_ok_and(|answer| answer.has_surplus) {
            self.events.push_back(ended);
            return Some(self.idle_over(Over::Unasked));
        }
        if matches!(exchanged.result, Err(Failure::TimedOut)) {
            self.give_up(place);
        } else if !(policy.reuse && exchanged.keeps_connection) {
            self.close(place);
        }
        Some(ended)
    }

    fn idle_over(&mut self, over: Over) -> SlotEvent {
        self.close(Place::Current);
        SlotEvent::IdleOver(over, clock::now())
    }

    fn open_at(&mut self, place: Place) -> Option<&mut Open> {
        match (place, &mut self.link) {
            (Place::Retired(number), _) => {
                self.retired.iter_mut().find(|retired| retired.number == number).map(|retired| &mut *retired.open)
            }
            (Place::Current, Link::Open(open)) => Some(open),
            _ => None,
        }
    }

    /// Leaves a connection whose request was given up, unless it carries others: it may still be answered.
    fn give_up(&mut self, place: Place) {
        match (place, std::mem::replace(&mut self.link, Link::None)) {
            (Place::Current, Link::Open(open)) if open.in_flight == 0 => open.set_aside(),
            (_, link) => self.link = link,
        }
    }

    /// Closes a connection that no request is on.
    fn close(&mut self, place: Place) {
        match place {
            Place::Retired(number) => self.retired.retain(|retired| retired.number != number),
            Place::Current => self.link = Link::None,
            Place::Waiting => {}
        }
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::TimedOut => Self::TimedOut,
            Stopped::Interrupted => Self::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests;
