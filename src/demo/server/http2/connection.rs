//! A connection of HTTP/2, from its preface to its end.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use loona_hpack::Decoder;

use super::PREFACE;
use super::exchange::{Exchange, Reply};
use super::frame::{self, Frame, STREAM_MAX, against_protocol, code, flag, kind, setting};
use super::headers;
use crate::demo::server::answer::Answer;
use crate::demo::server::counts::COUNTS_PATH;
use crate::demo::server::fault::{Effect, FaultKind, Scope, Transport};
use crate::demo::server::pause::pause;
use crate::demo::server::request::HEAD_LIMIT_BYTES;
use crate::demo::server::script::Ending;
use crate::demo::server::selection::choose;
use crate::demo::server::service::Service;
use crate::demo::server::stream::Stream;
use crate::scenario::plan::Protocol;

/// Room for what is sent and received before anybody allows more (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = 65_535;

/// An answer that is due: the number of its stream.
pub(super) type Due = Pin<Box<dyn Future<Output = u32> + Send>>;

/// A connection in service.
pub(in crate::demo::server) struct Http2 {
    pub(super) stream: Stream,
    pub(super) service: Arc<Service>,
    /// The name of the socket it came in on.
    socket: String,
    /// What was read and not yet used.
    buffer: BytesMut,
    /// What is to be written.
    pub(super) out: BytesMut,
    /// Our side of the stream has ended: nothing more is written.
    pub(super) has_ended: bool,
    decoder: Decoder<'static>,
    /// A header block that is not whole: its stream, whether its request has no body, and what came of it.
    partial: Option<(u32, bool, BytesMut)>,
    /// Those that are not answered whole.
    pub(super) exchanges: BTreeMap<u32, Exchange>,
    /// Those whose last frame waits to be written.
    answered: Vec<Exchange>,
    pub(super) due: FuturesUnordered<Due>,
    /// The highest stream id that was read.
    pub(super) highest: u32,
    /// No more requests are expected; what is open is answered.
    pub(super) is_last: bool,
    /// Requests above this stream are refused, which is this fault.
    pub(super) refused_above: Option<(u32, FaultKind)>,
    /// An end of the whole connection is under way: no request meets a fault of its own.
    pub(super) is_spoiled: bool,
    settings_unacknowledged: u32,
    pings_unacknowledged: u32,
    /// Room for DATA of the connection, and that with which a stream begins.
    pub(super) window: i64,
    stream_window: i64,
}

/// What there is to do.
enum Step {
    Read(io::Result<Option<Frame>>),
    Due(u32),
    Stop,
}

impl Http2 {
    /// On a connection of which `buffer` was read, which begins with the preface.
    pub(in crate::demo::server) fn new(
        stream: Stream,
        buffer: BytesMut,
        socket: String,
        service: Arc<Service>,
    ) -> Self {
        Self {
            stream,
            service,
            socket,
            buffer,
            out: BytesMut::new(),
            has_ended: false,
            decoder: headers::decoder(),
            partial: None,
            exchanges: BTreeMap::new(),
            answered: Vec::new(),
            due: FuturesUnordered::new(),
            highest: 0,
            is_last: false,
            refused_above: None,
            is_spoiled: false,
            settings_unacknowledged: 0,
            pings_unacknowledged: 0,
            window: WINDOW_BYTES.into(),
            stream_window: WINDOW_BYTES.into(),
        }
    }

    /// Serves it to its end; gives back the stream for what comes then. With `takes_no_streams`, it is told that it may
    /// open none.
    pub(in crate::demo::server) async fn serve(mut self, takes_no_streams: bool) -> (Stream, io::Result<Ending>) {
        let mut ending = self.serve_streams(takes_no_streams).await;
        if let Err(error) = &ending
            && error.kind() == io::ErrorKind::InvalidData
        {
            frame::put_goaway(&mut self.out, self.highest, code::PROTOCOL_ERROR);
            ending = self.end().await.map(|()| Ending::Wait);
        }
        (self.stream, ending)
    }

    async fn serve_streams(&mut self, takes_no_streams: bool) -> io::Result<Ending> {
        self.greet(takes_no_streams).await?;
        let mut receiver = self.service.stopping.subscribe();
        let stopping = async move {
            // The sender lives in the service, which lives as long as we do.
            let _ = receiver.wait_for(|stopping| *stopping).await;
        };
        tokio::pin!(stopping);
        loop {
            self.flush().await?;
            if self.is_last && self.exchanges.is_empty() && !self.has_ended {
                self.end().await?;
            }
            let (due, stream, buffer) = (&mut self.due, &mut self.stream, &mut self.buffer);
            let step = tokio::select! {
                biased;
                frame = read_frame(stream, buffer) => Step::Read(frame),
                Some(id) = due.next(), if !due.is_empty() => Step::Due(id),
                () = &mut stopping, if !self.is_last => Step::Stop,
            };
            match step {
                Step::Read(frame) => match frame? {
                    None => return Ok(Ending::Close),
                    Some(frame) => self.take(&frame)?,
                },
                Step::Due(id) => {
                    if let Some(ending) = self.fall_due(id).await? {
                        return Ok(ending);
                    }
                }
                Step::Stop => self.say_goodbye_twice().await?,
            }
        }
    }

