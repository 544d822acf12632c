//! A connection slot: a task that lives as long as the load and makes one request after the other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::classify::{Failure, Progress, connect_class, disposition, exchange_class};
use super::cohort::Cohort;
use super::connect::{Attempt, connect, established};
use super::ended::{Accepted, Ended, Trace};
use super::exchange::{Answer, Exchange, Judgement, NoAnswer, Over};
use super::guard::{Guard, Stopped};
use super::stream::Stream;
use super::wire::Wire;
use crate::clock;
use crate::model::{Disposition, FailureClass, FailureKey, MonoTime};

/// How a slot is given work.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    due: Cell<Option<MonoTime>>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Gives the slot, which is idle, a request to make.
    pub(super) fn post(&self, due: MonoTime) {
        self.due.set(Some(due));
        self.wake();
    }

    /// Lets the slot look whether it was interrupted.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// An established connection.
struct Connected {
    wire: Wire,
    exchange: Exchange,
    local: Option<SocketAddr>,
    since: MonoTime,
    requests: u64,
}

impl Connected {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        self.exchange.poll_over(&mut self.wire, cx)
    }
}

/// The task behind one mailbox.
pub(super) struct Slot {
    cohort: Rc<Cohort>,
    mailbox: Rc<Mailbox>,
    connection: Option<Connected>,
    guard: Guard,
    free_since: MonoTime,
}

/// A request under way.
#[derive(Clone, Copy)]
struct Request {
    due: MonoTime,
    /// The first connect call that was made for it.
    connect_call: Option<MonoTime>,
}

/// The failure of a connect, and our address.
type ConnectFailure = (FailureClass, Option<i32>, Option<SocketAddr>);

impl Drop for Slot {
    fn drop(&mut self) {
        // The runtime catches a panic of a task; the engine has to know that a request is lost to the count.
        if std::thread::panicking() {
            self.cohort.control.slot_panicked();
        }
    }
}

impl Slot {
    /// Idle, without a connection.
    pub(super) fn new(cohort: Rc<Cohort>, mailbox: Rc<Mailbox>) -> Self {
        let guard = Guard::new(Rc::clone(&cohort.control));
        Self { cohort, mailbox, connection: None, guard, free_since: MonoTime::default() }
    }

