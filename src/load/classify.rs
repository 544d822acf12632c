//! Which failure class: a pure function of error kinds and of the bytes that were counted, never of a text.

use std::error::Error as StdError;
use std::io;

use rustix::io::Errno;
use tokio_rustls::rustls;

use crate::model::{Disposition, FailureClass, TlsFault};

/// What ended a connection, as the wire saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The peer closed it: end of file. With the errno of a reset that came after it: what was written had not been read.
    Closed(Option<i32>),
    /// The connection was reset, or is lost by any other error of the socket.
    Reset(Option<i32>),
    /// A write found it closed (EPIPE).
    Broken(Option<i32>),
    /// A TLS record or alert ended it.
    Tls(TlsFault),
    /// A message was not taken, or the network told that nobody took it: the errno.
    Message(i32),
}

impl Trouble {
    /// What an error of a read or write means.
    pub(super) fn of(error: &io::Error) -> Self {
        if let Some(error) = in_tls(error) {
            return Self::Tls(tls_fault(error));
        }
        match error.kind() {
            // rustls: the peer closed the stream without a close_notify.
            io::ErrorKind::UnexpectedEof => Self::Closed(None),
            io::ErrorKind::BrokenPipe => Self::Broken(error.raw_os_error()),
            _ => Self::Reset(error.raw_os_error()),
        }
    }

    /// The errno behind it.
    pub(super) fn errno(self) -> Option<i32> {
        match self {
            Self::Closed(errno) | Self::Reset(errno) | Self::Broken(errno) => errno,
            Self::Message(errno) => Some(errno),
            Self::Tls(_) => None,
        }
    }

    /// What TLS did not take.
    pub(super) fn tls(self) -> Option<TlsFault> {
        match self {
            Self::Tls(fault) => Some(fault),
            Self::Closed(_) | Self::Reset(_) | Self::Broken(_) | Self::Message(_) => None,
        }
    }
}

/// Why an exchange on an established connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection ended.
    Lost(Trouble),
    /// What came back is not HTTP.
    NotHttp,
    /// What came back is HTTP, but not gRPC.
    NotGrpc,
    /// The answer of gRPC ended without its status.
    NoGrpcStatus,
    /// The id of its stream is above the last one of a GOAWAY.
    StreamRefused,
    /// Its stream was reset with that code.
    StreamReset(u8),
    /// The answer was not whole in time.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// The code of RST_STREAM that says that the request was not processed (RFC 9113, section 7).
const REFUSED_STREAM: u8 = 7;

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// All of the request was taken.
    pub(super) is_written: bool,
    /// Bytes of it that the kernel took.
    pub(super) bytes_out: u64,
    /// Bytes of the answer that came.
    pub(super) bytes_in: u64,
    /// A Unix socket: a peer's abort shows as a close.
    pub(super) unix: bool,
}

/// The class of a connect that failed with `errno`.
pub(super) fn connect_class(errno: i32, unix: bool) -> FailureClass {
    match Errno::from_raw_os_error(errno) {
        Errno::CONNREFUSED => FailureClass::Refused,
        // No process has the FIFO open to read.
        Errno::NXIO if unix => FailureClass::Refused,
        Errno::NOENT if unix => FailureClass::PathMissing,
        Errno::ACCESS | Errno::PERM if unix => FailureClass::Permission,
        Errno::AGAIN if unix => FailureClass::QueueFull,
        Errno::TIMEDOUT => FailureClass::ConnectTimeout,
        Errno::CONNRESET => FailureClass::ConnectReset,
        Errno::ADDRNOTAVAIL => FailureClass::LocalPort,
        Errno::MFILE | Errno::NFILE => FailureClass::LocalFd,
        _ => FailureClass::ConnectOther,
    }
}

/// The class of a message that was not taken, or of which the network told that nobody took it.
fn message_class(errno: i32, unix: bool) -> FailureClass {
    match Errno::from_raw_os_error(errno) {
        // The last reader of the FIFO has closed it.
        Errno::PIPE => FailureClass::Refused,
        Errno::NOBUFS if unix => FailureClass::QueueFull,
        Errno::MSGSIZE | Errno::NOBUFS | Errno::NOMEM => FailureClass::WriteFailed,
        _ => connect_class(errno, unix),
    }
}

fn in_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(<dyn StdError + Send + Sync>::downcast_ref)
}

