//! The memory that h2 reads from and writes to.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// With this number of bytes that the wire has not taken, h2 waits and reads nothing more, so that what a server provokes
/// is bounded.
const OUTGOING_BYTES_MAX: usize = 64 * 1024;

/// One end is h2's, the other its connection's. Nobody is woken by it: who moves the bytes polls h2.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Rc<RefCell<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    incoming: BytesMut,
    outgoing: BytesMut,
    has_ended: bool,
    was_full: bool,
}

impl Pipe {
    /// Bytes came from the server.
    pub(super) fn feed(&self, bytes: &[u8]) {
        self.0.borrow_mut().incoming.extend_from_slice(bytes);
    }

    /// No more will come.
    pub(super) fn end(&self) {
        self.0.borrow_mut().has_ended = true;
    }

    /// Whether h2 has taken all that came.
    pub(super) fn is_drained(&self) -> bool {
        self.0.borrow().incoming.is_empty()
    }

    /// Whether there is something to be written.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.0.borrow().outgoing.is_empty()
    }

    /// Whether h2 waits for room since the last time that this was asked.
    pub(super) fn take_full(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().was_full)
    }

    /// Lets `write` take some of what is to be written, and forgets as many bytes as it says.
    pub(super) fn write<E>(&self, write: impl FnOnce(&[u8]) -> Poll<Result<usize, E>>) -> Poll<Result<(), E>> {
        let outgoing = &mut self.0.borrow_mut().outgoing;
        write(outgoing).map_ok(|taken| outgoing.advance(taken))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let bytes = &mut *self.0.borrow_mut();
        if bytes.incoming.is_empty() {
            return if bytes.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let taken = bytes.incoming.len().min(into.remaining());
        into.put_slice(&bytes.incoming[..taken]);
        bytes.incoming.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = &mut *self.0.borrow_mut();
        let outgoing = &mut bytes.outgoing;
        if outgoing.len() >= OUTGOING_BYTES_MAX {
            bytes.was_full = true;
            return Poll::Pending;
        }
        slices.iter().for_each(|slice| outgoing.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether h2 has more to do. It is polled until it has not, and never by the runtime: a waker of the task would have
/// it polled once more for every frame.
#[derive(Debug, Default)]
pub(super) struct Woken(AtomicBool);

impl Woken {
    /// Whether it was since the last time.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