    /// Makes the requests that it is given, for ever.
    pub(super) async fn run(mut self) {
        loop {
            let mut next = Some(self.idle().await);
            while let Some(due) = next {
                let ended = self.perform(due).await;
                self.free_since = ended.end;
                next = self.cohort.finished(&ended, &self.mailbox);
                if ended.result.is_err() {
                    // What fails at once, again and again, must not keep the thread from everything else.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Waits for a request, and meanwhile for the end of the connection.
    async fn idle(&mut self) -> MonoTime {
        poll_fn(|cx| {
            if self.mailbox.waker.borrow().is_none() {
                *self.mailbox.waker.borrow_mut() = Some(cx.waker().clone());
            }
            if let Some(due) = self.mailbox.due.take() {
                // Whether the connection is still there is looked at before it is written to.
                return Poll::Ready(due);
            }
            if let Some(Poll::Ready(over)) = self.connection.as_mut().map(|connected| connected.poll_over(cx)) {
                self.idle_over(over);
            }
            Poll::Pending
        })
        .await
    }

    /// The idle connection is of no further use.
    fn idle_over(&mut self, over: Over) {
        self.connection = None;
        self.cohort.count(|tally, timeline| match over {
            Over::Ended => tally.connection_closed_idle(timeline, clock::now()),
            Over::Unasked => tally.bytes_unasked(timeline, clock::now()),
        });
    }

    /// Makes one request. Only a connection that ended before a byte was written is replaced.
    async fn perform(&mut self, due: MonoTime) -> Ended {
        let mut request = Request { due, connect_call: None };
        loop {
            let mut connected = match self.connection.take() {
                Some(connected) => connected,
                None => match self.open(&mut request).await {
                    Ok(connected) => connected,
                    Err(failure) => return self.not_connected(request, failure),
                },
            };
            let result = match self.exchange(request, &mut connected).await {
                Ok(result) => result,
                Err(over) => {
                    self.idle_over(over);
                    continue;
                }
            };
            let end = clock::now();
            let ended = self.ended(request, &connected, result, end);
            if result.is_ok_and(|answer| answer.has_surplus) {
                self.idle_over(Over::Unasked);
            } else if self.cohort.policy.reuse && result.is_ok_and(|answer| answer.reusable) {
                self.connection = Some(connected);
            }
            return ended;
        }
    }

    /// Runs the exchange, as far as time allows.
    ///
    /// # Errors
    /// Why not a byte was sent: the connection was of no further use.
    async fn exchange(&mut self, request: Request, connected: &mut Connected) -> Result<Result<Answer, Failure>, Over> {
        let target = &self.cohort.policy.target;
        connected.requests += 1;
        let nth = connected.requests;
        connected.wire.begin();
        let deadline = request.due + target.timeout;
        if nth == 1 && !self.cohort.policy.connect_delay.is_zero() {
            let delay = tokio::time::sleep(self.cohort.policy.connect_delay);
            if let Err(stopped) = self.guard.limit(deadline, delay).await {
                return Ok(Err(stopped.into()));
            }
        }
        let exchange = connected.exchange.run(target, &mut connected.wire, nth);
        match self.guard.limit(deadline, exchange).await {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(NoAnswer::Failed(failure))) => Ok(Err(failure)),
            Ok(Err(NoAnswer::NotSent(over))) => Err(over),
            Err(stopped) => Ok(Err(stopped.into())),
        }
    }

    async fn open(&mut self, request: &mut Request) -> Result<Connected, ConnectFailure> {
        let target = &self.cohort.policy.target;
        let deadline = request.due + target.connect_timeout;
        let called_at = clock::now();
        request.connect_call.get_or_insert(called_at);
        self.cohort.count(|tally, timeline| tally.connect_attempted(timeline, called_at));
        let Attempt { local, socket } = connect(&target.endpoint);
        let unix = local.is_none() && matches!(target.endpoint, crate::model::Endpoint::Unix(_));
        let failed =
            |errno: rustix::io::Errno| (connect_class(errno.raw_os_error(), unix), Some(errno.raw_os_error()), local);
        let stopped = |stopped| (connect_stopped(stopped), None, local);
        let socket = socket.map_err(failed)?;
        self.guard.limit(deadline, established(&socket)).await.map_err(stopped)?.map_err(failed)?;
        let since = clock::now();
        let stream = match &target.tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let handshake = tls.connector.connect(tls.server_name.clone(), socket);
                let tls_failed = |error: std::io::Error| (FailureClass::Tls, error.raw_os_error(), local);
                let stream = self.guard.limit(deadline, handshake).await.map_err(stopped)?.map_err(tls_failed)?;
                Stream::Tls(Box::new(stream))
            }
        };
        self.cohort.count(|tally, timeline| tally.connection_opened(timeline, since));
        let wire = Wire::new(stream, self.cohort.control.scratch.clone());
        let exchange = Exchange::new(target);
        Ok(Connected { wire, exchange, local, since, requests: 0 })
    }

    fn not_connected(&self, request: Request, (class, errno, local): ConnectFailure) -> Ended {
        let key = FailureKey { class, disposition: Disposition::Unsent, reused: false, status: None, errno };
        let trace = Trace { local, ..Trace::default() };
        self.end(request, Err(key), request.connect_call, trace, clock::now())
    }

    fn ended(&self, request: Request, on: &Connected, result: Result<Answer, Failure>, end: MonoTime) -> Ended {
        let wire = &on.wire;
        let nothing_to_send = self.cohort.policy.target.request_bytes() == 0;
        let trace = Trace {
            // A request of no bytes is sent by its connection.
            sent: wire.sent().or(nothing_to_send.then_some(on.since)),
            local: on.local,
            connected: Some(on.since),
            nth: on.requests,
            bytes_out: wire.bytes_out(),
            bytes_in: wire.bytes_in(),
            unframed: result.is_ok_and(|answer| answer.unframed),
        };
        let first_call = request.connect_call.or_else(|| wire.first_write());
        self.end(request, self.judge(request, on, result, trace, end), first_call, trace, end)
    }

    fn judge(
        &self,
        request: Request,
        on: &Connected,
        result: Result<Answer, Failure>,
        trace: Trace,
        end: MonoTime,
    ) -> Result<Accepted, FailureKey> {
        let answered = |class, status| FailureKey {
            class,
            disposition: Disposition::Answered,
            reused: trace.reused(),
            status,
            errno: None,
        };
        let target = &self.cohort.policy.target;
        match result {
            Ok(Answer { status, .. }) if end > request.due + target.timeout => {
                Err(answered(FailureClass::ResponseTimeout, status))
            }
            Ok(Answer { status, judgement, .. }) => match judgement {
                Judgement::Expected => {
                    let unconfirmed = trace.unframed && target.expect.body.is_none();
                    Ok(Accepted { status, unconfirmed })
                }
                Judgement::OtherStatus => Err(answered(FailureClass::UnexpectedStatus, status)),
                Judgement::OtherBody => Err(answered(FailureClass::UnexpectedBody, status)),
            },
            Err(failure) => {
                let progress = Progress {
                    request_bytes: target.request_bytes(),
                    bytes_out: trace.bytes_out,
                    bytes_in: trace.bytes_in,
                    unix: on.wire.is_unix(),
                };
                let errno = match failure {
                    Failure::Lost(trouble) => trouble.errno(),
                    Failure::NotHttp | Failure::TimedOut | Failure::Interrupted => None,
                };
                Err(FailureKey {
                    class: exchange_class(failure, progress),
                    disposition: disposition(progress),
                    reused: trace.reused(),
                    status: on.exchange.status(),
                    errno,
                })
            }
        }
    }

    fn end(
        &self,
        request: Request,
        result: Result<Accepted, FailureKey>,
        first_call: Option<MonoTime>,
        trace: Trace,
        end: MonoTime,
    ) -> Ended {
        let could_start = request.due.max(self.free_since);
        let lateness_ns = first_call.map(|called_at| called_at.nanos_since(could_start));
        Ended { due: request.due, end, result, lateness_ns, trace }
    }
}

/// The class of a connect that was given up.
fn connect_stopped(stopped: Stopped) -> FailureClass {
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
