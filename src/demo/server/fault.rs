//! The faults the server injects on demand: what each does, and what a client must count for it.

use serde::{Deserialize, Serialize};

use crate::model::FailureClass;
use crate::scenario::plan::Protocol;

/// What the client and the server speak over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// A Unix stream socket.
    Unix,
    /// UDP.
    Udp,
    /// A Unix socket for datagrams.
    UnixDgram,
    /// A Unix socket for messages on a connection.
    UnixSeqpacket,
    /// A FIFO.
    Fifo,
}

impl Transport {
    /// Those that HTTP is spoken over.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Unix];

    /// Those on which every request is one message.
    pub const MESSAGES: [Self; 4] = [Self::Udp, Self::UnixDgram, Self::UnixSeqpacket, Self::Fifo];

    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Udp => "udp",
            Self::UnixDgram => "unix_dgram",
            Self::UnixSeqpacket => "unix_seqpacket",
            Self::Fifo => "fifo",
        }
    }
}

/// What a fault happens to, and so what `every=N` and `first=N` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Requests, numbered across all connections from 1 as their heads are read.
    Request,
    /// Connections, numbered from 1 as they are accepted. The fault is done, and counted, when the client's first
    /// byte is there: a connection that is closed unused meets no fault.
    Connection,
    /// The listeners, for as long as the server runs: the server never sees the requests it costs, so it counts
    /// none. Every request the client sends is one.
    Listener,
}

/// What a client must count for one injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A failure of this class.
    Failure(FailureClass),
    /// An `ok`: no client can tell from the bytes alone.
    Unnoticed,
    /// The fault does not exist on this transport.
    Unavailable,
}

impl Effect {
    /// The class of the failure, if it is one.
    #[must_use]
    pub const fn class(self) -> Option<FailureClass> {
        match self {
            Self::Failure(class) => Some(class),
            Self::Unnoticed | Self::Unavailable => None,
        }
    }
}

macro_rules! fault_kinds {
    (@effect Unnoticed) => { Effect::Unnoticed };
    (@effect Unavailable) => { Effect::Unavailable };
    (@effect $class:ident) => { Effect::Failure(FailureClass::$class) };
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $scope:ident, tcp $tcp:ident, unix $unix:ident;)+) => {
        /// What goes wrong. The names are those of `--fault`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FaultKind { $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+ }

        impl FaultKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used on the command line and in counts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the server does, in one sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// What it happens to.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)+ }
            }

            /// What a client that speaks HTTP/1.1, or sends messages, must count for one injection.
            #[must_use]
            pub const fn effect(self, transport: Transport) -> Effect {
                match (self, transport) {
                    $((Self::$variant, Transport::Tcp) => fault_kinds!(@effect $tcp),
                      (Self::$variant, Transport::Unix) => fault_kinds!(@effect $unix),)+
                    (_, Transport::Udp | Transport::UnixDgram | Transport::UnixSeqpacket | Transport::Fifo) => {
                        self.effect_on_messages(transport)
                    }
                }
            }
        }
    };
}