/// What ended a handshake.
pub(super) fn handshake_fault(error: &io::Error) -> TlsFault {
    in_tls(error).map_or(TlsFault::Ended, tls_fault)
}

fn tls_fault(error: &rustls::Error) -> TlsFault {
    use rustls::{CertificateError as Certificate, Error};
    match error {
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            TlsFault::CertificateExpired
        }
        Error::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            TlsFault::CertificateNotYetValid
        }
        Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            TlsFault::WrongName
        }
        Error::InvalidCertificate(Certificate::UnknownIssuer) => TlsFault::UnknownIssuer,
        Error::InvalidCertificate(Certificate::Revoked) => TlsFault::CertificateRevoked,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => TlsFault::BadCertificate,
        Error::PeerIncompatible(_) => TlsFault::NothingInCommon,
        Error::InvalidMessage(_) => TlsFault::NotTls,
        Error::AlertReceived(alert) => TlsFault::Alert(u8::from(*alert)),
        _ => TlsFault::Other,
    }
}

/// The class of an exchange that failed after its connection was established.
pub(super) fn exchange_class(failure: Failure, progress: Progress) -> FailureClass {
    let trouble = match failure {
        Failure::TimedOut => return FailureClass::ResponseTimeout,
        Failure::NotHttp | Failure::NotGrpc => return FailureClass::Malformed,
        Failure::NoGrpcStatus => return FailureClass::ClosedMidResponse,
        Failure::StreamRefused | Failure::StreamReset(REFUSED_STREAM) => return FailureClass::StreamRefused,
        Failure::StreamReset(_) => return FailureClass::StreamReset,
        Failure::Interrupted => return FailureClass::Interrupted,
        Failure::Lost(Trouble::Tls(_)) => return FailureClass::Tls,
        Failure::Lost(Trouble::Message(errno)) => return message_class(errno, progress.unix),
        Failure::Lost(trouble) => trouble,
    };
    let closed = match trouble {
        Trouble::Closed(_) => true,
        Trouble::Broken(_) => progress.unix,
        Trouble::Reset(_) | Trouble::Tls(_) | Trouble::Message(_) => false,
    };
    match (progress.bytes_in > 0, progress.is_written, closed) {
        (true, _, true) => FailureClass::ClosedMidResponse,
        (true, _, false) => FailureClass::ResetMidResponse,
        (false, false, _) => FailureClass::WriteFailed,
        (false, true, true) => FailureClass::ClosedBeforeResponse,
        (false, true, false) => FailureClass::ResetBeforeResponse,
    }
}