    async fn greet(&mut self, takes_no_streams: bool) -> io::Result<()> {
        while self.buffer.len() < PREFACE.len() {
            if self.stream.read(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !self.buffer.starts_with(PREFACE) {
            return Err(against_protocol("the preface is not that of HTTP/2"));
        }
        self.buffer.advance(PREFACE.len());
        if takes_no_streams {
            self.allow_no_streams();
        } else {
            self.settings_unacknowledged += 1;
            frame::put(&mut self.out, kind::SETTINGS, 0, 0, &[]);
        }
        Ok(())
    }

    /// Tells the client that it may open no more streams.
    pub(super) fn allow_no_streams(&mut self) {
        self.settings_unacknowledged += 1;
        frame::put_setting(&mut self.out, setting::MAX_CONCURRENT_STREAMS, 0);
    }

    /// Reads until the client has read all that was sent up to now, and has said so. What it sent before is taken.
    ///
    /// # Errors
    /// When the connection ends before.
    pub(super) async fn until_read(&mut self) -> io::Result<()> {
        self.pings_unacknowledged += 1;
        frame::put(&mut self.out, kind::PING, 0, 0, b"up to me");
        while self.pings_unacknowledged > 0 || self.settings_unacknowledged > 0 {
            self.flush().await?;
            let frame = read_frame(&mut self.stream, &mut self.buffer).await?;
            self.take(&frame.ok_or(io::ErrorKind::UnexpectedEof)?)?;
        }
        Ok(())
    }

    /// Writes what there is to write; counts and logs the answers that it ends.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.has_ended && !self.out.is_empty() {
            self.stream.write(&self.out).await?;
        }
        self.out.clear();
        for exchange in self.answered.drain(..).filter(|exchange| !exchange.is_inspection) {
            self.service.count_answer();
            if let (Some(log), Some(reply)) = (&self.service.access_log, &exchange.reply) {
                log.write(&exchange.head.method, &exchange.head.target, reply.status)?;
            }
        }
        Ok(())
    }