// A Unix socket has no reset: the peer's abort is an end of file once all was read. The exception is a close with
// bytes of the client still unread, which is ECONNRESET there too.
fault_kinds! {
    /// Binds the address and does not listen on it.
    Refuse = "refuse", Listener, tcp Refused, unix Refused;
    /// Listens with a backlog of 0, fills it with a connection of its own, and never accepts.
    QueueFull = "queue-full", Listener, tcp ConnectTimeout, unix QueueFull;
    /// Listens as queue-full does, and answers each SYN with a SYN of its own, so that the client's next packet is
    /// reset: the connect fails with ECONNRESET. Takes one IPv4 address, and CAP_NET_RAW.
    ResetHandshake = "reset-handshake", Listener, tcp ConnectReset, unix Unavailable;
    /// Listens, and removes the socket's path.
    PathMissing = "path-missing", Listener, tcp Unavailable, unix PathMissing;
    /// Listens on a path of mode 000, which root may connect to all the same.
    NoPermission = "no-permission", Listener, tcp Unavailable, unix Permission;
    /// Binds the path as a datagram socket: the connect fails with EPROTOTYPE.
    WrongSocketType = "wrong-socket-type", Listener, tcp Unavailable, unix ConnectOther;
    /// Of messages: takes none out of its queue until it stops, and then counts what is there.
    Unread = "unread", Listener, tcp Unavailable, unix Unavailable;
    /// Of messages: as unread, with room for eight of them or a little more: the others are turned away.
    Overflow = "overflow", Listener, tcp Unavailable, unix Unavailable;
    /// Accepts, and closes with the request unread: a reset.
    AcceptUnread = "accept-unread", Connection, tcp ResetBeforeResponse, unix ResetBeforeResponse;
    /// Accepts, and ends its side of the stream with the request unread: an end of file on a new connection.
    AcceptCloseUnread = "accept-close-unread", Connection, tcp ClosedBeforeResponse, unix ClosedBeforeResponse;
    /// Answers the first bytes, a ClientHello, with something that is not TLS. For a client that speaks https.
    TlsGarbage = "tls-garbage", Connection, tcp Tls, unix Tls;
    /// Answers the first bytes, a ClientHello, with the fatal alert handshake_failure. For a client that speaks https.
    TlsAlert = "tls-alert", Connection, tcp Tls, unix Tls;
    /// Reads the head of the request and resets with its body unread; for bodies that no socket buffer holds.
    ResetWhileSending = "reset-while-sending", Request, tcp WriteFailed, unix WriteFailed;
    /// Reads the head of the request, ends the answer before it began, and resets when the client has gone on sending
    /// all the same; for bodies that no socket buffer holds.
    CloseWhileSending = "close-while-sending", Request, tcp WriteFailed, unix WriteFailed;
    /// Resets before a byte of the answer.
    ResetBefore = "reset-before", Request, tcp ResetBeforeResponse, unix ClosedBeforeResponse;
    /// Closes before a byte of the answer.
    CloseBefore = "close-before", Request, tcp ClosedBeforeResponse, unix ClosedBeforeResponse;
    /// Resets inside the status line.
    ResetStatusLine = "reset-status-line", Request, tcp ResetMidResponse, unix ClosedMidResponse;
    /// Closes inside the status line.
    CloseStatusLine = "close-status-line", Request, tcp ClosedMidResponse, unix ClosedMidResponse;
    /// Resets inside the head, after the status line.
    ResetHead = "reset-head", Request, tcp ResetMidResponse, unix ClosedMidResponse;
    /// Closes inside the head, after the status line.
    CloseHead = "close-head", Request, tcp ClosedMidResponse, unix ClosedMidResponse;
    /// Resets inside a body with a length.
    ResetBodyLength = "reset-body-length", Request, tcp ResetMidResponse, unix ClosedMidResponse;
    /// Closes inside a body with a length.
    CloseBodyLength = "close-body-length", Request, tcp ClosedMidResponse, unix ClosedMidResponse;
    /// Resets inside a chunk of the body.
    ResetBodyChunked = "reset-body-chunked", Request, tcp ResetMidResponse, unix ClosedMidResponse;
    /// Closes inside a chunk of the body.
    CloseBodyChunked = "close-body-chunked", Request, tcp ClosedMidResponse, unix ClosedMidResponse;
    /// Closes after a whole chunk, without the last one.
    CloseBetweenChunks = "close-between-chunks", Request, tcp ClosedMidResponse, unix ClosedMidResponse;
    /// Resets inside a body that the end of the stream delimits.
    ResetBodyEof = "reset-body-eof", Request, tcp ResetMidResponse, unix Unnoticed;
    /// Closes inside a body that the end of the stream delimits: nothing tells it from a whole one.
    CloseBodyEof = "close-body-eof", Request, tcp Unnoticed, unix Unnoticed;
    /// Never answers; waits until the client gives up.
    Stall = "stall", Request, tcp ResponseTimeout, unix ResponseTimeout;
    /// Answers with bytes that are not HTTP, and closes.
    Garbage = "garbage", Request, tcp Malformed, unix Malformed;
    /// Answers 500.
    WrongStatus = "wrong-status", Request, tcp UnexpectedStatus, unix UnexpectedStatus;
    /// Answers 200 with the body `wrong`. For a client that judges the body.
    WrongBody = "wrong-body", Request, tcp UnexpectedBody, unix UnexpectedBody;
    /// Sends header lines until the client gives up: more than any client may accept.
    EndlessHeaders = "endless-headers", Request, tcp Malformed, unix Malformed;
    /// Sends chunks until the client gives up.
    EndlessBody = "endless-body", Request, tcp ResponseTimeout, unix ResponseTimeout;
    /// Sends its answer one byte a second, until the client gives up.
    SlowBytes = "slow-bytes", Request, tcp ResponseTimeout, unix ResponseTimeout;
    /// Sends 2,000 informational responses before the answer: unusual, and allowed (RFC 9110 section 15.2).
    ThousandsInformational = "thousands-1xx", Request, tcp Unnoticed, unix Unnoticed;
    /// Of HTTP/2: says that the client may open no streams (SETTINGS_MAX_CONCURRENT_STREAMS 0); answers those that it
    /// opened before it read so. The others, the server never sees.
    NoStreams = "no-streams", Connection, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: resets the stream with REFUSED_STREAM.
    RstRefused = "rst-refused", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: resets the stream with CANCEL.
    RstCancel = "rst-cancel", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: resets the stream with INTERNAL_ERROR.
    RstInternal = "rst-internal", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: resets the stream with INTERNAL_ERROR in the middle of the body.
    RstMidBody = "rst-mid-body", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: ends the connection in order, with two GOAWAYs a round trip apart, and answers all streams.
    GoawayTwoPhase = "goaway-two-phase", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: ends the connection with one GOAWAY, which names the last stream; the client opened none after it, and
    /// all are answered.
    GoawaySingle = "goaway-single", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: ends the connection with one GOAWAY, which names a stream in the middle of those that are open: those
    /// above it are refused, the others answered. A single one is refused.
    GoawayRefused = "goaway-refused", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: ends the connection with one GOAWAY, which names stream 0: all that are open are refused.
    GoawayZero = "goaway-zero", Request, tcp Unavailable, unix Unavailable;
    /// Of HTTP/2: sends the first of two GOAWAYs, with the highest stream id, and closes with streams open.
    GoawayThenClose = "goaway-then-close", Request, tcp Unavailable, unix Unavailable;
    /// Of gRPC: ends the answer behind its message, without trailers and so without a status.
    TrailersMissing = "trailers-missing", Request, tcp Unavailable, unix Unavailable;
    /// Of gRPC: ends the call with INTERNAL.
    WrongGrpcStatus = "wrong-grpc-status", Request, tcp Unavailable, unix Unavailable;
}