/// How far a request got that has no whole answer.
pub(super) fn disposition(progress: Progress) -> Disposition {
    match (progress.bytes_out, progress.bytes_in) {
        (_, 1..) => Disposition::Partial,
        (1.., 0) => Disposition::Unanswered,
        (0, 0) => Disposition::Unsent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Progress = Progress { is_written: true, bytes_out: 80, bytes_in: 0, unix: false };
    const PARTIAL: Progress = Progress { bytes_in: 5, ..SENT };
    const HALF_WRITTEN: Progress = Progress { is_written: false, bytes_out: 40, ..SENT };
    const RESET: Failure = Failure::Lost(Trouble::Reset(Some(104)));
    const BROKEN: Failure = Failure::Lost(Trouble::Broken(Some(32)));
    const CLOSED: Failure = Failure::Lost(Trouble::Closed(None));

    #[test]
    fn a_connect_is_classified_by_errno_and_family() {
        use FailureClass as C;
        let table = [
            (Errno::CONNREFUSED, C::Refused, C::Refused),
            (Errno::NOENT, C::ConnectOther, C::PathMissing),
            (Errno::ACCESS, C::ConnectOther, C::Permission),
            (Errno::PERM, C::ConnectOther, C::Permission),
            (Errno::AGAIN, C::ConnectOther, C::QueueFull),
            (Errno::TIMEDOUT, C::ConnectTimeout, C::ConnectTimeout),
            (Errno::CONNRESET, C::ConnectReset, C::ConnectReset),
            (Errno::HOSTUNREACH, C::ConnectOther, C::ConnectOther),
            (Errno::ADDRNOTAVAIL, C::LocalPort, C::LocalPort),
            (Errno::MFILE, C::LocalFd, C::LocalFd),
            (Errno::NFILE, C::LocalFd, C::LocalFd),
        ];
        for (errno, tcp, unix) in table {
            assert_eq!(connect_class(errno.raw_os_error(), false), tcp, "{errno}");
            assert_eq!(connect_class(errno.raw_os_error(), true), unix, "{errno}");
        }
    }

    #[test]
    fn a_loss_is_classified_by_the_bytes_before_it() {
        use FailureClass as C;
        let table = [
            (RESET, C::WriteFailed, C::ResetBeforeResponse, C::ResetMidResponse),
            (BROKEN, C::WriteFailed, C::ResetBeforeResponse, C::ResetMidResponse),
            (CLOSED, C::WriteFailed, C::ClosedBeforeResponse, C::ClosedMidResponse),
        ];
        for (failure, half_written, sent, partial) in table {
            assert_eq!(exchange_class(failure, HALF_WRITTEN), half_written, "{failure:?}");
            assert_eq!(exchange_class(failure, SENT), sent, "{failure:?}");
            assert_eq!(exchange_class(failure, PARTIAL), partial, "{failure:?}");
        }
    }

    #[test]
    fn a_message_that_was_not_taken_is_classified_by_errno_and_family() {
        use FailureClass as C;
        let table = [
            (Errno::CONNREFUSED, C::Refused, C::Refused),
            (Errno::AGAIN, C::ConnectOther, C::QueueFull),
            (Errno::NOBUFS, C::WriteFailed, C::QueueFull),
            (Errno::NOENT, C::ConnectOther, C::PathMissing),
            (Errno::PIPE, C::Refused, C::Refused),
            (Errno::NXIO, C::ConnectOther, C::Refused),
            (Errno::MSGSIZE, C::WriteFailed, C::WriteFailed),
        ];
        for (errno, udp, unix) in table {
            let class =
                |unix| exchange_class(Failure::Lost(Trouble::Message(errno.raw_os_error())), Progress { unix, ..SENT });
            assert_eq!((class(false), class(true)), (udp, unix), "{errno}");
        }
    }

    #[test]
    fn a_broken_pipe_on_a_unix_socket_is_a_close() {
        let unix = Progress { unix: true, ..PARTIAL };
        assert_eq!(exchange_class(BROKEN, unix), FailureClass::ClosedMidResponse);
        assert_eq!(exchange_class(RESET, unix), FailureClass::ResetMidResponse);
    }

    #[test]
    fn what_is_no_loss_of_the_connection_does_not_depend_on_bytes() {
        for progress in [SENT, PARTIAL, HALF_WRITTEN] {
            assert_eq!(exchange_class(Failure::TimedOut, progress), FailureClass::ResponseTimeout);
            assert_eq!(exchange_class(Failure::NotHttp, progress), FailureClass::Malformed);
            assert_eq!(exchange_class(Failure::NotGrpc, progress), FailureClass::Malformed);
            assert_eq!(exchange_class(Failure::NoGrpcStatus, progress), FailureClass::ClosedMidResponse);
            assert_eq!(exchange_class(Failure::Lost(Trouble::Tls(TlsFault::Other)), progress), FailureClass::Tls);
            assert_eq!(exchange_class(Failure::Interrupted, progress), FailureClass::Interrupted);
            assert_eq!(exchange_class(Failure::StreamRefused, progress), FailureClass::StreamRefused);
            assert_eq!(exchange_class(Failure::StreamReset(7), progress), FailureClass::StreamRefused);
            assert_eq!(exchange_class(Failure::StreamReset(8), progress), FailureClass::StreamReset);
        }
    }

    #[test]
    fn trouble_is_told_by_kind() {
        let os = |errno: Errno| Trouble::of(&io::Error::from(errno));
        assert_eq!(os(Errno::CONNRESET), Trouble::Reset(Some(104)));
        assert_eq!(os(Errno::PIPE), Trouble::Broken(Some(32)));
        assert_eq!(os(Errno::TIMEDOUT), Trouble::Reset(Some(110)));
        assert_eq!(Trouble::of(&io::ErrorKind::UnexpectedEof.into()), Trouble::Closed(None));
        let record = rustls::Error::DecryptError;
        assert_eq!(Trouble::of(&io::Error::new(io::ErrorKind::InvalidData, record)), Trouble::Tls(TlsFault::Other));
    }

    #[test]
    fn the_disposition_follows_the_bytes() {
        assert_eq!(disposition(Progress { bytes_out: 0, ..SENT }), Disposition::Unsent);
        assert_eq!(disposition(HALF_WRITTEN), Disposition::Unanswered);
        assert_eq!(disposition(PARTIAL), Disposition::Partial);
    }
}
