//! One connection, from its first byte to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::time::sleep;

use super::answer::{Answer, Body};
use super::counts::COUNTS_PATH;
use super::fault::{FaultKind, Scope};
use super::http2::{Http2, PREFACE_BEGIN};
use super::pause::pause;
use super::request::{Head, Refusal};
use super::script::{self, Bytes, Ending};
use super::selection::choose;
use super::service::Service;
use super::stream::Stream;
use super::tls;

/// What is written at once of a long body.
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// No TLS record begins like this.
const TLS_GARBAGE: &[u8] = b"this is neither TLS nor anything else\r\n";
/// The fatal alert handshake_failure in a TLS 1.2 record (RFC 8446 section 6.2).
const TLS_ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// What a client sends.
#[derive(Debug)]
enum Next {
    Request(Result<Head, Refusal>),
    /// The preface of HTTP/2.
    Http2,
}

/// A connection in service.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    service: Arc<Service>,
    /// The name of the socket it came in on.
    socket: String,
    /// What was read and not yet used.
    buffer: BytesMut,
    /// Requests read from it.
    requests: u64,
}

impl Connection {
    pub(super) fn new(stream: Stream, socket: String, service: Arc<Service>) -> Self {
        Self { stream, service, socket, buffer: BytesMut::with_capacity(4096), requests: 0 }
    }

    /// Serves the connection to its end. A client that goes away is no error of ours: there is nobody to tell.
    pub(super) async fn serve(mut self) {
        let ordinal = self.service.counters.connection();
        let fault = choose(&self.service.options.faults, Scope::Connection, ordinal);
        let ending = match fault {
            Some(kind) if kind != FaultKind::NoStreams => self.spoil(kind).await,
            _ => {
                if self.begins_with_tls().await {
                    // A handshake that fails is the end.
                    let Ok(stream) = self.stream.secure().await else { return };
                    self.stream = stream;
                }
                self.serve_requests().await
            }
        };
        if matches!(ending, Ok(Ending::Upgrade)) {
            let takes_no_streams = fault == Some(FaultKind::NoStreams);
            if takes_no_streams {
                self.service.counters.injection(FaultKind::NoStreams);
            }
            let http2 = Http2::new(self.stream, self.buffer, self.socket, self.service);
            let (stream, ending) = http2.serve(takes_no_streams).await;
            return end(stream, ending).await;
        }
        end(self.stream, ending).await;
    }

    /// Whether the client begins with a handshake of TLS, before the server stops.
    async fn begins_with_tls(&self) -> bool {
        let mut stopping = self.service.stopping.subscribe();
        let stopped = async {
            // The sender lives in the service, which lives as long as we do.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        tokio::select! {
            biased;
            first = self.stream.first_byte() => matches!(first, Ok(Some(tls::HANDSHAKE))),
            () = stopped => false,
        }
    }

    /// A fault of the connection as such, at its first byte.
    async fn spoil(&mut self, kind: FaultKind) -> io::Result<Ending> {
        if !self.stream.await_first_byte().await? {
            return Ok(Ending::Close);
        }
        self.service.counters.injection(kind);
        match kind {
            FaultKind::TlsGarbage => self.answer_first_bytes(TLS_GARBAGE).await,
            FaultKind::TlsAlert => self.answer_first_bytes(TLS_ALERT).await,
            FaultKind::AcceptCloseUnread => {
                self.stream.end().await?;
                Ok(Ending::Wait)
            }
            // The kernel makes a reset of the close, because there are bytes unread.
            _ => Ok(Ending::Close),
        }
    }

    async fn answer_first_bytes(&mut self, answer: &[u8]) -> io::Result<Ending> {
        self.stream.read(&mut self.buffer).await?;
        self.stream.write(answer).await?;
        self.stream.end().await?;
        Ok(Ending::Wait)
    }

    async fn serve_requests(&mut self) -> io::Result<Ending> {
        while let Some(next) = self.next().await? {
            let ending = match next {
                Next::Request(Ok(head)) => self.serve_request(&head).await?,
                Next::Request(Err(status)) => self.refuse(status).await?,
                Next::Http2 => Ending::Upgrade,
            };
            if ending != Ending::Answered {
                return Ok(ending);
            }
        }
        Ok(Ending::Close)
    }