impl FaultKind {
    /// What a client that speaks this protocol must count for one injection. Over HTTP/2 and gRPC, what ends a connection
    /// is injected into each request that is open on it.
    #[must_use]
    pub const fn effect_over(self, protocol: Protocol, transport: Transport) -> Effect {
        use FailureClass::{ClosedBeforeResponse, NoConnection, StreamRefused, StreamReset};
        match (self, protocol) {
            (_, Protocol::Http1)
            | (Self::ResetBefore | Self::CloseBefore | Self::Stall | Self::WrongStatus | Self::WrongBody, _) => {
                self.effect(transport)
            }
            (Self::NoStreams, _) => Effect::Failure(NoConnection),
            (Self::RstRefused | Self::GoawayRefused | Self::GoawayZero, _) => Effect::Failure(StreamRefused),
            (Self::RstCancel | Self::RstInternal | Self::RstMidBody, _) => Effect::Failure(StreamReset),
            (Self::GoawayTwoPhase | Self::GoawaySingle, _) => Effect::Unnoticed,
            (Self::GoawayThenClose, _) => Effect::Failure(ClosedBeforeResponse),
            (Self::TrailersMissing, Protocol::Grpc) => Effect::Failure(FailureClass::ClosedMidResponse),
            (Self::WrongGrpcStatus, Protocol::Grpc) => Effect::Failure(FailureClass::UnexpectedGrpcStatus),
            _ => Effect::Unavailable,
        }
    }

    /// As [`Self::effect`]: what is left of the faults where each request is one message.
    const fn effect_on_messages(self, transport: Transport) -> Effect {
        use Transport::{Fifo, Udp, UnixDgram, UnixSeqpacket};
        let class = match (self, transport) {
            // What the kernel took is all that the client of a FIFO knows.
            (Self::Unread, Fifo) => return Effect::Unnoticed,
            (Self::Refuse, _) => FailureClass::Refused,
            (Self::PathMissing, UnixDgram | UnixSeqpacket | Fifo) => FailureClass::PathMissing,
            (Self::NoPermission, UnixDgram | UnixSeqpacket | Fifo) => FailureClass::Permission,
            (Self::WrongSocketType, UnixSeqpacket | Fifo) => FailureClass::ConnectOther,
            (Self::QueueFull, UnixDgram | UnixSeqpacket | Fifo) | (Self::Overflow, UnixSeqpacket | Fifo) => {
                FailureClass::QueueFull
            }
            (Self::Stall, Udp | UnixDgram | UnixSeqpacket) | (Self::Unread, UnixSeqpacket) => {
                FailureClass::ResponseTimeout
            }
            (Self::WrongBody, Udp | UnixDgram | UnixSeqpacket) => FailureClass::UnexpectedBody,
            (Self::AcceptUnread, UnixSeqpacket) => FailureClass::ResetBeforeResponse,
            (Self::AcceptCloseUnread | Self::CloseBefore, UnixSeqpacket) => FailureClass::ClosedBeforeResponse,
            _ => return Effect::Unavailable,
        };
        Effect::Failure(class)
    }

