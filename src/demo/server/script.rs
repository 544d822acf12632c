//! What goes over the wire for a fault of a request: some bytes, and an ending.

use super::fault::FaultKind;

/// How it goes on after the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The answer was whole: the connection may serve on.
    Answered,
    /// FIN.
    Close,
    /// RST; on a Unix socket, as [`Ending::Close`].
    Reset,
    /// Nothing more, until the client gives up.
    Wait,
    /// It goes on in HTTP/2.
    Upgrade,
}

/// What is sent before the ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// These.
    Cut(&'static str),
    /// A whole answer of this status and body.
    Whole(u16, &'static str),
    /// The first, then the second this number of times, then what `/` answers.
    Prelude(&'static str, u32),
    /// The first, then the second over and over.
    Endless(&'static str, &'static str),
    /// These, one a second.
    Drip(&'static str),
    /// The end of our side. This number of bytes is read of a body that comes all the same.
    End(u64),
}

/// More than socket buffers hold by default, tcp(7): who has sent that much has seen our end, if he looks at all.
const READ_ON_BYTES: u64 = 16 << 20;

const STATUS_LINE: &str = "HTTP/1.1 20";
const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nContent-Le";
const LENGTH: &str =
    "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nContent-Length: 64\r\n\r\nhalf of these sixty-four bytes, ";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nhalf of a chunk ";
const BETWEEN_CHUNKS: &str =
    "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n";
const EOF: &str = "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nConnection: close\r\n\r\nhalf of a body ";
const GARBAGE: &str = "\u{1}\u{2} this is not HTTP\r\n\r\n";
const ENDLESS_HEADERS: &str = "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\n";
const ENDLESS_BODY: &str = "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nTransfer-Encoding: chunked\r\n\r\n";
const DRIP: &str = "HTTP/1.1 200 OK\r\nServer: gapless-demo\r\nContent-Length: 1048576\r\n\r\n";
const INFORMATIONAL: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";

/// The script of a fault of requests; none for the faults of connections, listeners and HTTP/2, which have none.
pub(super) fn of(kind: FaultKind) -> Option<(Bytes, Ending)> {
    use Bytes::{Cut, Drip, End, Endless, Prelude, Whole};
    use Ending::{Answered, Close, Reset, Wait};
    Some(match kind {
        FaultKind::ResetWhileSending | FaultKind::ResetBefore => (Cut(""), Reset),
        FaultKind::CloseWhileSending => (End(READ_ON_BYTES), Reset),
        FaultKind::CloseBefore => (Cut(""), Close),
        FaultKind::ResetStatusLine => (Cut(STATUS_LINE), Reset),
        FaultKind::CloseStatusLine => (Cut(STATUS_LINE), Close),
        FaultKind::ResetHead => (Cut(HEAD), Reset),
        FaultKind::CloseHead => (Cut(HEAD), Close),
        FaultKind::ResetBodyLength => (Cut(LENGTH), Reset),
        FaultKind::CloseBodyLength => (Cut(LENGTH), Close),
        FaultKind::ResetBodyChunked => (Cut(CHUNKED), Reset),
        FaultKind::CloseBodyChunked => (Cut(CHUNKED), Close),
        FaultKind::CloseBetweenChunks => (Cut(BETWEEN_CHUNKS), Close),
        FaultKind::ResetBodyEof => (Cut(EOF), Reset),
        FaultKind::CloseBodyEof => (Cut(EOF), Close),
        FaultKind::Stall => (Cut(""), Wait),
        FaultKind::Garbage => (Cut(GARBAGE), Close),
        FaultKind::WrongStatus => (Whole(500, "wrong status\n"), Answered),
        FaultKind::WrongBody => (Whole(200, "wrong\n"), Answered),
        FaultKind::EndlessHeaders => (Endless(ENDLESS_HEADERS, "X-Endless: header\r\n"), Wait),
        FaultKind::EndlessBody => (Endless(ENDLESS_BODY, "8\r\nendless \r\n"), Wait),
        FaultKind::SlowBytes => (Drip(DRIP), Wait),
        FaultKind::ThousandsInformational => (Prelude(INFORMATIONAL, 2_000), Answered),
        FaultKind::Refuse
        | FaultKind::QueueFull
        | FaultKind::ResetHandshake
        | FaultKind::PathMissing
        | FaultKind::NoPermission
        | FaultKind::WrongSocketType
        | FaultKind::AcceptUnread
        | FaultKind::AcceptCloseUnread
        | FaultKind::TlsGarbage
        | FaultKind::TlsAlert
        | FaultKind::NoStreams
        | FaultKind::RstRefused
        | FaultKind::RstCancel
        | FaultKind::RstInternal
        | FaultKind::RstMidBody
        | FaultKind::GoawayTwoPhase
        | FaultKind::GoawaySingle
        | FaultKind::GoawayRefused
        | FaultKind::GoawayZero
        | FaultKind::GoawayThenClose
        | FaultKind::TrailersMissing
        | FaultKind::WrongGrpcStatus
        | FaultKind::Unread
        | FaultKind::Overflow => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Effect, Scope, Transport};
    use super::*;

    #[test]
    fn the_faults_of_requests_of_http1_and_no_others_have_a_script() {
        for &kind in FaultKind::ALL {
            let is_of_http1 = kind.effect(Transport::Tcp) != Effect::Unavailable;
            assert_eq!(of(kind).is_some(), kind.scope() == Scope::Request && is_of_http1, "{kind}");
        }
    }

    #[test]
    fn bodies_are_cut_where_their_head_says_there_is_more() {
        let body = |answer: &'static str| answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(body(LENGTH).len(), 32);
        let (size, begun) = body(CHUNKED).split_once("\r\n").unwrap();
        assert_eq!((usize::from_str_radix(size, 16), begun.len()), (Ok(32), 16));
        assert!(body(BETWEEN_CHUNKS).ends_with("\r\n"));
    }
}
