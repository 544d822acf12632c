//! A server of HTTP/2 that is written by hand, frame by frame, and counts what it does. It decodes no headers: HEADERS
//! on a new stream are a request.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gapless::model::Endpoint;
use rustix::net::sockopt::set_socket_linger;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:status: 200` of HPACK's static table.
pub(crate) const STATUS_200: &[u8] = &[0x88];

/// The highest stream id.
pub(crate) const LAST_ID: u32 = (1 << 31) - 1;

/// On a free port; it answers until the test process ends.
pub(crate) struct FrameServer {
    pub(crate) endpoint: Endpoint,
    pub(crate) counts: Arc<Counts>,
}

/// What the server saw and did.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    /// HEADERS on a new stream.
    pub(crate) requests: AtomicU64,
    pub(crate) answered: AtomicU64,
    /// What a script counts as done to a request.
    pub(crate) injected: AtomicU64,
}

impl Counts {
    pub(crate) fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) counts: Arc<Counts>,
    seen: BTreeSet<u32>,
}

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameServer {
    /// Calls `script` with each connection and its number, from 0, before anything was read or written.
    pub(crate) fn new(script: impl Fn(u64, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let counts = Arc::<Counts>::default();
        let server = Self { endpoint, counts: Arc::clone(&counts) };
        let script = Arc::new(script);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let number = counts.connections.fetch_add(1, Ordering::SeqCst);
                let (script, counts) = (Arc::clone(&script), Arc::clone(&counts));
                // A client that is done ends it.
                std::thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let _ = script(number, &mut Peer { stream, counts, seen: BTreeSet::new() });
                });
            }
        });
        server
    }

    /// Answers every request, but does `fault` to the first `times`.
    pub(crate) fn faulty(times: u64, fault: impl Fn(&mut Peer, u32) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::new(move |_, peer| {
            peer.greet(&[])?;
            loop {
                let id = peer.next_request()?;
                if peer.counts.injected.load(Ordering::SeqCst) < times {
                    peer.counts.injected.fetch_add(1, Ordering::SeqCst);
                    fault(peer, id)?;
                } else {
                    peer.answer(id)?;
                }
            }
        })
    }
}

impl Peer {
    /// Reads the preface and sends SETTINGS with that payload.
    pub(crate) fn greet(&mut self, settings: &[u8]) -> io::Result<()> {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface)?;
        assert!(preface.starts_with(b"PRI * HTTP/2.0"));
        self.write(SETTINGS, 0, 0, settings)
    }

    /// The next frame, once SETTINGS and PING were answered.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream };
        if frame.flags & ACK == 0 && matches!(frame.kind, SETTINGS | PING) {
            let payload = if frame.kind == PING { payload } else { Vec::new() };
            self.write(frame.kind, ACK, 0, &payload)?;
        }
        Ok(frame)
    }

    /// The stream of the next request.
    pub(crate) fn next_request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.read()?;
            if frame.kind == HEADERS && self.seen.insert(frame.stream) {
                self.counts.requests.fetch_add(1, Ordering::SeqCst);
                return Ok(frame.stream);
            }
        }
    }

    /// The streams of the next N requests.
    pub(crate) fn requests(&mut self, n: usize) -> io::Result<Vec<u32>> {
        (0..n).map(|_| self.next_request()).collect()
    }

    /// Reads until the client has answered a PING that is sent now, and so has read all that was sent before: the
    /// streams of requests that came until then.
    pub(crate) fn until_read(&mut self) -> io::Result<Vec<u32>> {
        self.write(PING, 0, 0, b"up to me")?;
        let mut requests = Vec::new();
        loop {
            let frame = self.read()?;
            match frame.kind {
                PING if frame.flags & ACK != 0 => return Ok(requests),
                HEADERS if self.seen.insert(frame.stream) => {
                    self.counts.requests.fetch_add(1, Ordering::SeqCst);
                    requests.push(frame.stream);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat())
    }

    pub(crate) fn answer(&mut self, id: u32) -> io::Result<()> {
        self.counts.answered.fetch_add(1, Ordering::SeqCst);
        self.write(HEADERS, END_HEADERS, id, STATUS_200)?;
        self.write(DATA, END_STREAM, id, b"hello")
    }

    pub(crate) fn reset(&mut self, id: u32, code: u32) -> io::Result<()> {
        self.write(RST_STREAM, 0, id, &code.to_be_bytes())
    }

    pub(crate) fn goaway(&mut self, last_id: u32) -> io::Result<()> {
        self.write(GOAWAY, 0, 0, &[last_id.to_be_bytes(), [0; 4]].concat())
    }

    /// The connection is reset when it is closed.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }

    /// Reads until the client closes.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        loop {
            if self.read()?.kind == HEADERS {
                self.counts.requests.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