    /// The class a client must count for one injection; none where it counts an `ok` or the fault does not exist
    /// (see [`Self::effect`]).
    #[must_use]
    pub const fn expected_class(self, transport: Transport) -> Option<FailureClass> {
        self.effect(transport).class()
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What brings a failure class about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injector {
    /// A fault of this server in HTTP/1.1, on a transport.
    Fault(FaultKind, Transport),
    /// A fault of this server in HTTP/2 or gRPC.
    OfStreams(FaultKind, Protocol),
    /// Something done on the client's side, or by another server: what, in a few words.
    Client(&'static str),
}

/// Classes that no fault of this server brings about, or not alone: the client's own.
const CLIENT_INJECTORS: &[(FailureClass, &str)] = &[
    (FailureClass::NoConnection, "more requests due than connections, all of them held by `stall`"),
    (FailureClass::LocalPort, "connect errno EADDRNOTAVAIL: every local port towards the target in use"),
    (FailureClass::LocalFd, "socket errno EMFILE: RLIMIT_NOFILE reached"),
    (FailureClass::Interrupted, "SIGINT while a request is under way"),
];

impl Injector {
    /// Everything that brings `class` about; never empty.
    #[must_use]
    pub fn of(class: FailureClass) -> Vec<Self> {
        let faults = FaultKind::ALL.iter().flat_map(|&kind| Transport::ALL.map(|transport| (kind, transport)));
        let faults = faults.filter(|(kind, transport)| kind.expected_class(*transport) == Some(class));
        let wanted = class;
        let over = |protocol| FaultKind::ALL.iter().map(move |&kind| (kind, protocol));
        let of_streams = [Protocol::Http2, Protocol::Grpc].into_iter().flat_map(over);
        // Those of HTTP/2 are there in gRPC as well.
        let of_streams = of_streams.filter(|&(kind, protocol)| {
            let class = |protocol| kind.effect_over(protocol, Transport::Tcp).class();
            class(protocol) == Some(wanted) && (protocol == Protocol::Http2 || class(Protocol::Http2).is_none())
        });
        let client = CLIENT_INJECTORS.iter().filter(|(of, _)| *of == class);
        faults
            .map(|(kind, transport)| Self::Fault(kind, transport))
            .chain(of_streams.map(|(kind, protocol)| Self::OfStreams(kind, protocol)))
            .chain(client.map(|(_, how)| Self::Client(how)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_that_serde_and_lookup_agree_on() {
        for &kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
            assert!(kind.meaning().ends_with('.'), "{kind} has no sentence");
        }
    }

    #[test]
    fn every_failure_class_has_an_injector() {
        for &class in FailureClass::ALL {
            assert!(!Injector::of(class).is_empty(), "nothing injects {class}");
        }
    }

    /// The row of the class in the README.
    fn documented(class: FailureClass) -> String {
        let mut injectors: Vec<String> = Injector::of(class)
            .into_iter()
            .map(|injector| match injector {
                Injector::Fault(kind, _) | Injector::OfStreams(kind, _) => format!("`{kind}`"),
                Injector::Client(how) => how.to_owned(),
            })
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        injectors.retain(|injector| seen.insert(injector.clone()));
        let counts_as = match class.fault() {
            crate::model::class::Fault::Dropped => "dropped",
            crate::model::class::Fault::Wrong => "wrong",
            crate::model::class::Fault::Unsent => "unsent",
        };
        let curl = class.curl_exit().map_or_else(|| "-".to_owned(), |exit| exit.to_string());
        let when = class.meaning().trim_end_matches('.');
        format!("| `{class}` | {when} | {counts_as} | {curl} | {} |", injectors.join(", "))
    }

    #[test]
    fn every_failure_class_has_its_row_in_the_readme_with_its_injectors_and_its_curl_exit() {
        let readme = include_str!("../../../README.md");
        let rows: Vec<String> = FailureClass::ALL.iter().map(|&class| documented(class)).collect();
        let missing: Vec<_> = rows.iter().filter(|row| !readme.lines().any(|line| line == *row)).collect();
        assert!(missing.is_empty(), "README.md lacks, or has otherwise:\n{}", rows.join("\n"));
    }

    #[test]
    fn a_class_that_a_fault_injects_is_not_left_to_the_client() {
        // Connections can be held in more ways than one.
        for (class, _) in CLIENT_INJECTORS.iter().filter(|(class, _)| *class != FailureClass::NoConnection) {
            assert_eq!(Injector::of(*class).len(), 1, "{class}");
        }
    }

    #[test]
    fn every_kind_exists_on_a_transport_and_those_of_connections_and_requests_on_both_or_in_http2_or_messages_alone() {
        for &kind in FaultKind::ALL {
            let is_available = |&transport: &Transport| kind.effect(transport) != Effect::Unavailable;
            let least = if kind.scope() == Scope::Listener { 1 } else { 2 };
            let is_of_messages = Transport::MESSAGES.iter().any(is_available);
            let is_of_grpc = kind.effect_over(Protocol::Grpc, Transport::Tcp) != Effect::Unavailable;
            let transports = Transport::ALL.iter().filter(|transport| is_available(transport)).count();
            assert!(transports >= least || (transports == 0 && (is_of_grpc || is_of_messages)), "{kind}");
        }
    }
}
