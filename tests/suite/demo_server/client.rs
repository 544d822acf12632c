//! A client on bare std sockets, which tells a reset from an end of file and classifies by what it saw alone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gapless::model::{Endpoint, FailureClass};

/// Long enough that reaching it means a hang.
const HANG: Duration = Duration::from_secs(20);
/// A head longer than this is not accepted.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

trait Socket: Read + Write + Send {
    fn set_read_timeout(&self, timeout: Duration);
}

impl Socket for TcpStream {
    fn set_read_timeout(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout)).unwrap();
    }
}

impl Socket for UnixStream {
    fn set_read_timeout(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout)).unwrap();
    }
}

/// How a stream of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer was whole; the stream is open.
    Whole,
    Fin,
    Reset,
    TimedOut,
    TooLong,
}

/// Everything that came back for one request.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

/// One connection.
pub(crate) struct Client {
    socket: Box<dyn Socket>,
    patience: Duration,
}

impl Client {
    pub(crate) fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let socket: Box<dyn Socket> = match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path)?),
            other => panic!("{other} takes no connection of HTTP"),
        };
        Ok(Self { socket, patience: HANG })
    }

    /// Gives up on an answer after this long.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    pub(crate) fn send_get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
    }

    /// Sends a GET and reads the answer, which must be whole.
    pub(crate) fn get(&mut self, target: &str) -> (u16, String) {
        self.send_get(target);
        let received = self.receive();
        assert!(received.end == End::Whole || received.end == End::Fin, "{received:?}");
        let answer = Answer::parse(&received.bytes).expect("a whole head");
        assert!(answer.is_whole(received.end), "{received:?}");
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Reads one answer, or what there is of it.
    pub(crate) fn receive(&mut self) -> Received {
        let deadline = Instant::now() + self.patience;
        let mut bytes = Vec::new();
        let end = loop {
            if Answer::parse(&bytes).is_some_and(|answer| answer.is_whole(End::Whole)) {
                break End::Whole;
            }
            if let Some(end) = self.read_some(&mut bytes, deadline) {
                break end;
            }
        };
        Received { bytes, end }
    }

    /// Reads to the end of the stream.
    pub(crate) fn receive_to_end(&mut self) -> Received {
        let deadline = Instant::now() + self.patience;
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = self.read_some(&mut bytes, deadline) {
                return Received { bytes, end };
            }
        }
    }

    fn read_some(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> Option<End> {
        if Answer::parse(bytes).is_none() && bytes.len() > HEAD_LIMIT_BYTES {
            return Some(End::TooLong);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Some(End::TimedOut);
        }
        self.socket.set_read_timeout(left);
        let mut piece = [0; 16 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => Some(End::Fin),
            Ok(length) => {
                bytes.extend_from_slice(&piece[..length]);
                None
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => None,
                ErrorKind::ConnectionReset => Some(End::Reset),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(End::TimedOut),
                _ => panic!("read: {error}"),
            },
        }
    }
}

impl Received {
    /// What a client counts that expects 200, and the body if one is given; none for `ok`.
    pub(crate) fn class(&self, expect_body: Option<&str>) -> Option<FailureClass> {
        let begun = !self.bytes.is_empty();
        if begun && !b"HTTP/1.".starts_with(&self.bytes[..self.bytes.len().min(7)]) {
            return Some(FailureClass::Malformed);
        }
        let answer = Answer::parse(&self.bytes).filter(|answer| answer.is_whole(self.end));
        match (answer, self.end) {
            (Some(answer), _) if answer.status != 200 => Some(FailureClass::UnexpectedStatus),
            (Some(answer), _) if expect_body.is_some_and(|body| body.as_bytes() != answer.body) => {
                Some(FailureClass::UnexpectedBody)
            }
            (Some(_), _) => None,
            (None, End::TooLong) => Some(FailureClass::Malformed),
            (None, End::TimedOut) => Some(FailureClass::ResponseTimeout),
            (None, End::Reset) if begun => Some(FailureClass::ResetMidResponse),
            (None, End::Reset) => Some(FailureClass::ResetBeforeResponse),
            (None, End::Fin | End::Whole) if begun => Some(FailureClass::ClosedMidResponse),
            (None, End::Fin | End::Whole) => Some(FailureClass::ClosedBeforeResponse),
        }
    }
}

/// An answer whose head is whole.
struct Answer {
    status: u16,
    framing: Framing,
    /// What came of the body, chunks put together.
    body: Vec<u8>,
}

enum Framing {
    Length(usize),
    /// Whether the last chunk was there.
    Chunked(bool),
    EndOfStream,
}

impl Answer {
    /// The first final answer in `bytes`.
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        loop {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            let head = std::str::from_utf8(&bytes[..end]).ok()?;
            bytes = &bytes[end + 4..];
            let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
            if status < 200 {
                continue;
            }
            let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            if let Some(length) = field("Content-Length: ") {
                let length = length.parse().ok()?;
                let body = bytes[..bytes.len().min(length)].to_vec();
                return Some(Self { status, framing: Framing::Length(length), body });
            }
            if field("Transfer-Encoding: chunked").is_some() {
                let (body, ended) = unchunk(bytes);
                return Some(Self { status, framing: Framing::Chunked(ended), body });
            }
            return Some(Self { status, framing: Framing::EndOfStream, body: bytes.to_vec() });
        }
    }

    fn is_whole(&self, end: End) -> bool {
        match self.framing {
            Framing::Length(length) => self.body.len() == length,
            Framing::Chunked(ended) => ended,
            Framing::EndOfStream => end == End::Fin,
        }
    }
}

fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let rest = &bytes[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        if rest.len() < size + 2 {
            break;
        }
        bytes = &rest[size + 2..];
    }
    (body, false)
}
