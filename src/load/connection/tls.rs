//! TLS for https targets: which certificates are trusted, and under which name.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::load::error::LoadError;
use crate::scenario::plan::Target;
use crate::trust;

/// Where systems keep their bundle: Debian, Ubuntu, Alpine and Arch; Fedora and RHEL; openSUSE. As in Go's
/// crypto/x509/root_linux.go.
const SYSTEM_CAS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// HTTP/2 over TLS, as ALPN calls it (RFC 9113, section 3.2).
pub(super) const ALPN_H2: &[u8] = b"h2";

/// What a TLS handshake needs.
#[derive(Clone)]
pub(in crate::load) struct Tls {
    /// With the trust of the target.
    pub(in crate::load) connector: TlsConnector,
    /// What the certificate must be for.
    pub(in crate::load) server_name: ServerName<'static>,
    /// The server must choose HTTP/2, which is all that is offered.
    pub(in crate::load) requires_h2: bool,
}

impl Tls {
    /// Reads the certificates that `target` trusts.
    pub(in crate::load) fn new(cohort: &str, target: &Target) -> Result<Self, LoadError> {
        let unusable =
            |reason: String| LoadError::Tls { cohort: cohort.to_owned(), authority: target.authority.clone(), reason };
        let mut config = if target.insecure {
            trust::any_certificate().map_err(|error| unusable(error.to_string()))?
        } else {
            let provider = Arc::new(ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| unusable(error.to_string()))?;
            builder.with_root_certificates(trusted(target.ca_file.as_deref())?).with_no_client_auth()
        };
        let requires_h2 = target.protocol.is_http2();
        let offered = if requires_h2 { ALPN_H2 } else { b"http/1.1" };
        config.alpn_protocols = vec![offered.to_vec()];
        let server_name =
            ServerName::try_from(host(&target.authority).to_owned()).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name, requires_h2 })
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, LoadError> {
    let path = match ca_file {
        Some(path) => path,
        None => system_cas(&SYSTEM_CAS)?,
    };
    let unreadable = |reason: String| LoadError::CaFile { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let added = roots.add(certificate.map_err(|error| unreadable(error.to_string()))?);
        // A system bundle may hold certificates that rustls does not take; a ca_file is meant as a whole.
        if let (Err(error), Some(_)) = (added, ca_file) {
            return Err(unreadable(error.to_string()));
        }
    }
    if roots.is_empty() { Err(unreadable("it holds no certificate".to_owned())) } else { Ok(roots) }
}

/// The first of those that is there.
fn system_cas<'a>(places: &[&'a str]) -> Result<&'a Path, LoadError> {
    let there = places.iter().map(|&place| Path::new(place)).find(|path| path.exists());
    there.ok_or_else(|| LoadError::NoSystemCas { places: places.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_authority_is_what_the_certificate_must_be_for() {
        for (authority, expected) in
            [("a.example", "a.example"), ("a.example:8443", "a.example"), ("[::1]:8443", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(host(authority), expected);
        }
    }

    #[test]
    fn the_systems_bundle_is_the_first_that_is_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let there = file.path().to_str().unwrap();
        assert_eq!(system_cas(&["/gone/a.crt", there, "/"]).unwrap(), file.path());
        let error = system_cas(&["/gone/a.crt", "/gone/b.crt"]).unwrap_err();
        assert!(error.to_string().contains("none of /gone/a.crt, /gone/b.crt"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = trusted(Some(file.path())).unwrap_err();
        assert!(matches!(&error, LoadError::CaFile { path, .. } if path == file.path()), "{error}");
    }
}
