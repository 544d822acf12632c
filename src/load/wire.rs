//! Counts the bytes under an exchange, whoever speaks the protocol above.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::classify::Trouble;
use super::status_line::StatusLine;
use super::stream::Stream;
use crate::clock;
use crate::model::MonoTime;

/// A connection and what passed over it for the current request.
#[derive(Debug)]
pub(super) struct Wire {
    stream: RefCell<Stream>,
    bytes_out: Cell<u64>,
    bytes_in: Cell<u64>,
    first_write: Cell<Option<MonoTime>>,
    sent: Cell<Option<MonoTime>>,
    status_line: Cell<StatusLine>,
    trouble: Cell<Option<Trouble>>,
    /// A first request is written before anything is read, as other clients do: what a server did to the
    /// connection before must fail the request, not hide it.
    writes_first: Cell<bool>,
    read_waits: Cell<bool>,
}

/// What a look at an idle connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Nothing has come: it can be written to.
    Quiet,
    /// It was closed or reset, or bytes came that nobody asked for.
    Over,
    /// Bytes of TLS came: its own, or the end.
    Unclear,
}

impl Wire {
    /// Of a connection that no request has used.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream: RefCell::new(stream),
            bytes_out: Cell::default(),
            bytes_in: Cell::default(),
            first_write: Cell::default(),
            sent: Cell::default(),
            status_line: Cell::default(),
            trouble: Cell::default(),
            writes_first: Cell::new(true),
            read_waits: Cell::new(false),
        }
    }

    /// A new request starts: its bytes count from here. `writes_first` for one that has something to send, on a
    /// connection that none has used.
    pub(super) fn begin(&self, writes_first: bool) {
        self.bytes_out.set(0);
        self.bytes_in.set(0);
        self.first_write.set(None);
        self.sent.set(None);
        self.status_line.set(StatusLine::default());
        self.writes_first.set(writes_first);
    }

    /// Bytes of the request that the kernel took.
    pub(super) fn bytes_out(&self) -> u64 {
        self.bytes_out.get()
    }

    /// Bytes of the answer that came.
    pub(super) fn bytes_in(&self) -> u64 {
        self.bytes_in.get()
    }

    /// When the first write call was made.
    pub(super) fn first_write(&self) -> Option<MonoTime> {
        self.first_write.get()
    }

    /// When the first write call was made that the kernel took.
    pub(super) fn sent(&self) -> Option<MonoTime> {
        self.sent.get()
    }

    /// The status of the answer, once its status line is whole.
    pub(super) fn status(&self) -> Option<u16> {
        self.status_line.get().status()
    }

    /// What ended the connection, if it has ended.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.get()
    }

    /// Whether it is a Unix socket.
    pub(super) fn is_unix(&self) -> bool {
        self.stream.borrow().is_unix()
    }

    /// Asks the kernel what the reactor may not have told yet: one recv(2) that takes nothing.
    pub(super) fn look(&self) -> Idle {
        let stream = self.stream.borrow();
        let mut byte = [0_u8];
        match rustix::net::recv(&*stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => Idle::Quiet,
            Ok((1.., _)) if stream.is_tls() => Idle::Unclear,
            Ok(_) | Err(_) => Idle::Over,
        }
    }

    fn wrote(&self, called_at: MonoTime, result: &io::Result<usize>, cx: &Context<'_>) {
        match result {
            Ok(taken) => {
                self.bytes_out.set(self.bytes_out.get() + *taken as u64);
                if self.sent.get().is_none() {
                    self.sent.set(Some(called_at));
                }
            }
            Err(error) => self.note_trouble(Trouble::of(error)),
        }
        if self.read_waits.take() {
            cx.waker().wake_by_ref();
        }
    }

    fn read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.note_trouble(Trouble::Closed);
            return;
        }
        self.bytes_in.set(self.bytes_in.get() + bytes.len() as u64);
        let mut status_line = self.status_line.get();
        status_line.feed(bytes);
        self.status_line.set(status_line);
    }

    /// The first trouble is what ended the connection; later ones follow from it.
    fn note_trouble(&self, trouble: Trouble) {
        if self.trouble.get().is_none() {
            self.trouble.set(Some(trouble));
        }
    }

    /// A write is about to be made.
    fn writing(&self) -> MonoTime {
        let now = clock::now();
        if self.first_write.get().is_none() {
            self.first_write.set(Some(now));
        }
        self.writes_first.set(false);
        now
    }
}

/// The stream that an exchange reads from and writes to.
#[derive(Debug)]
pub(super) struct Counted(pub(super) Rc<Wire>);

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &*self.0;
        if wire.writes_first.get() {
            wire.read_waits.set(true);
            return Poll::Pending;
        }
        let filled = into.filled().len();
        let result = ready!(Pin::new(&mut *wire.stream.borrow_mut()).poll_read(cx, into));
        match &result {
            Ok(()) => wire.read(&into.filled()[filled..]),
            Err(error) => wire.note_trouble(Trouble::of(error)),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let called_at = self.0.writing();
        let result = ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(cx, bytes));
        self.0.wrote(called_at, &result, cx);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let called_at = self.0.writing();
        let result = ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(cx, slices));
        self.0.wrote(called_at, &result, cx);
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(cx)
    }
}
