//! TLS for the clients that begin with it, under a certificate that nobody else has.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// What a TLS record begins with that holds a handshake (RFC 8446, section 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// What the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What makes handshakes, with the certificate of this process, which signs itself.
///
/// # Errors
/// When no key can be made.
pub(super) fn acceptor() -> io::Result<TlsAcceptor> {
    static ACCEPTOR: OnceLock<TlsAcceptor> = OnceLock::new();
    if let Some(acceptor) = ACCEPTOR.get() {
        return Ok(acceptor.clone());
    }
    let own = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key.into()))
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(ACCEPTOR.get_or_init(|| TlsAcceptor::from(Arc::new(config))).clone())
}
