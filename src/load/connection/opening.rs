//! A connection on its way: the connect call, the handshake of TCP, that of TLS.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio_rustls::Connect;

use super::socket::{Attempt, connect, poll_established};
use super::stream::{Socket, Stream};
use super::tls::{ALPN_H2, Tls};
use crate::clock;
use crate::load::classify::{connect_class, handshake_fault};
use crate::model::{Endpoint, FailureClass, Instead, MonoTime, TlsFault};

/// A connection that does not carry requests yet.
pub(in crate::load) struct Opening {
    /// Our address; none for Unix sockets.
    local: Option<SocketAddr>,
    is_unix: bool,
    stage: Stage,
}

enum Stage {
    /// The socket is gone once it has been handed on.
    Connecting(Option<Socket>),
    Handshaking(Box<Connect<Socket>>, MonoTime),
}

/// A connection that can carry requests.
pub(in crate::load) struct Opened {
    pub(in crate::load) stream: Stream,
    pub(in crate::load) local: Option<SocketAddr>,
    /// When the connection was established, before any handshake of TLS.
    pub(in crate::load) since: MonoTime,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct OpenFailure {
    pub(in crate::load) class: FailureClass,
    pub(in crate::load) errno: Option<i32>,
    pub(in crate::load) tls: Option<TlsFault>,
    pub(in crate::load) local: Option<SocketAddr>,
    /// What the server offered, where that was not the protocol asked for.
    pub(in crate::load) instead: Option<Instead>,
}

impl Opening {
    /// Makes the connect call.
    pub(in crate::load) fn begin(endpoint: &Endpoint) -> Result<Self, OpenFailure> {
        let Attempt { local, socket } = connect(endpoint);
        let is_unix = endpoint.name().is_some();
        match socket {
            Ok(socket) => Ok(Self { local, is_unix, stage: Stage::Connecting(Some(socket)) }),
            Err(errno) => Err(lost(errno, is_unix, local)),
        }
    }

    /// Resolves once it can carry requests: over TLS if there is any.
    pub(in crate::load) fn poll(
        &mut self,
        tls: Option<&Tls>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Opened, OpenFailure>> {
        let local = self.local;
        if let Stage::Connecting(connecting) = &mut self.stage {
            if let Some(socket) = connecting {
                ready!(poll_established(socket, cx)).map_err(|errno| lost(errno, self.is_unix, local))?;
            }
            let since = clock::now();
            let socket = connecting.take().ok_or_else(|| lost(Errno::NOTCONN, self.is_unix, local))?;
            let Some(tls) = tls else {
                return Poll::Ready(Ok(Opened { stream: Stream::Plain(socket), local, since }));
            };
            let handshake = tls.connector.connect(tls.server_name.clone(), socket);
            self.stage = Stage::Handshaking(Box::new(handshake), since);
        }
        let Stage::Handshaking(handshake, since) = &mut self.stage else { return Poll::Pending };
        let stream = ready!(Pin::new(handshake).poll(cx)).map_err(|error| OpenFailure {
            class: FailureClass::Tls,
            errno: error.raw_os_error(),
            tls: Some(handshake_fault(&error)),
            local,
            instead: None,
        })?;
        if tls.is_some_and(|tls| tls.requires_h2 && stream.get_ref().1.alpn_protocol() != Some(ALPN_H2)) {
            let instead = Some(Instead::NoAlpn);
            return Poll::Ready(Err(OpenFailure {
                class: FailureClass::Malformed,
                errno: None,
                tls: None,
                local,
                instead,
            }));
        }
        Poll::Ready(Ok(Opened { stream: Stream::Tls(Box::new(stream)), local, since: *since }))
    }

    /// Our address; none for Unix sockets, and where the kernel gave none.
    pub(in crate::load) fn local(&self) -> Option<SocketAddr> {
        self.local
    }
}

fn lost(errno: Errno, is_unix: bool, local: Option<SocketAddr>) -> OpenFailure {
    let errno = errno.raw_os_error();
    OpenFailure { class: connect_class(errno, is_unix), errno: Some(errno), tls: None, local, instead: None }
}
