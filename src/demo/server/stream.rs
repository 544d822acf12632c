//! A connection's stream, TCP, Unix or TLS, down to the ways of ending it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::BytesMut;
use rustix::net::{AddressFamily, RecvFlags};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::tls;

/// A stream that was accepted.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Takes over a connection that a manager accepted. Within a runtime only.
    pub(super) fn inherit(socket: OwnedFd, family: AddressFamily) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if family == AddressFamily::UNIX {
            UnixStream::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(socket.into()).and_then(Self::tcp)
        }
    }

    /// A TCP stream that sends each write at once: a cut must fall where the script has it.
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// The same stream, within TLS from here on. Over TCP only: others stay as they are.
    pub(super) async fn secure(self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => Ok(Self::Tls(Box::new(tls::acceptor()?.accept(stream).await?))),
            other => Ok(other),
        }
    }

    /// Appends what has arrived to `buffer`; 0 at the end of the stream.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(buffer).await,
            Self::Unix(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Returns when the kernel took all of `bytes`.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Whether a byte of the client's is there, once one is or the client is gone. Reads nothing.
    pub(super) async fn await_first_byte(&self) -> io::Result<bool> {
        Ok(self.first_byte().await?.is_some())
    }

    /// The first byte that was not read, once there is one; none if the client is gone.
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0_u8];
        let mut peek = || {
            let peeked = rustix::net::recv(self.as_fd(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
            peeked.map(|(_, length)| (length > 0).then_some(byte[0])).map_err(io::Error::from)
        };
        match self {
            Self::Tls(stream) => stream.get_ref().0.async_io(Interest::READABLE, &mut peek).await,
            Self::Tcp(stream) => stream.async_io(Interest::READABLE, &mut peek).await,
            Self::Unix(stream) => stream.async_io(Interest::READABLE, &mut peek).await,
        }
    }

    /// Whether bytes of the client's have arrived and were not read.
    pub(super) fn has_unread(&self) -> bool {
        let peeked = rustix::net::recv(self.as_fd(), &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Ok((_, 1..)))
    }

    /// Returns when the client ended the stream or aborted it; what it sends until then is thrown away.
    pub(super) async fn await_client_gone(&mut self) {
        let mut discarded = BytesMut::with_capacity(4096);
        while matches!(self.read(&mut discarded).await, Ok(1..)) {
            discarded.clear();
        }
    }

    /// Ends our side of the stream; the client's stays open.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown().await,
            Self::Unix(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Closes it; TLS says so first.
    pub(super) async fn close(mut self) {
        if let Self::Tls(_) = self {
            // A client that is gone needs no word.
            let _ = self.end().await;
        }
    }

    /// Aborts the connection: TCP sends RST instead of FIN, whatever was read. Unix has no such thing: it closes.
    pub(super) fn reset(self) {
        let tcp = match &self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Unix(_) => return,
        };
        // Fails only if the client's own reset was first.
        let _ = tcp.set_zero_linger();
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
        }
    }
}
