//! A connection slot: one connection after the other, and the requests on it. It returns what happened and calls nobody.

use std::collections::VecDeque;
use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::classify::{Failure, Progress, disposition, exchange_class};
use super::connection::{OpenFailure, Opened, Opening, Passed, Scratch, Wire};
use super::ended::{Accepted, Ended, Trace};
use super::guard::{Guard, Interruption, Stopped};
use super::protocol::{Answer, Exchanged, Judgement, Over, Protocol, ProtocolEvent};
use super::target::ReadyTarget;
use crate::clock;
use crate::model::{Disposition, FailureClass, FailureKey, MonoTime};

/// How all connections of a cohort are used.
pub(super) struct SlotPolicy {
    /// What is sent where, and what must come back.
    pub(super) target: ReadyTarget,
    /// Connections serve more than one request.
    pub(super) reuse: bool,
    /// The pause between a new connection and its first request.
    pub(super) connect_delay: Duration,
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
    /// A request has ended: there is room for another one.
    Ended(Ended),
}

/// Makes the requests that it is given, as many at once as its protocol allows.
pub(super) struct Slot {
    policy: Rc<SlotPolicy>,
    scratch: Scratch,
    guard: Guard,
    link: Link,
    requests: Vec<Request>,
    /// What is still to be returned.
    events: VecDeque<SlotEvent>,
    free_since: MonoTime,
}

enum Link {
    None,
    Opening(Opening),
    Open(Box<Open>),
}

/// An established connection.
struct Open {
    wire: Wire,
    protocol: Protocol,
    local: Option<SocketAddr>,
    since: MonoTime,
    /// Exchanges that were started on it.
    exchanges: u64,
    /// Until the first of them may be sent.
    delay: Option<Pin<Box<Sleep>>>,
}

/// A request that has not ended.
#[derive(Clone, Copy)]
struct Request {
    due: MonoTime,
    could_start: MonoTime,
    /// The first connect call that was made for it.
    connect_call: Option<MonoTime>,
    /// The number of its exchange on the connection, from 1; 0 while it has none.
    nth: u64,
}

impl Slot {
    /// Idle, without a connection. Must be called within a runtime.
    pub(super) fn new(policy: Rc<SlotPolicy>, scratch: Scratch, interruption: Rc<Interruption>) -> Self {
        Self {
            policy,
            scratch,
            guard: Guard::new(interruption),
            link: Link::None,
            requests: Vec::with_capacity(1),
            events: VecDeque::new(),
            free_since: MonoTime::default(),
        }
    }

    /// Takes on a request; there must be room for it.
    pub(super) fn start(&mut self, due: MonoTime) {
        let could_start = due.max(self.free_since);
        self.requests.push(Request { due, could_start, connect_call: None, nth: 0 });
    }

    /// What happens next. Only a connection that ended before a byte of a request was written is replaced.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<SlotEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            let event = match self.link {
                Link::None if self.requests.is_empty() => return Poll::Pending,
                Link::None => Some(self.connect()),
                Link::Opening(_) => ready!(self.poll_opening(cx)),
                Link::Open(_) => ready!(self.poll_open(cx)),
            };
            if let Some(event) = event {
                return Poll::Ready(event);
            }
        }
    }

    fn connect(&mut self) -> SlotEvent {
        let called_at = clock::now();
        for request in &mut self.requests {
            request.connect_call.get_or_insert(called_at);
        }
        match Opening::begin(&self.policy.target.endpoint) {
            Ok(opening) => self.link = Link::Opening(opening),
            Err(failure) => self.not_connected(failure),
        }
        SlotEvent::ConnectCalled(called_at)
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let first_due = self.first_due();
        let Link::Opening(opening) = &mut self.link else { return Poll::Ready(None) };
        match opening.poll(self.policy.target.tls.as_ref(), cx) {
            Poll::Ready(Ok(opened)) => return Poll::Ready(Some(self.opened(opened))),
            Poll::Ready(Err(failure)) => self.not_connected(failure),
            Poll::Pending => {
                let Some(due) = first_due else { return Poll::Pending };
                let deadline = due + self.policy.target.connect_timeout;
                let class = connect_class_of(ready!(self.guard.poll_stopped(cx, deadline)));
                let failure = opening.abandoned(class);
                self.not_connected(failure);
            }
        }
        Poll::Ready(None)
    }

    fn opened(&mut self, Opened { stream, local, since }: Opened) -> SlotEvent {
        let connect_delay = self.policy.connect_delay;
        self.link = Link::Open(Box::new(Open {
            wire: Wire::new(stream, self.scratch.clone()),
            protocol: Protocol::new(&self.policy.target.request),
            local,
            since,
            exchanges: 0,
            delay: (!connect_delay.is_zero()).then(|| Box::pin(sleep(connect_delay))),
        }));
        SlotEvent::Opened(since)
    }

    /// Ends all requests: there is no connection for them.
    fn not_connected(&mut self, OpenFailure { class, errno, tls, local }: OpenFailure) {
        self.link = Link::None;
        let end = clock::now();
        let key = FailureKey { class, disposition: Disposition::Unsent, reused: false, status: None, errno, tls };
        let trace = Trace { local, ..Trace::default() };
        let ended = self
            .requests
            .drain(..)
            .map(|request| SlotEvent::Ended(ended(request, Err(key), request.connect_call, trace, end)));
        self.events.extend(ended);
        self.free_since = end;
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let Link::Open(open) = &mut self.link else { return Poll::Ready(None) };
        let target = &self.policy.target;
        for request in self.requests.iter_mut().filter(|request| request.nth == 0) {
            if !open.protocol.has_room() {
                break;
            }
            open.exchanges += 1;
            request.nth = open.exchanges;
            open.protocol.start(request.nth, &target.expect, &mut open.wire);
        }
        match open.poll(target, cx) {
            Poll::Ready(ProtocolEvent::Ended(nth, exchanged)) => Poll::Ready(self.exchanged(nth, exchanged)),
            Poll::Ready(ProtocolEvent::NotSent(nth, over)) => {
                let unsent = self.requests.iter_mut().find(|request| request.nth == nth);
                unsent.into_iter().for_each(|request| request.nth = 0);
                Poll::Ready(Some(self.idle_over(over)))
            }
            Poll::Ready(ProtocolEvent::Over(over)) => Poll::Ready(Some(self.idle_over(over))),
            Poll::Pending => self.poll_given_up(cx),
        }
    }

    /// Gives up the request that was due first, once its time is over.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<Option<SlotEvent>> {
        let Some(first) = self.requests.iter().min_by_key(|request| request.due) else { return Poll::Pending };
        let (nth, deadline) = (first.nth, first.due + self.policy.target.timeout);
        let stopped = ready!(self.guard.poll_stopped(cx, deadline));
        let Link::Open(open) = &mut self.link else { return Poll::Ready(None) };
        let exchanged = open.protocol.abandon(stopped.into(), &open.wire);
        Poll::Ready(self.exchanged(nth, exchanged))
    }

    fn exchanged(&mut self, nth: u64, exchanged: Exchanged) -> Option<SlotEvent> {
        let end = clock::now();
        let Link::Open(open) = &self.link else { return None };
        let place = self.requests.iter().position(|request| request.nth == nth)?;
        let ended = open.ended(self.requests.swap_remove(place), &exchanged, &self.policy.target, end);
        self.free_since = end;
        if exchanged.result.is_ok_and(|answer| answer.has_surplus) {
            self.events.push_back(SlotEvent::Ended(ended));
            return Some(self.idle_over(Over::Unasked));
        }
        if !(self.policy.reuse && exchanged.keeps_connection) {
            self.link = Link::None;
        }
        Some(SlotEvent::Ended(ended))
    }

    fn idle_over(&mut self, over: Over) -> SlotEvent {
        self.link = Link::None;
        SlotEvent::IdleOver(over, clock::now())
    }

    fn first_due(&self) -> Option<MonoTime> {
        self.requests.iter().map(|request| request.due).min()
    }
}

