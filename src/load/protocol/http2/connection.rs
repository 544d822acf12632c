//! HTTP/2 on one connection: many exchanges at once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::client::{Builder, Connection, SendRequest};
use tokio::time::{Sleep, sleep};

use super::pipe::{Pipe, Woken};
use super::stream::Stream;
use super::tap::Tap;
use crate::clock;
use crate::load::classify::Failure;
use crate::load::connection::{Idle, Passed, Wire};
use crate::load::instances::Instances;
use crate::load::protocol::answer::{Exchanged, NoAnswer, Over};
use crate::load::protocol::exchange::{ProtocolEvent, Room};
use crate::load::protocol::naming::Naming;
use crate::load::protocol::request::{Expectation, RequestTemplate};
use crate::record::segment::GoAways;

/// Room that the server has for the answer of a stream. What comes is taken at once, so it costs no memory.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// And for those of all streams together.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A longer list of headers is refused.
const HEADER_LIST_BYTES_MAX: u32 = 256 * 1024;
/// The number of abandoned streams that are remembered, so that what still arrives for them is not taken for a fault.
const GIVEN_UP_MAX: usize = 1024;

/// The longest that a server may take after a GOAWAY to say more or to close: a connection without streams is of no use then.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What one connection needs to make its exchanges.
pub(in crate::load) struct Http2 {
    naming: Naming,
    pipe: Pipe,
    tap: Tap,
    /// None once h2 is done with the connection.
    h2: Option<(SendRequest<Bytes>, Connection<Pipe, Bytes>)>,
    woken: (Arc<Woken>, Waker),
    /// Exchanges that were started and are not given to h2 yet, each with the request that it makes.
    unsent: VecDeque<(u64, u16)>,
    events: VecDeque<ProtocolEvent>,
    /// A request was given to h2.
    was_used: bool,
    use_for: Use,
    wire_takes: Takes,
    /// An exchange was given up, which h2 has still to tell the server.
    has_given_up: bool,
    turn: Option<Turn>,
    last_words: Option<Pin<Box<Sleep>>>,
}

/// What the connection is of use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Exchanges,
    /// For those in flight only.
    InFlight,
    Nothing,
}

/// What the wire takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    More,
    /// Nothing for now.
    NotNow,
    Nothing,
}

/// One turn of the reactor: it delivers what the kernel has.
type Turn = Pin<Box<dyn Future<Output = ()>>>;

impl Http2 {
    /// On a connection that no request has used.
    pub(in crate::load) fn new(expect: &Expectation, instances: Instances) -> Self {
        let (pipe, woken) = (Pipe::default(), Arc::new(Woken::default()));
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_concurrent_reset_streams(GIVEN_UP_MAX)
            .handshake(pipe.clone());
        // It writes its part to memory, and waits for nothing.
        let h2 = handshake.now_or_never().and_then(Result::ok);
        Self {
            naming: Naming::new(expect.named_by.as_ref(), instances),
            pipe,
            tap: Tap::new(),
            h2,
            woken: (Arc::clone(&woken), Waker::from(woken)),
            unsent: VecDeque::new(),
            events: VecDeque::new(),
            was_used: false,
            use_for: Use::Exchanges,
            wire_takes: Takes::More,
            has_given_up: false,
            turn: None,
            last_words: None,
        }
    }

    /// Whether it can start another exchange.
    pub(in crate::load) fn room(&self) -> Room {
        match &self.h2 {
            _ if self.use_for != Use::Exchanges => Room::Never,
            None => Room::Never,
            Some((h2, _)) if self.tap.streams.len() + self.unsent.len() < h2.current_max_send_streams() => Room::Now,
            Some(_) => Room::Later,
        }
    }

    /// What there is to add to how the server announced the end of the connection; none if nothing.
    pub(in crate::load) fn take_goaways(&mut self) -> Option<GoAways> {
        self.tap.take_goaways()
    }

    /// Starts the exchange with that number on the connection.
    pub(in crate::load) fn start(&mut self, nth: u64, which: u16) {
        self.unsent.push_back((nth, which));
    }

