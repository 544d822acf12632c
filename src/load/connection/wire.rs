//! Counts the bytes under an exchange, whoever speaks the protocol above.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::late::LateSockets;
use super::packet::MessageSocket;
use super::stream::Stream;
use crate::clock;
use crate::load::classify::Trouble;
use crate::model::MonoTime;

/// Maximum number of bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What all connections of a load share.
#[derive(Clone, Debug)]
pub(in crate::load) struct Scratch {
    /// Where they read to. What is read is looked at before the next read, so one will do: it stays in the processor's
    /// cache, and a connection costs no memory of its own.
    bytes: Rc<RefCell<Box<[u8]>>>,
    late: Rc<RefCell<LateSockets>>,
}

impl Scratch {
    /// Of one load.
    pub(in crate::load) fn new() -> Self {
        Self { bytes: Rc::new(RefCell::new(vec![0; READ_BYTES].into())), late: Rc::default() }
    }

    fn set_aside(&self, stream: Stream) {
        self.late.borrow_mut().add(stream, clock::now());
    }
}

/// A connection and what passed over it for the current request.
#[derive(Debug)]
pub(in crate::load) struct Wire {
    stream: Stream,
    scratch: Scratch,
    passed: Passed,
    trouble: Option<Trouble>,
}

/// What passed over a connection for one request.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::load) struct Passed {
    /// Bytes of the request that the kernel took.
    pub(in crate::load) bytes_out: u64,
    /// Bytes of the answer that came.
    pub(in crate::load) bytes_in: u64,
    /// When the first write call was made.
    pub(in crate::load) first_write: Option<MonoTime>,
    /// When the first write call was made that the kernel took.
    pub(in crate::load) sent: Option<MonoTime>,
    /// All of the request was taken; only told where its length does not tell it.
    pub(in crate::load) is_whole: bool,
}

/// What a look at an idle connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Idle {
    /// Nothing has come: it can be written to.
    Quiet,
    /// It was closed or reset.
    Ended,
    /// Bytes came that no request had asked for.
    Bytes,
    /// Bytes of TLS came: its own, or the end.
    Unclear,
}

impl Wire {
    /// Of a connection that no request has used.
    pub(in crate::load) fn new(stream: Stream, scratch: Scratch) -> Self {
        Self { stream, scratch, passed: Passed::default(), trouble: None }
    }

    /// A new request starts: its bytes count from here.
    pub(in crate::load) fn begin(&mut self) {
        self.passed = Passed::default();
    }

    /// What passed since the last request began.
    pub(in crate::load) fn passed(&self) -> Passed {
        self.passed
    }

    /// What ended the connection, if it has ended.
    pub(in crate::load) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Whether it is a Unix socket.
    pub(in crate::load) fn is_unix(&self) -> bool {
        self.stream.is_unix()
    }

    /// Asks the kernel what the reactor may not have told yet: one recv(2) that takes nothing. It is 4 % of the CPU of
    /// an exchange, and what keeps a FIN that came since the reactor last looked from being taken for a loss.
    pub(in crate::load) fn look(&self) -> Idle {
        let mut byte = [0_u8];
        match rustix::net::recv(&self.stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => Idle::Quiet,
            Ok((1.., _)) if self.stream.is_tls() => Idle::Unclear,
            Ok((1.., _)) => Idle::Bytes,
            Ok(_) | Err(_) => Idle::Ended,
        }
    }

    /// Writes some of `bytes`: how many the kernel took.
    ///
    /// # Errors
    /// What ended the connection.
    pub(in crate::load) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Trouble>> {
        let called_at = clock::now();
        self.passed.first_write.get_or_insert(called_at);
        let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)).map_err(|error| self.end(&error))?;
        self.passed.bytes_out += taken as u64;
        self.passed.sent.get_or_insert(called_at);
        Poll::Ready(Ok(taken))
    }

    /// Hands on what TLS may still hold of the bytes that were written.
    ///
    /// # Errors
    /// What ended the connection.
    pub(in crate::load) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| self.end(&error))
    }

    /// Sends one message: the kernel takes it whole or not at all, and now.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(in crate::load) fn send(&mut self, message: &[u8]) -> Result<(), Trouble> {
        let called_at = clock::now();
        self.passed.first_write.get_or_insert(called_at);
        let sent = match self.stream.messages() {
            Some(messages) => messages.send(message),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        let taken = sent.map_err(|error| self.end(&error))?;
        self.passed.bytes_out += taken as u64;
        self.passed.sent.get_or_insert(called_at);
        Ok(())
    }

    /// Whether what it carries are datagrams.
    pub(in crate::load) fn is_datagram(&self) -> bool {
        self.stream.messages().is_some_and(MessageSocket::is_datagram)
    }

    /// Keeps the socket of a request that was given up open for a while, and unread: its late answer arrives there, and not
    /// at a socket that was given the same address.
    pub(in crate::load) fn set_aside(self) {
        self.scratch.set_aside(self.stream);
    }

    /// Reads some bytes and lets `look` see them: what it makes of them, none if the peer has closed.
    ///
    /// # Errors
    /// What ended the connection.
    pub(in crate::load) fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Poll<Result<Option<T>, Trouble>> {
        let scratch = Rc::clone(&self.scratch.bytes);
        let scratch = &mut **scratch.borrow_mut();
        let mut into = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into)).map_err(|error| self.end(&error))?;
        let bytes = into.filled();
        if bytes.is_empty() {
            self.close();
            return Poll::Ready(Ok(None));
        }
        self.passed.bytes_in += bytes.len() as u64;
        Poll::Ready(Ok(Some(look(bytes))))
    }

    /// The first trouble is what ended the connection; later ones follow from it.
    fn end(&mut self, error: &io::Error) -> Trouble {
        let trouble = self.stream.messages().map_or_else(|| Trouble::of(error), |messages| messages.trouble(error));
        match trouble {
            Trouble::Closed(_) => self.close(),
            other => *self.trouble.get_or_insert(other),
        }
    }

    /// The peer has closed it. A reset that came after that is found at the socket: the kernel sends one in answer to
    /// a request that was written later, or that nobody had read.
    fn close(&mut self) -> Trouble {
        if let Some(trouble) = self.trouble {
            return trouble;
        }
        let reset = rustix::net::sockopt::socket_error(&self.stream).ok().and_then(Result::err);
        *self.trouble.insert(Trouble::Closed(reset.map(rustix::io::Errno::raw_os_error)))
    }
}
