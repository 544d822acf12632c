//! Why TLS ended a connection.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What ended a handshake or a TLS stream: the kind of what rustls says, without its details, which have no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsFault {
    /// The certificate's last day has passed.
    CertificateExpired,
    /// The certificate's first day has not come.
    CertificateNotYetValid,
    /// The certificate is for other names.
    WrongName,
    /// No trusted CA issued the certificate.
    UnknownIssuer,
    /// The certificate was revoked.
    CertificateRevoked,
    /// Anything else that is wrong with the certificate.
    BadCertificate,
    /// The two sides share no version, cipher suite or extension.
    NothingInCommon,
    /// What came is not TLS.
    NotTls,
    /// The server ended it by this alert (RFC 8446, 6.2).
    Alert(u8),
    /// The connection ended inside the handshake.
    Ended,
    /// Anything else.
    Other,
}

impl TlsFault {
    /// Whether the certificate is why.
    #[must_use]
    pub fn is_of_certificate(self) -> bool {
        match self {
            Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::WrongName
            | Self::UnknownIssuer
            | Self::CertificateRevoked
            | Self::BadCertificate => true,
            Self::NothingInCommon | Self::NotTls | Self::Alert(_) | Self::Ended | Self::Other => false,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateExpired => "the certificate has expired",
            Self::CertificateNotYetValid => "the certificate is not valid yet",
            Self::WrongName => "the certificate is not valid for this name",
            Self::UnknownIssuer => "the issuer of the certificate is unknown",
            Self::CertificateRevoked => "the certificate was revoked",
            Self::BadCertificate => "the certificate is invalid",
            Self::NothingInCommon => "client and server have no TLS version or cipher suite in common",
            Self::NotTls => "the server does not speak TLS",
            Self::Alert(number) => return write!(f, "the server sent alert {number}{}", alert(*number)),
            Self::Ended => "the server ended the connection inside the handshake",
            Self::Other => "the TLS stream is corrupt",
        })
    }
}

/// The names of the alerts that a server sends to a client it refuses (RFC 8446, 6).
fn alert(number: u8) -> &'static str {
    match number {
        40 => " (handshake_failure)",
        42 => " (bad_certificate)",
        44 => " (certificate_revoked)",
        45 => " (certificate_expired)",
        48 => " (unknown_ca)",
        49 => " (access_denied)",
        70 => " (protocol_version)",
        80 => " (internal_error)",
        112 => " (unrecognized_name)",
        116 => " (certificate_required)",
        120 => " (no_application_protocol)",
        _ => "",
    }
}