    /// What comes next; none when there will be no more.
    async fn next(&mut self) -> io::Result<Option<Next>> {
        if self.buffer.is_empty() && !self.await_request().await? {
            return Ok(None);
        }
        let mut searched = 0;
        loop {
            if self.requests == 0 && self.buffer.starts_with(PREFACE_BEGIN) {
                return Ok(Some(Next::Http2));
            }
            if let Some(head) = Head::take(&mut self.buffer, searched) {
                return Ok(Some(Next::Request(head)));
            }
            searched = self.buffer.len();
            if self.stream.read(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Whether a request begins, before the client closes or the server stops waiting for it.
    async fn await_request(&mut self) -> io::Result<bool> {
        if self.service.options.idle_race {
            self.stream.await_first_byte().await?;
            // At a stop the kernel makes a reset of the close, because there are bytes unread.
            let is_stopping = *self.service.stopping.borrow();
            return Ok(!is_stopping && self.stream.read(&mut self.buffer).await? > 0);
        }
        let mut stopping = self.service.stopping.subscribe();
        let grace = self.service.options.idle_grace;
        let patience_over = async {
            // The sender lives in the service, which lives as long as we do.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            pause(grace).await;
        };
        tokio::select! {
            biased;
            read = self.stream.read(&mut self.buffer) => return Ok(read? > 0),
            () = patience_over => {}
        }
        // What the kernel has and the runtime has not noticed yet is a request in flight, not an idle connection.
        Ok(self.stream.has_unread() && self.stream.read(&mut self.buffer).await? > 0)
    }

    async fn serve_request(&mut self, head: &Head) -> io::Result<Ending> {
        self.requests += 1;
        if head.path() == COUNTS_PATH {
            return self.answer_counts(head).await;
        }
        let ordinal = self.service.counters.request();
        let fault = choose(&self.service.options.faults, Scope::Request, ordinal);
        if !matches!(fault, Some(FaultKind::ResetWhileSending | FaultKind::CloseWhileSending)) {
            self.discard_body(head.body_length_bytes).await?;
            pause(self.service.options.service_time).await;
        }
        match fault.and_then(|kind| Some((kind, script::of(kind)?))) {
            Some((kind, (bytes, ending))) => {
                self.service.thaw().await;
                self.service.counters.injection(kind);
                self.perform(head, bytes, ending).await
            }
            None => self.answer(head, &Answer::to(head, &self.socket)).await,
        }
    }

    async fn discard_body(&mut self, length_bytes: u64) -> io::Result<()> {
        let mut left = length_bytes;
        loop {
            let here = usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            self.buffer.advance(here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            if self.stream.read(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Follows the script of a fault.
    async fn perform(&mut self, head: &Head, bytes: Bytes, ending: Ending) -> io::Result<Ending> {
        match bytes {
            Bytes::Cut(bytes) => self.stream.write(bytes.as_bytes()).await?,
            Bytes::Whole(status, body) => return self.answer(head, &Answer::text(status, body)).await,
            Bytes::Prelude(bytes, times) => {
                self.stream.write(bytes.repeat(times as usize).as_bytes()).await?;
                return self.answer(head, &Answer::to(head, &self.socket)).await;
            }
            Bytes::Endless(begin, again) => {
                self.stream.write(begin.as_bytes()).await?;
                let again = again.repeat(256);
                loop {
                    self.stream.write(again.as_bytes()).await?;
                    // Without end, but not so fast that reading it keeps the client from everything else.
                    sleep(Duration::from_millis(10)).await;
                }
            }
            Bytes::Drip(bytes) => {
                for byte in bytes.as_bytes() {
                    self.stream.write(&[*byte]).await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Bytes::End(read_on_bytes) => {
                self.stream.end().await?;
                self.discard_body(head.body_length_bytes.min(read_on_bytes)).await?;
            }
        }
        Ok(ending)
    }

    /// Sends an answer, counts and logs it.
    async fn answer(&mut self, head: &Head, answer: &Answer) -> io::Result<Ending> {
        pause(answer.delay).await;
        self.service.thaw().await;
        let ending = self.send(head, answer).await?;
        self.service.count_answer();
        if let Some(log) = &self.service.access_log {
            log.write(&head.method, &head.target, answer.status)?;
        }
        Ok(ending)
    }

    /// Answers with what was counted, and counts nothing.
    async fn answer_counts(&mut self, head: &Head) -> io::Result<Ending> {
        self.discard_body(head.body_length_bytes).await?;
        if self.requests == 1 {
            self.service.counters.inspection();
        }
        let counts = serde_json::to_string(&self.service.counters.read()).map_err(io::Error::other)?;
        self.send(head, &Answer::text(200, counts + "\n")).await
    }

    async fn send(&mut self, head: &Head, answer: &Answer) -> io::Result<Ending> {
        let keep_alive = head.keep_alive && !self.service.is_stopping();
        let mut bytes = answer.head(keep_alive).into_bytes();
        let with_body = head.method != "HEAD";
        if let (Body::Text(text), true) = (&answer.body, with_body) {
            bytes.extend_from_slice(text.as_bytes());
        }
        self.stream.write(&bytes).await?;
        if let (Body::Fill(length), true) = (&answer.body, with_body) {
            self.fill(*length).await?;
        }
        Ok(if keep_alive { Ending::Answered } else { Ending::Close })
    }

    async fn fill(&mut self, length: u64) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let piece = &PIECE[..usize::try_from(left).map_or(PIECE.len(), |left| left.min(PIECE.len()))];
            self.stream.write(piece).await?;
            left -= piece.len() as u64;
        }
        Ok(())
    }

    /// Answers what is no request that we serve, and closes without a reset though more may be coming.
    async fn refuse(&mut self, status: Refusal) -> io::Result<Ending> {
        let answer = Answer::text(status, "refused\n");
        let bytes = answer.head(false) + "refused\n";
        self.stream.write(bytes.as_bytes()).await?;
        self.stream.end().await?;
        Ok(Ending::Wait)
    }
}

/// Ends a connection.
pub(super) async fn end(mut stream: Stream, ending: io::Result<Ending>) {
    match ending {
        Ok(Ending::Reset) => stream.reset(),
        Ok(Ending::Wait) => stream.await_client_gone().await,
        Ok(Ending::Answered | Ending::Close | Ending::Upgrade) => stream.close().await,
        Err(_) => {}
    }
}