impl Open {
    fn poll(&mut self, target: &ReadyTarget, cx: &mut Context<'_>) -> Poll<ProtocolEvent> {
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(cx));
            self.delay = None;
        }
        self.protocol.poll(&target.request, &target.expect, &mut self.wire, cx)
    }

    fn ended(&self, request: Request, exchanged: &Exchanged, target: &ReadyTarget, end: MonoTime) -> Ended {
        let Passed { bytes_out, bytes_in, first_write, sent } = exchanged.passed;
        let nothing_to_send = target.request.len() == 0;
        let trace = Trace {
            // A request of no bytes is sent by its connection.
            sent: sent.or(nothing_to_send.then_some(self.since)),
            local: self.local,
            connected: Some(self.since),
            nth: request.nth,
            bytes_out,
            bytes_in,
            unframed: exchanged.result.is_ok_and(|answer| answer.unframed),
        };
        let is_late = end > request.due + target.timeout;
        let result = match exchanged.result {
            Ok(answer) => judged(answer, is_late, trace, target),
            Err(failure) => Err(self.failed(failure, exchanged.status, trace, target)),
        };
        ended(request, result, request.connect_call.or(first_write), trace, end)
    }

    fn failed(&self, failure: Failure, status: Option<u16>, trace: Trace, target: &ReadyTarget) -> FailureKey {
        let progress = Progress {
            request_bytes: target.request.len(),
            bytes_out: trace.bytes_out,
            bytes_in: trace.bytes_in,
            unix: self.wire.is_unix(),
        };
        let (errno, tls) = match failure {
            Failure::Lost(trouble) => (trouble.errno(), trouble.tls()),
            Failure::NotHttp | Failure::TimedOut | Failure::Interrupted => (None, None),
        };
        FailureKey {
            class: exchange_class(failure, progress),
            disposition: disposition(progress),
            reused: trace.reused(),
            status,
            errno,
            tls,
        }
    }
}

fn judged(answer: Answer, is_late: bool, trace: Trace, target: &ReadyTarget) -> Result<Accepted, FailureKey> {
    let Answer { status, judgement, unframed, .. } = answer;
    let class = match judgement {
        _ if is_late => FailureClass::ResponseTimeout,
        Judgement::Expected => {
            return Ok(Accepted { status, unconfirmed: unframed && target.expect.body.is_none() });
        }
        Judgement::OtherStatus => FailureClass::UnexpectedStatus,
        Judgement::OtherBody => FailureClass::UnexpectedBody,
    };
    Err(FailureKey {
        class,
        disposition: Disposition::Answered,
        reused: trace.reused(),
        status,
        errno: None,
        tls: None,
    })
}

fn ended(
    request: Request,
    result: Result<Accepted, FailureKey>,
    first_call: Option<MonoTime>,
    trace: Trace,
    end: MonoTime,
) -> Ended {
    let lateness_ns = first_call.map(|called_at| called_at.nanos_since(request.could_start));
    Ended { due: request.due, end, result, lateness_ns, trace }
}

/// The class of a connect that was given up.
fn connect_class_of(stopped: Stopped) -> FailureClass {
    match stopped {
        Stopped::TimedOut => FailureClass::ConnectTimeout,
        Stopped::Interrupted => FailureClass::Interrupted,
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
