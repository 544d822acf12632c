//! What the frames of a connection tell that h2 does not.

use super::frames::{FrameHead, Part, Scanner, kind};
use super::pipe::Pipe;
use super::stream::Stream;
use crate::clock;
use crate::load::protocol::http::status_of;
use crate::model::{Instead, MonoTime};
use crate::record::segment::GoAways;

/// What a client sends before its first frame.
const PREFACE_BYTES: usize = 24;

/// Bytes held at most until the first frame is known: room for a status line.
const FIRST_BYTES_MAX: usize = 512;

const FRAME_HEAD_BYTES: usize = 9;

/// Looks at all that passes.
pub(super) struct Tap {
    outgoing: Scanner,
    incoming: Scanner,
    /// Those in flight, in the order of their ids.
    pub(super) streams: Vec<Stream>,
    server: Server,
    goaway: Option<GoAway>,
    /// Streams that were answered after it.
    pub(super) answered_after: u64,
    /// Of the GOAWAY: connections, those with two, streams in flight, and answered after it.
    told: (u64, u64, u64, u64),
    /// How often something came.
    pub(super) reads: u64,
}

/// What the server speaks.
enum Server {
    /// What came is too short to tell.
    Unknown(Vec<u8>),
    Http2,
    Other(Instead, Option<u16>),
}

/// What the server said of the end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GoAway {
    /// No stream above it was or will be processed; of several, the lowest.
    pub(super) last_stream: u32,
    pub(super) frames: u32,
    first: MonoTime,
    last: MonoTime,
    /// Streams in flight when the first was read.
    streams_open: u64,
}

impl Tap {
    pub(super) fn new() -> Self {
        Self {
            outgoing: Scanner::after(PREFACE_BYTES),
            incoming: Scanner::after(0),
            streams: Vec::new(),
            server: Server::Unknown(Vec::new()),
            goaway: None,
            answered_after: 0,
            told: (0, 0, 0, 0),
            reads: 0,
        }
    }

    pub(super) fn goaway(&self) -> Option<GoAway> {
        self.goaway
    }

    /// What there is to add to how the server announced the end of the connection. Told as it becomes known: the load may
    /// end before the connection does.
    pub(super) fn take_goaways(&mut self) -> Option<GoAways> {
        let GoAway { frames, first, last, streams_open, .. } = self.goaway?;
        let known = (1, u64::from(frames > 1), streams_open, self.answered_after);
        let told = std::mem::replace(&mut self.told, known);
        (told != known).then(|| GoAways {
            connections: known.0 - told.0,
            two_phase: known.1 - told.1,
            first,
            last,
            streams_open: known.2 - told.2,
            answered_after: known.3 - told.3,
        })
    }

    /// The wire is asked to take what h2 wrote.
    pub(super) fn calls_write(&mut self, at: MonoTime) {
        let unwritten = self.streams.iter_mut().rev().take_while(|stream| stream.passed.first_write.is_none());
        unwritten.for_each(|stream| stream.passed.first_write = Some(at));
    }

    /// Whether the head of a request lies in memory, of which the wire took nothing.
    pub(super) fn holds_head(&self) -> bool {
        self.streams.last().is_some_and(|stream| stream.passed.sent.is_none())
    }

    /// The wire took `bytes`, in a call made at `called_at`.
    pub(super) fn took(&mut self, bytes: &[u8], called_at: MonoTime) {
        let (streams, reads) = (&mut self.streams, self.reads);
        self.outgoing.scan(bytes, |part| {
            let Some(stream) = stream_of(streams, part.head) else { return };
            let passed = &mut stream.passed;
            if passed.sent.is_none() {
                passed.sent = Some(called_at);
                stream.sent_after = reads;
            }
            passed.bytes_out += part.bytes;
            passed.is_whole |= part.is_last && part.head.ends_stream();
        });
    }

    /// `bytes` came from the server: `pipe` gets them once they are known to be HTTP/2.
    pub(super) fn came(&mut self, bytes: &[u8], pipe: &Pipe) {
        self.reads += 1;
        match &mut self.server {
            Server::Http2 => self.frames_came(bytes, pipe),
            Server::Other(..) => {}
            Server::Unknown(first) => {
                first.extend_from_slice(bytes);
                let first = std::mem::take(first);
                self.server = match spoken(&first) {
                    Some(server) => server,
                    None => Server::Unknown(first.clone()),
                };
                if matches!(self.server, Server::Http2) {
                    self.frames_came(&first, pipe);
                }
            }
        }
    }

    /// What the server spoke instead of HTTP/2, and with which status. With `is_over`, nothing more will come to tell.
    pub(super) fn instead(&self, is_over: bool) -> Option<(Instead, Option<u16>)> {
        match &self.server {
            Server::Other(instead, status) => Some((*instead, *status)),
            Server::Unknown(first) if is_over && !first.is_empty() => Some((Instead::Other, None)),
            Server::Unknown(_) | Server::Http2 => None,
        }
    }

    fn frames_came(&mut self, bytes: &[u8], pipe: &Pipe) {
        let (streams, goaway) = (&mut self.streams, &mut self.goaway);
        self.incoming.scan(bytes, |part| {
            if part.head.kind == kind::GOAWAY && part.is_last {
                *goaway = Some(GoAway::read(*goaway, &part, streams));
            }
            let Some(stream) = stream_of(streams, part.head) else { return };
            stream.is_touched = true;
            if part.head.is_of_message() {
                stream.passed.bytes_in += part.bytes;
                stream.was_ended |= part.is_last && part.head.ends_stream();
            }
        });
        pipe.feed(bytes);
    }
}

impl GoAway {
    /// With one more frame, read now, while these streams are in flight.
    fn read(before: Option<Self>, frame: &Part<'_>, streams: &mut [Stream]) -> Self {
        let id = frame.payload.first_chunk().copied().map_or(0, u32::from_be_bytes) & 0x7fff_ffff;
        let now = clock::now();
        if let Some(before) = before {
            let (last_stream, frames) = (before.last_stream.min(id), before.frames.saturating_add(1));
            return Self { last_stream, frames, last: now, ..before };
        }
        let mut streams_open = 0;
        for stream in streams.iter_mut().filter(|stream| stream.passed.sent.is_some() && !stream.was_ended) {
            stream.met_goaway = true;
            streams_open += 1;
        }
        Self { last_stream: id, frames: 1, first: now, last: now, streams_open }
    }
}

fn stream_of(streams: &mut [Stream], head: FrameHead) -> Option<&mut Stream> {
    let place = streams.binary_search_by_key(&head.stream, |stream| stream.id).ok()?;
    streams.get_mut(place)
}

/// What starts with `bytes`; none if that cannot be told yet. HTTP/2 starts with SETTINGS.
fn spoken(bytes: &[u8]) -> Option<Server> {
    const HTTP1: &[u8] = b"HTTP/1.";
    if bytes.starts_with(HTTP1) {
        let has_line = bytes.contains(&b'\n') || bytes.len() >= FIRST_BYTES_MAX;
        return has_line.then(|| Server::Other(Instead::Http1, status_of(bytes)));
    }
    let head = bytes.get(..FRAME_HEAD_BYTES)?;
    let is_settings = head[0] == 0 && head[3] == kind::SETTINGS && head[5..] == [0; 4];
    Some(if is_settings { Server::Http2 } else { Server::Other(Instead::Other, None) })
}