    /// Sends and reads. Whatever came is read before a request is sent, so that none follows a GOAWAY.
    pub(in crate::load) fn poll(
        &mut self,
        requests: &[RequestTemplate],
        expect: &Expectation,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<ProtocolEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.use_for == Use::Nothing {
                return Poll::Pending;
            }
            if std::mem::take(&mut self.has_given_up) {
                self.drive(expect);
            }
            let is_first = !self.was_used && !self.unsent.is_empty() && self.turn.is_none();
            // What a server did to a connection before its first request must fail that request.
            let has_read = !is_first && self.read(expect, wire, cx);
            let has_sent = self.events.is_empty() && self.send(requests, expect, has_read, wire, cx);
            let has_written = self.write(expect, wire, cx);
            let is_unserved = self.use_for == Use::Exchanges || !self.tap.streams.is_empty();
            if self.h2.is_none() && self.use_for != Use::Nothing && is_unserved {
                // h2 gave it up: the server broke the protocol.
                self.end(Failure::NotHttp, wire, false);
            }
            if !(has_read || has_sent || has_written || !self.events.is_empty()) {
                return self.poll_last_words(cx);
            }
        }
    }

    /// Reads once, if anything came: whether it did. Not while the head of a request waits to be written, for a GOAWAY
    /// that was read then would come before it.
    fn read(&mut self, expect: &Expectation, wire: &mut Wire, cx: &mut Context<'_>) -> bool {
        let holds_head = self.tap.holds_head() && self.pipe.has_outgoing() && self.wire_takes != Takes::Nothing;
        if holds_head || !self.pipe.is_drained() {
            return false;
        }
        let (tap, pipe) = (&mut self.tap, &self.pipe);
        let Poll::Ready(read) = wire.poll_read(cx, |bytes| tap.came(bytes, pipe)) else { return false };
        let is_over = !matches!(read, Ok(Some(())));
        if is_over {
            self.pipe.end();
        }
        self.drive(expect);
        if self.tap.instead(is_over).is_some() {
            self.end(Failure::NotHttp, wire, is_over);
        } else if is_over {
            let NoAnswer::Failed(failure) = NoAnswer::lost(wire) else { return true };
            self.end(failure, wire, is_over);
        }
        true
    }

    /// Lets h2 do what it can with what came, and takes what it has for the streams.
    fn drive(&mut self, expect: &Expectation) {
        let (woken, waker) = &self.woken;
        let cx = &mut Context::from_waker(waker);
        loop {
            woken.take();
            if let Some((_, connection)) = &mut self.h2
                && Pin::new(connection).poll(cx).is_ready()
            {
                self.h2 = None;
            }
            let is_over = self.h2.is_none();
            let mut place = 0;
            while let Some(stream) = self.tap.streams.get_mut(place) {
                let polled = if stream.is_touched || is_over {
                    stream.poll(expect, &mut self.naming, cx)
                } else {
                    Poll::Pending
                };
                // Those that h2 calls lost end with the connection, which knows more.
                match polled {
                    Poll::Pending | Poll::Ready(Err(Failure::Lost(_))) => place += 1,
                    Poll::Ready(result) => {
                        let stream = self.tap.streams.remove(place);
                        self.tap.answered_after += u64::from(stream.met_goaway && result.is_ok());
                        self.events.push_back(ProtocolEvent::Ended(stream.nth, stream.ended(result)));
                    }
                }
            }
            if !woken.take() || self.h2.is_none() {
                break;
            }
        }
        self.heed_goaway();
    }

    /// After a GOAWAY: what the server will not process has failed, and what was not sent is for another connection.
    fn heed_goaway(&mut self) {
        let Some(goaway) = self.tap.goaway() else { return };
        self.retire();
        for stream in self.tap.streams.extract_if(.., |stream| stream.passed.sent.is_none()) {
            self.events.push_back(ProtocolEvent::NotSent(stream.nth, Over::Ended));
        }
        let refused = self.tap.streams.partition_point(|stream| stream.id <= goaway.last_stream);
        for stream in self.tap.streams.drain(refused..) {
            self.events.push_back(ProtocolEvent::Ended(stream.nth, stream.ended(Err(Failure::StreamRefused))));
        }
    }

    /// Serves those in flight only.
    fn retire(&mut self) {
        self.use_for = self.use_for.max(Use::InFlight);
        self.not_sent();
    }

    fn not_sent(&mut self) {
        let unsent = self.unsent.drain(..).map(|(nth, _)| ProtocolEvent::NotSent(nth, Over::Ended));
        self.events.extend(unsent);
    }

    /// Ends all exchanges with the connection.
    fn end(&mut self, failure: Failure, wire: &Wire, is_over: bool) {
        (self.use_for, self.h2) = (Use::Nothing, None);
        let (instead, status) = self.tap.instead(is_over).unzip();
        let passed_in = wire.passed().bytes_in;
        let mut ended: Vec<(u64, Exchanged)> =
            self.tap.streams.drain(..).map(|stream| (stream.nth, stream.ended(Err(failure)))).collect();
        if !self.was_used {
            // A connection that never served is not replaced, but has failed those that it was opened for.
            let passed = Passed::default();
            let unsent = |(nth, _)| (nth, Exchanged { passed, ..Exchanged::failed(failure) });
            ended.extend(self.unsent.drain(..).map(unsent));
        }
        self.not_sent();
        if let Some(instead) = instead {
            for (_, exchanged) in &mut ended {
                exchanged.instead = Some(instead);
                exchanged.status = status.flatten();
                exchanged.passed.bytes_in = passed_in;
            }
        }
        match ended.last_mut() {
            Some((_, last)) => last.keeps_connection = false,
            None => self.events.push_back(ProtocolEvent::Over(Over::Ended)),
        }
        self.events.extend(ended.into_iter().map(|(nth, exchanged)| ProtocolEvent::Ended(nth, exchanged)));
    }

    /// Gives h2 the requests that wait: whether there was any.
    fn send(
        &mut self,
        requests: &[RequestTemplate],
        expect: &Expectation,
        has_read: bool,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.unsent.is_empty() || self.use_for != Use::Exchanges || self.wire_takes != Takes::More {
            return false;
        }
        if has_read {
            self.turn = None;
        } else if self.poll_seen(wire, cx).is_pending() {
            return false;
        }
        let mut has_sent = false;
        while let Some(&(nth, which)) = self.unsent.front() {
            let Some(RequestTemplate::Http2(request)) = requests.get(usize::from(which)) else { break };
            let Some((h2, _)) = &mut self.h2 else { break };
            if self.tap.streams.len() >= h2.current_max_send_streams() || h2.poll_ready(cx).is_pending() {
                break;
            }
            let has_body = !request.body.is_empty();
            let Ok((response, mut body)) = h2.send_request(request.head(), !has_body) else {
                // No stream id is left: the connection is replaced.
                self.retire();
                return true;
            };
            self.unsent.pop_front();
            (self.was_used, has_sent) = (true, true);
            self.tap.streams.push(Stream::new(nth, response, expect));
            if has_body {
                // It fails only for a stream that has ended, which its answer will tell.
                let _ = body.send_data(request.body.clone(), true);
            }
        }
        if has_sent {
            self.drive(expect);
        }
        has_sent
    }

    /// Resolves when all that the kernel has was read: it may know of a GOAWAY or a FIN that the reactor has not
    /// delivered yet.
    fn poll_seen(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<()> {
        let turn = match &mut self.turn {
            Some(turn) => turn,
            None => match wire.look() {
                Idle::Quiet => return Poll::Ready(()),
                Idle::Ended if !self.was_used => return Poll::Ready(()),
                Idle::Ended | Idle::Bytes | Idle::Unclear => self.turn.insert(Box::pin(tokio::task::yield_now())),
            },
        };
        ready!(turn.as_mut().poll(cx));
        self.turn = None;
        Poll::Ready(())
    }

    /// Writes what the wire takes: whether that was anything.
    fn write(&mut self, expect: &Expectation, wire: &mut Wire, cx: &mut Context<'_>) -> bool {
        let mut has_written = false;
        while self.pipe.has_outgoing() && self.wire_takes != Takes::Nothing {
            let (tap, called_at) = (&mut self.tap, clock::now());
            tap.calls_write(called_at);
            let written = self.pipe.write(|bytes| {
                wire.poll_write(cx, bytes).map_ok(|taken| {
                    tap.took(&bytes[..taken], called_at);
                    taken
                })
            });
            match written {
                Poll::Pending => {
                    self.wire_takes = Takes::NotNow;
                    break;
                }
                // Reading tells what became of the connection, and what the server had said before.
                Poll::Ready(Err(_)) => self.wire_takes = Takes::Nothing,
                Poll::Ready(Ok(())) => (has_written, self.wire_takes) = (true, Takes::More),
            }
            if self.pipe.take_full() {
                self.drive(expect);
            }
        }
        if has_written && let Poll::Ready(Err(_)) = wire.poll_flush(cx) {
            self.wire_takes = Takes::Nothing;
        }
        has_written
    }

    /// A retired connection without streams is over when the server has had the time to say more.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<ProtocolEvent> {
        if self.use_for != Use::InFlight || !self.tap.streams.is_empty() {
            return Poll::Pending;
        }
        if self.tap.goaway().is_some_and(|goaway| goaway.frames == 1) {
            let last_words = self.last_words.get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
            ready!(last_words.as_mut().poll(cx));
        }
        self.use_for = Use::Nothing;
        Poll::Ready(ProtocolEvent::Over(Over::Ended))
    }

    /// Gives up an exchange. Its connection goes on, unless nothing at all has come since the request was sent.
    pub(in crate::load) fn abandon(&mut self, nth: u64, why: Failure) -> Exchanged {
        self.unsent.retain(|(unsent, _)| *unsent != nth);
        let Some(place) = self.tap.streams.iter().position(|stream| stream.nth == nth) else {
            return Exchanged { keeps_connection: true, ..Exchanged::failed(why) };
        };
        let stream = self.tap.streams.remove(place);
        self.has_given_up = true;
        if stream.sent_after == self.tap.reads {
            self.retire();
        }
        // h2 resets the stream as it is dropped.
        stream.ended(Err(why))
    }
}
