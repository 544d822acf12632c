//! Servers that fail on purpose, an exact number of times.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gapless::model::Endpoint;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{set_socket_linger, set_tcp_cork};
use tempfile::TempDir;

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Resets the connection once the request has come.
    ResetBefore,
    /// Reads the request, then closes.
    CloseBefore,
    /// Resets behind the status line.
    ResetInHead,
    /// Closes within the status line.
    CloseInStatusLine,
    /// Closes behind the status line.
    CloseInHead,
    /// Closes within a body with a length.
    CloseInBody,
    /// Resets within a body with a length.
    ResetInBody,
    /// Closes within a chunk.
    CloseInChunk,
    /// Never answers.
    Stall,
    /// Answers something that is not HTTP.
    Garbage,
    /// Answers a chunk without a size.
    GarbageInBody,
    /// Answers 503.
    OtherStatus,
    /// Answers with another body.
    OtherBody,
    /// Answers as expected, and closes the connection in the same breath without having announced it.
    AnswerAndClose,
    /// Answers as expected, and announces that it closes the connection.
    AnnounceClose,
    /// Answers as expected, with a body that only the end of the connection delimits.
    Unframed,
}

/// A connection of either family.
pub(crate) enum Conn {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A server on a free address; it answers until the test process ends.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    _folder: Option<TempDir>,
}

/// Each server has an abstract name of its own.
static ABSTRACT_NAMES: AtomicU64 = AtomicU64::new(0);

pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

impl Server {
    /// Does `fault` to the first `times` requests, and answers all others as expected.
    pub(crate) fn tcp(fault: Fault, times: u64) -> Self {
        Self::tcp_with(move |number, conn| serve(conn, (number < times).then_some(fault)))
    }

    /// As [`Self::tcp`], on a Unix socket.
    pub(crate) fn unix(fault: Fault, times: u64) -> Self {
        Self::unix_with(move |number, conn| serve(conn, (number < times).then_some(fault)))
    }

    /// Calls `answer` with the number of the request and its connection, once a whole head waits to be read;
    /// it returns whether the connection stays.
    pub(crate) fn tcp_with(answer: impl Fn(u64, &mut Conn) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        Self::start(endpoint, None, answer, move || Ok(Conn::Tcp(listener.accept()?.0)))
    }

    /// As [`Self::tcp_with`], on a Unix socket.
    pub(crate) fn unix_with(answer: impl Fn(u64, &mut Conn) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.sock");
        let listener = UnixListener::bind(&path).unwrap();
        Self::start(Endpoint::Unix(path), Some(folder), answer, move || Ok(Conn::Unix(listener.accept()?.0)))
    }

    /// As [`Self::tcp_with`], on a Unix socket in the abstract name space.
    pub(crate) fn abstract_with(answer: impl Fn(u64, &mut Conn) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        let name = format!("gapless-test-{}-{}", std::process::id(), ABSTRACT_NAMES.fetch_add(1, Ordering::SeqCst));
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let endpoint = Endpoint::Unix(format!("@{name}").into());
        Self::start(endpoint, None, answer, move || Ok(Conn::Unix(listener.accept()?.0)))
    }

    /// Closes the first `times` connections as soon as it has accepted them.
    pub(crate) fn tcp_closing_at_once(times: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let accept = closing(times, move || Ok(Conn::Tcp(listener.accept()?.0)));
        Self::start(endpoint, None, |_, conn| serve(conn, None), accept)
    }

    fn start(
        endpoint: Endpoint,
        folder: Option<TempDir>,
        answer: impl Fn(u64, &mut Conn) -> io::Result<bool> + Send + Sync + 'static,
        accept: impl Fn() -> io::Result<Conn> + Send + 'static,
    ) -> Self {
        let (requests, connections) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let server =
            Self { endpoint, requests: Arc::clone(&requests), connections: Arc::clone(&connections), _folder: folder };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            while let Ok(mut conn) = accept() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                std::thread::spawn(move || {
                    while conn.request_waits() {
                        let number = requests.fetch_add(1, Ordering::SeqCst);
                        if !answer(number, &mut conn).unwrap_or(false) {
                            break;
                        }
                    }
                });
            }
        });
        server
    }

    /// Requests whose head has come.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Accepts, but closes the first `times` connections at once.
fn closing(times: u64, accept: impl Fn() -> io::Result<Conn>) -> impl Fn() -> io::Result<Conn> {
    let accepted = AtomicU64::new(0);
    move || {
        while accepted.fetch_add(1, Ordering::SeqCst) < times {
            drop(accept()?);
        }
        accept()
    }
}

pub(crate) fn serve(conn: &mut Conn, fault: Option<Fault>) -> io::Result<bool> {
    let Some(fault) = fault else {
        conn.take_request()?;
        conn.write_all(ANSWER)?;
        return Ok(true);
    };
    // A Unix socket is reset by closing it with something unread.
    let resets = matches!(fault, Fault::ResetBefore | Fault::ResetInHead | Fault::ResetInBody);
    if !(resets && matches!(conn, Conn::Unix(_))) {
        conn.take_request()?;
    }
    if fault == Fault::AnswerAndClose {
        conn.cork()?;
    }
    conn.write_all(match fault {
        Fault::ResetBefore | Fault::CloseBefore | Fault::Stall => b"",
        Fault::CloseInStatusLine => b"HTTP/1.1 20",
        Fault::ResetInHead | Fault::CloseInHead => b"HTTP/1.1 200 OK\r\ncontent-le",
        Fault::ResetInBody | Fault::CloseInBody => b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
        Fault::CloseInChunk => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\nhello",
        Fault::Garbage => b"SSH-2.0-OpenSSH_9.2p1\r\n",
        Fault::GarbageInBody => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello",
        Fault::OtherStatus => b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        Fault::OtherBody => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbye",
        Fault::AnswerAndClose => ANSWER,
        Fault::AnnounceClose => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        Fault::Unframed => b"HTTP/1.1 200 OK\r\n\r\nhello",
    })?;
    if resets {
        conn.reset_on_close()?;
    }
    if fault == Fault::Stall {
        // Until the client gives up.
        conn.request_waits();
    }
    Ok(matches!(fault, Fault::OtherStatus | Fault::OtherBody))
}

impl Conn {
    /// Waits until a whole head can be read; false when the client is done.
    pub(crate) fn request_waits(&mut self) -> bool {
        let mut bytes = [0_u8; 4096];
        loop {
            match rustix::net::recv(&*self, &mut bytes[..], RecvFlags::PEEK) {
                Ok((0, _)) | Err(_) => return false,
                Ok((length, _)) if bytes[..length].windows(4).any(|end| end == b"\r\n\r\n") => return true,
                Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Reads the head that waits, and what came with it.
    pub(crate) fn take_request(&mut self) -> io::Result<String> {
        let mut bytes = [0_u8; 4096];
        let length = match self {
            Self::Tcp(tcp) => tcp.read(&mut bytes)?,
            Self::Unix(unix) => unix.read(&mut bytes)?,
        };
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.write_all(bytes),
            Self::Unix(unix) => unix.write_all(bytes),
        }
    }

    fn reset_on_close(&self) -> io::Result<()> {
        if let Self::Tcp(tcp) = self {
            set_socket_linger(tcp, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// What is written leaves together with the close.
    fn cork(&self) -> io::Result<()> {
        if let Self::Tcp(tcp) = self {
            set_tcp_cork(tcp, true)?;
        }
        Ok(())
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        }
    }
}
