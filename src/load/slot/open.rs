//! An established connection and what becomes of the requests on it.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use super::{Request, SlotPolicy};
use crate::load::classify::{Failure, Progress, disposition, exchange_class};
use crate::load::connection::{Opened, Passed, Scratch, Wire};
use crate::load::ended::{Accepted, Ended, Trace};
use crate::load::instances::Instances;
use crate::load::protocol::{Answer, Exchanged, Judgement, Protocol, ProtocolEvent, Room};
use crate::load::target::ReadyTarget;
use crate::model::{Disposition, FailureClass, FailureKey, MonoTime};
use crate::record::segment::GoAways;

/// An established connection.
pub(super) struct Open {
    wire: Wire,
    protocol: Protocol,
    local: Option<SocketAddr>,
    since: MonoTime,
    /// Exchanges that were started on it.
    exchanges: u64,
    /// Of these, those that have not ended.
    pub(super) in_flight: usize,
    /// Until the first of them may be sent.
    delay: Option<Pin<Box<Sleep>>>,
}

impl Open {
    pub(super) fn new(opened: Opened, policy: &SlotPolicy, scratch: Scratch, instances: Instances) -> Self {
        let Opened { stream, local, since } = opened;
        let SlotPolicy { target, connect_delay, .. } = policy;
        Self {
            wire: Wire::new(stream, scratch),
            protocol: Protocol::new(&target.requests, &target.expect, instances),
            local,
            since,
            exchanges: 0,
            in_flight: 0,
            delay: (!connect_delay.is_zero()).then(|| Box::pin(sleep(*connect_delay))),
        }
    }

    pub(super) fn room(&self) -> Room {
        self.protocol.room()
    }

    /// What there is to add to how the server announced its end.
    pub(super) fn take_goaways(&mut self) -> Option<GoAways> {
        self.protocol.take_goaways()
    }

    /// Starts an exchange of that request: its number.
    pub(super) fn start(&mut self, which: u16, target: &ReadyTarget) -> u64 {
        self.exchanges += 1;
        self.in_flight += 1;
        self.protocol.start(self.exchanges, which, &target.expect, &mut self.wire);
        self.exchanges
    }

    /// Closes it; a socket for datagrams once a late answer cannot be taken for another one's.
    pub(super) fn set_aside(self) {
        if self.wire.is_datagram() {
            self.wire.set_aside();
        }
    }

    pub(super) fn abandon(&mut self, nth: u64, why: Failure) -> Exchanged {
        self.protocol.abandon(nth, why, &self.wire)
    }

    pub(super) fn poll(&mut self, target: &ReadyTarget, cx: &mut Context<'_>) -> Poll<ProtocolEvent> {
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(cx));
            self.delay = None;
        }
        self.protocol.poll(&target.requests, &target.expect, &mut self.wire, cx)
    }

    pub(super) fn ended(&self, request: Request, exchanged: &Exchanged, target: &ReadyTarget, end: MonoTime) -> Ended {
        let Passed { bytes_out, bytes_in, first_write, sent, .. } = exchanged.passed;
        let trace = Trace {
            // A request of no bytes is sent by its connection.
            sent: sent.or(target.is_silent().then_some(self.since)),
            local: self.local,
            connected: Some(self.since),
            nth: request.nth,
            bytes_out,
            bytes_in,
            unframed: exchanged.result.is_ok_and(|answer| answer.unframed),
            instead: exchanged.instead,
            named: exchanged.result.ok().and_then(|answer| answer.named),
        };
        let is_late = end > request.due + target.timeout;
        let result = match exchanged.result {
            Ok(answer) => judged(answer, is_late, trace, target),
            Err(failure) => {
                let template = target.requests.get(usize::from(request.which));
                let is_written = template.is_some_and(|request| request.is_written(&exchanged.passed));
                Err(self.failed(failure, exchanged, trace, is_written))
            }
        };
        request.ended(result, request.connect_call.or(first_write), trace, end)
    }

    fn failed(&self, failure: Failure, exchanged: &Exchanged, trace: Trace, is_written: bool) -> FailureKey {
        let progress =
            Progress { is_written, bytes_out: trace.bytes_out, bytes_in: trace.bytes_in, unix: self.wire.is_unix() };
        let key = FailureKey {
            reused: trace.reused(),
            status: exchanged.status,
            ..FailureKey::new(exchange_class(failure, progress), disposition(progress))
        };
        match failure {
            Failure::Lost(trouble) => FailureKey { errno: trouble.errno(), tls: trouble.tls(), ..key },
            Failure::StreamReset(code) => FailureKey { code: Some(code), ..key },
            Failure::NotHttp
            | Failure::NotGrpc
            | Failure::NoGrpcStatus
            | Failure::StreamRefused
            | Failure::TimedOut
            | Failure::Interrupted => key,
        }
    }
}

fn judged(answer: Answer, is_late: bool, trace: Trace, target: &ReadyTarget) -> Result<Accepted, FailureKey> {
    let Answer { status, grpc, judgement, unframed, .. } = answer;
    let class = match judgement {
        _ if is_late => FailureClass::ResponseTimeout,
        Judgement::Expected => {
            return Ok(Accepted { status, grpc, unconfirmed: unframed && target.expect.body.is_none() });
        }
        Judgement::OtherStatus => FailureClass::UnexpectedStatus,
        Judgement::OtherGrpcStatus => FailureClass::UnexpectedGrpcStatus,
        Judgement::OtherBody => FailureClass::UnexpectedBody,
    };
    Err(FailureKey { reused: trace.reused(), status, grpc, ..FailureKey::new(class, Disposition::Answered) })
}
