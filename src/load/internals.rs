//! Parts of the load that benches, fuzzing and the comparison with hyper need to reach by themselves. Not for
//! anything else: what is here changes with the code behind it.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::connection::{Scratch, Socket, Stream, Wire};
use super::dispatcher::{Agenda, Schedule, rate_micros};
use super::ended::{Accepted, Ended, Trace};
use super::error::LoadError;
use super::instances::Instances;
use super::protocol::http::{Asked, NotHttp, Response, Taken};
use super::protocol::{Judgement, Protocol, ProtocolEvent};
use super::tally::Tally;
use super::target::ReadyTarget;
use super::timeline::Timeline;
use crate::model::MonoTime;
use crate::scenario::plan::Cohort;

/// Reads the answers of one connection, from bytes alone.
#[derive(Debug)]
pub struct AnswerReader {
    response: Response,
    asked: Asked,
}

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The answer goes on.
    More,
    /// The answer is whole, and this number of bytes follows it.
    Whole {
        /// Bytes that nobody has asked for.
        surplus: usize,
    },
    /// This is not HTTP.
    NotHttp,
}

impl AnswerReader {
    /// Of answers to requests with this method.
    #[must_use]
    pub fn new(method: &str) -> Self {
        let asked = match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        };
        Self { response: Response::new(), asked }
    }

    /// Expects the next answer.
    pub fn begin(&mut self) {
        self.response.begin();
    }

    /// Takes the next bytes of the answer, and gives those of its body to `body`.
    pub fn feed(&mut self, bytes: &[u8], body: impl FnMut(&[u8])) -> Progress {
        match self.response.feed(bytes, self.asked, None, body) {
            Ok(Taken::More) => Progress::More,
            Ok(Taken::Whole { surplus }) => Progress::Whole { surplus },
            Err(NotHttp) => Progress::NotHttp,
        }
    }

    /// The server closed the connection: whether that makes the answer whole.
    pub fn close(&mut self) -> bool {
        self.response.close()
    }

    /// The status, as soon as the status line is whole.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response.status()
    }

    /// Of a whole answer: the server will take another request on this connection.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.response.keeps_alive()
    }
}

/// Both ends of a connection on one thread: ours makes exchanges, the other answers each request the same.
pub struct Pair {
    runtime: Runtime,
    target: ReadyTarget,
    wire: Wire,
    protocol: Protocol,
    made: u64,
}

impl Pair {
    /// With the request of `cohort`, and an answer of these bytes.
    ///
    /// # Errors
    /// When the plan cannot be carried out, or the system gives no sockets.
    pub fn new(cohort: &Cohort, answer: &'static [u8]) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Io { doing: "make a connected pair", source };
        let target = ReadyTarget::new(cohort, false)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (ours, mut theirs) = runtime.block_on(async { UnixStream::pair() }).map_err(failed)?;
        let mut request = vec![0; target.requests.first().map_or(0, |request| request.bytes().len())];
        runtime.spawn(async move {
            while theirs.read_exact(&mut request).await.is_ok() && theirs.write_all(answer).await.is_ok() {}
        });
        let wire = Wire::new(Stream::Plain(Socket::Unix(ours)), Scratch::new());
        let protocol = Protocol::new(&target.requests, &target.expect, Instances::default());
        Ok(Self { runtime, target, wire, protocol, made: 0 })
    }

    /// Sends the request and reads its answer: whether that is the expected one.
    pub fn exchange(&mut self) -> bool {
        self.made += 1;
        let Self { runtime, target: ReadyTarget { requests, expect, .. }, wire, protocol, made } = self;
        protocol.start(*made, 0, expect, wire);
        let event = runtime.block_on(poll_fn(|cx| protocol.poll(requests, expect, wire, cx)));
        let ProtocolEvent::Ended(_, exchanged) = event else { return false };
        exchanged.result.is_ok_and(|answer| answer.judgement == Judgement::Expected)
    }
}

/// The counters of one cohort.
#[derive(Debug)]
pub struct Recording {
    tally: Tally,
    timeline: Timeline,
}

impl Recording {
    /// Counts from `origin` on.
    #[must_use]
    pub fn new(origin: MonoTime) -> Self {
        let mut timeline = Timeline::default();
        timeline.begin_counting(origin);
        Self { tally: Tally::new(0, origin, Arc::default()), timeline }
    }

    /// Counts a request that was answered as expected.
    pub fn ok(&mut self, due: MonoTime, sent: MonoTime, end: MonoTime) {
        self.tally.fell_due(&self.timeline, due);
        let trace = Trace { sent: Some(sent), connected: Some(due), nth: 2, ..Trace::default() };
        let result = Ok(Accepted { status: Some(200), grpc: None, unconfirmed: false });
        let lateness_ns = Some(sent.nanos_since(due));
        self.tally.ended(&self.timeline, &Ended { due, which: 0, end, result, lateness_ns, trace });
    }

    /// Hands over what was counted until `at`: how many rows and segments.
    pub fn hand_over(&mut self, at: MonoTime) -> usize {
        let rows = std::iter::from_fn(|| self.tally.take_rows()).map(|rows| rows.rows.len()).sum::<usize>();
        rows + std::iter::from_fn(|| self.tally.take_segment(at)).count()
    }
}

/// An open loop without connections.
#[derive(Debug)]
pub struct OpenLoop(Agenda);

impl OpenLoop {
    /// N requests per second from `start`; none if N is not a rate.
    #[must_use]
    pub fn new(start: MonoTime, rate: f64) -> Option<Self> {
        Some(Self(Agenda::open(Schedule::by_rate(start, rate_micros(rate)?))))
    }

    /// Lets all fall due that is due before `before`, and takes it: how many that are.
    pub fn release(&mut self, before: MonoTime) -> usize {
        while self.0.fall_due(before).is_some() {}
        std::iter::from_fn(|| self.0.take_waiting()).count()
    }
}
