//! The connection's bytes: a TCP or Unix socket, with or without TLS.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::packet::MessageSocket;

/// A socket of either family, or a FIFO.
#[derive(Debug)]
pub(in crate::load) enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// In the file system, or with an abstract name.
    Unix(UnixStream),
    /// What carries messages.
    Message(MessageSocket),
}

/// What an exchange reads and writes.
#[derive(Debug)]
pub(in crate::load) enum Stream {
    /// In the clear.
    Plain(Socket),
    /// Over TLS.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether bytes on the socket may be something else than an answer.
    pub(in crate::load) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether it is a Unix socket.
    pub(in crate::load) fn is_unix(&self) -> bool {
        match self.socket() {
            Socket::Tcp(_) => false,
            Socket::Unix(_) => true,
            Socket::Message(message) => message.is_unix(),
        }
    }

    /// What carries messages.
    pub(in crate::load) fn messages(&self) -> Option<&MessageSocket> {
        match self.socket() {
            Socket::Message(message) => Some(message),
            Socket::Tcp(_) | Socket::Unix(_) => None,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.socket() {
            Socket::Tcp(tcp) => tcp.as_fd(),
            Socket::Unix(unix) => unix.as_fd(),
            Socket::Message(message) => message.as_fd(),
        }
    }
}

/// Hands each call on to the stream within.
macro_rules! delegate {
    ($stream:ty, $($variant:ident)|+) => {
        impl AsyncRead for $stream {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(within) => Pin::new(within).poll_read(cx, into),)+ }
            }
        }

        impl AsyncWrite for $stream {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(within) => Pin::new(within).poll_write(cx, bytes),)+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(within) => Pin::new(within).poll_write_vectored(cx, slices),)+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(within) => within.is_write_vectored(),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(within) => Pin::new(within).poll_flush(cx),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(within) => Pin::new(within).poll_shutdown(cx),)+ }
            }
        }
    };
}

delegate!(Socket, Tcp | Unix | Message);
delegate!(Stream, Plain | Tls);
