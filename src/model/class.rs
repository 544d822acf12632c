//! The failure classes: everything that can happen to a request other than the expected answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a class says of who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client lost a connection, never got one, or got half an answer while a request was due.
    Dropped,
    /// A complete answer that is not the expected one.
    Wrong,
    /// The generator's own doing: says nothing of the target.
    Unsent,
}

macro_rules! failure_classes {
    ($($(#[doc = $doc:literal])+ $variant:ident: $fault:ident, curl $curl:expr;)+) => {
        /// Why a request that was due has no `ok`. The names are those of `result.json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[derive(strum::IntoStaticStr, strum::Display, strum::EnumString)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum FailureClass { $($(#[doc = $doc])+ $variant,)+ }

        impl FailureClass {
            /// Every class, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in scenarios, records and reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }

            /// Whether a request of this class was dropped, wrong, or never sent.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)+ }
            }

            /// The exit code curl 7.88 ends with in the same situation; none where curl has no such case.
            #[must_use]
            pub const fn curl_exit(self) -> Option<u8> {
                match self { $(Self::$variant => $curl,)+ }
            }

            /// When a request is given this class, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

failure_classes! {
    /// The kernel answered ECONNREFUSED: no process is listening; of a FIFO, ENXIO: nobody reads.
    Refused: Dropped, curl Some(7);
    /// The Unix socket's path does not exist (ENOENT).
    PathMissing: Dropped, curl Some(7);
    /// The Unix socket may not be connected to by this user (EACCES, EPERM).
    Permission: Dropped, curl Some(7);
    /// The queue of the Unix socket, or the FIFO, is full (EAGAIN); a blocking client would have waited.
    QueueFull: Dropped, curl Some(7);
    /// The connection was not established in time.
    ConnectTimeout: Dropped, curl Some(28);
    /// The connection was reset while it was being established.
    ConnectReset: Dropped, curl Some(7);
    /// Any other error of connect(2); the record has the errno.
    ConnectOther: Dropped, curl Some(7);
    /// No connection of the cohort was free until the timeout: the target held them all.
    NoConnection: Dropped, curl Some(28);
    /// The request could not be written whole and nothing came back.
    WriteFailed: Dropped, curl Some(55);
    /// Sent, then reset before a byte of the answer.
    ResetBeforeResponse: Dropped, curl Some(56);
    /// Sent, then closed before a byte of the answer.
    ClosedBeforeResponse: Dropped, curl Some(52);
    /// Reset when a part of the answer had come.
    ResetMidResponse: Dropped, curl Some(56);
    /// Closed when a part of the answer had come, or a gRPC answer ended without its status.
    ClosedMidResponse: Dropped, curl Some(18);
    /// Sent, and the answer was not whole in time.
    ResponseTimeout: Dropped, curl Some(28);
    /// RST_STREAM with REFUSED_STREAM, or a GOAWAY with a lower last id: the server did not process it.
    StreamRefused: Dropped, curl Some(92);
    /// RST_STREAM with any other code, before the answer was whole.
    StreamReset: Dropped, curl Some(92);
    /// What came back is not HTTP, or not the HTTP that was asked for.
    Malformed: Dropped, curl Some(1);
    /// The TLS handshake or a TLS record failed.
    Tls: Dropped, curl Some(35);
    /// A complete answer with a status that was not expected.
    UnexpectedStatus: Wrong, curl Some(0);
    /// A complete answer with a body that was not expected.
    UnexpectedBody: Wrong, curl Some(0);
    /// A complete gRPC answer with a status that was not expected.
    UnexpectedGrpcStatus: Wrong, curl None;
    /// The generator had no local port left (EADDRNOTAVAIL).
    LocalPort: Unsent, curl None;
    /// The generator had no file descriptor left (EMFILE, ENFILE).
    LocalFd: Unsent, curl None;
    /// The run was interrupted while the request was under way.
    Interrupted: Unsent, curl None;
}

impl FailureClass {
    /// The client lost a connection, never got one, or got half an answer.
    #[must_use]
    pub fn is_dropped(self) -> bool {
        self.fault() == Fault::Dropped
    }

    /// A complete answer that is not the expected one.
    #[must_use]
    pub fn is_wrong(self) -> bool {
        self.fault() == Fault::Wrong
    }

    /// The generator's own doing.
    #[must_use]
    pub fn is_unsent(self) -> bool {
        self.fault() == Fault::Unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_one_name_that_serde_and_lookup_agree_on() {
        for &class in FailureClass::ALL {
            assert_eq!(class.name().parse(), Ok(class));
            let json = serde_json::to_string(&class).expect("a unit variant serialises");
            assert_eq!(json, format!("\"{}\"", class.name()));
            assert!(class.meaning().ends_with('.'), "{class} has no sentence");
            // curl does not speak gRPC.
            let is_unknown_to_curl = class.is_unsent() || class == FailureClass::UnexpectedGrpcStatus;
            assert_eq!(class.curl_exit().is_none(), is_unknown_to_curl, "{class}");
        }
    }
}