    /// Ends our side of the stream, once all is written.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.has_ended = true;
        self.stream.end().await
    }

    /// Takes a frame.
    fn take(&mut self, frame: &Frame) -> io::Result<()> {
        if self.partial.is_some() && frame.kind != kind::CONTINUATION {
            return Err(against_protocol("a header block is not whole"));
        }
        match frame.kind {
            kind::HEADERS => {
                let content = frame.content()?;
                self.take_block(frame.stream, frame.has(flag::END_STREAM), frame, BytesMut::from(&*content))
            }
            kind::CONTINUATION => {
                let begun = self.partial.take().filter(|(stream, ..)| *stream == frame.stream);
                let (stream, is_whole, mut block) = begun.ok_or_else(|| against_protocol("nothing is continued"))?;
                block.extend_from_slice(&frame.payload);
                self.take_block(stream, is_whole, frame, block)
            }
            kind::DATA => {
                self.take_data(frame);
                Ok(())
            }
            kind::RST_STREAM => {
                self.exchanges.remove(&frame.stream);
                Ok(())
            }
            kind::SETTINGS if frame.has(flag::ACK) => {
                self.settings_unacknowledged = self.settings_unacknowledged.saturating_sub(1);
                Ok(())
            }
            kind::SETTINGS => {
                self.apply(frame);
                Ok(())
            }
            kind::PING if frame.has(flag::ACK) => {
                self.pings_unacknowledged = self.pings_unacknowledged.saturating_sub(1);
                Ok(())
            }
            kind::PING => {
                frame::put(&mut self.out, kind::PING, flag::ACK, 0, &frame.payload);
                Ok(())
            }
            kind::WINDOW_UPDATE => {
                self.widen(frame);
                Ok(())
            }
            // The client's own GOAWAY, priorities, and what is not known, which is to be left alone (section 4.1).
            _ => Ok(()),
        }
    }

    /// Takes a header block, whose last frame so far is `frame`.
    fn take_block(&mut self, stream: u32, is_whole: bool, frame: &Frame, block: BytesMut) -> io::Result<()> {
        if !frame.has(flag::END_HEADERS) {
            if block.len() > HEAD_LIMIT_BYTES {
                return Err(against_protocol("a header block is too long"));
            }
            self.partial = Some((stream, is_whole, block));
            return Ok(());
        }
        if stream <= self.highest {
            // Trailers: the end of a request with a body.
            self.decoder.decode(&block).map_err(|_| against_protocol("trailers cannot be decoded"))?;
            self.is_due_if(stream, is_whole);
            return Ok(());
        }
        self.highest = stream;
        let (head, is_grpc) = headers::request(&mut self.decoder, &block)?;
        let is_inspection = head.path() == COUNTS_PATH;
        let ordinal = if is_inspection { 0 } else { self.service.counters.request() };
        if let Some((last, kind)) = self.refused_above
            && stream > last
        {
            self.service.counters.injection(kind);
            return Ok(());
        }
        let fault = (!is_inspection && !self.is_spoiled).then(|| self.fault(ordinal, is_grpc)).flatten();
        let (window, has_stalled) = (self.stream_window, false);
        let exchange = Exchange { head, is_grpc, is_inspection, fault, has_stalled, window, reply: None };
        self.exchanges.insert(stream, exchange);
        self.is_due_if(stream, is_whole);
        Ok(())
    }

    /// What goes wrong with the request of that number, as far as it can in its protocol.
    fn fault(&self, ordinal: u64, is_grpc: bool) -> Option<FaultKind> {
        let protocol = if is_grpc { Protocol::Grpc } else { Protocol::Http2 };
        let fault = choose(&self.service.options.faults, Scope::Request, ordinal)?;
        (fault.effect_over(protocol, Transport::Tcp) != Effect::Unavailable).then_some(fault)
    }

    fn take_data(&mut self, frame: &Frame) {
        if let Ok(bytes @ 1..) = u32::try_from(frame.payload.len()) {
            frame::put_window_update(&mut self.out, 0, bytes);
            if !frame.has(flag::END_STREAM) {
                frame::put_window_update(&mut self.out, frame.stream, bytes);
            }
        }
        self.is_due_if(frame.stream, frame.has(flag::END_STREAM));
    }

    /// A request that is whole is answered when its time has come.
    fn is_due_if(&mut self, id: u32, is_whole: bool) {
        let Some(exchange) = self.exchanges.get(&id).filter(|_| is_whole) else { return };
        let time = match exchange.fault {
            _ if exchange.is_inspection => std::time::Duration::ZERO,
            Some(_) => self.service.options.service_time,
            None => self.service.options.service_time + Answer::to(&exchange.head, &self.socket).delay,
        };
        let (service, is_inspection) = (Arc::clone(&self.service), exchange.is_inspection);
        self.due.push(Box::pin(async move {
            pause(time).await;
            if !is_inspection {
                service.thaw().await;
            }
            id
        }));
    }

    /// Answers a request, or does what is to go wrong with it; an ending, if that is one of the connection.
    async fn fall_due(&mut self, id: u32) -> io::Result<Option<Ending>> {
        // The client may have given it up.
        let Some(exchange) = self.exchanges.get(&id) else { return Ok(None) };
        if let Some(kind) = exchange.fault {
            return self.perform(id, kind).await;
        }
        let (head, is_grpc) = (&exchange.head, exchange.is_grpc);
        let reply = if exchange.is_inspection {
            if id == 1 {
                self.service.counters.inspection();
            }
            let counts = serde_json::to_string(&self.service.counters.read()).map_err(io::Error::other)?;
            Reply::http(Answer::text(200, counts + "\n"), head.method != "HEAD")
        } else if is_grpc {
            Reply::grpc(head.path(), Some("0"))
        } else {
            Reply::http(Answer::to(head, &self.socket), head.method != "HEAD")
        };
        self.reply(id, reply);
        Ok(None)
    }

    /// Begins an answer.
    pub(super) fn reply(&mut self, id: u32, reply: Reply) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.reply = Some(reply);
        }
        self.go_on(id);
    }

    /// Sends what there is room for of an answer.
    fn go_on(&mut self, id: u32) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Some(reply) = &mut exchange.reply else { return };
        if reply.put(&mut self.out, id, &mut exchange.window, &mut self.window) {
            self.answered.extend(self.exchanges.remove(&id));
        }
    }

    fn go_on_with_all(&mut self) {
        let ids: Vec<u32> = self.exchanges.keys().copied().collect();
        ids.into_iter().for_each(|id| self.go_on(id));
    }

    /// Takes more room for what is sent.
    fn widen(&mut self, frame: &Frame) {
        let more = i64::from(frame.number().unwrap_or_default());
        if frame.stream == 0 {
            self.window += more;
            self.go_on_with_all();
        } else if let Some(exchange) = self.exchanges.get_mut(&frame.stream) {
            exchange.window += more;
            self.go_on(frame.stream);
        }
    }

    /// Obeys the client's settings, and says so.
    fn apply(&mut self, settings: &Frame) {
        for (_, bytes) in settings.settings().filter(|(setting, _)| *setting == setting::INITIAL_WINDOW_SIZE) {
            let more = i64::from(bytes) - self.stream_window;
            self.stream_window += more;
            self.exchanges.values_mut().for_each(|exchange| exchange.window += more);
        }
        frame::put(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
        self.go_on_with_all();
    }

    /// Announces the end twice, a round trip apart, and answers all that came until then.
    pub(super) async fn say_goodbye_twice(&mut self) -> io::Result<()> {
        self.is_spoiled = true;
        frame::put_goaway(&mut self.out, STREAM_MAX, code::NO_ERROR);
        self.until_read().await?;
        frame::put_goaway(&mut self.out, self.highest, code::NO_ERROR);
        self.is_last = true;
        Ok(())
    }
}

/// The next frame; none at the end of the stream. Nothing is lost when it is given up.
async fn read_frame(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<Option<Frame>> {
    loop {
        if let Some(frame) = Frame::take(buffer)? {
            return Ok(Some(frame));
        }
        if stream.read(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
