//! A target made ready: host resolved, request built, expectations compiled.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use super::connection::Tls;
use super::error::LoadError;
use super::mix::Mix;
use super::protocol::{Expectation, RequestTemplate};
use crate::model::Endpoint;
use crate::scenario::plan::{Cohort, Destination, Scheme};

/// What is sent where, and what must come back.
pub(super) struct ReadyTarget {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// For https.
    pub(super) tls: Option<Tls>,
    /// What is sent: at least one request.
    pub(super) requests: Vec<RequestTemplate>,
    /// In which order, where there are several.
    pub(super) mix: Mix,
    /// What must come back.
    pub(super) expect: Expectation,
    /// From the due time until the answer must be whole.
    pub(super) timeout: Duration,
    /// From the due time until the connection must be there.
    pub(super) connect_timeout: Duration,
}

impl ReadyTarget {
    /// Resolves, builds and compiles. `closes` asks the server to close the connection after each answer.
    pub(super) fn new(cohort: &Cohort, closes: bool) -> Result<Self, LoadError> {
        let target = &cohort.target;
        Ok(Self {
            endpoint: resolve(&cohort.name, &target.connect)?,
            tls: (target.scheme == Scheme::Https).then(|| Tls::new(&cohort.name, target)).transpose()?,
            requests: RequestTemplate::all(cohort, closes)?,
            mix: Mix::new(&target.requests.iter().map(|request| request.weight).collect::<Vec<_>>()),
            expect: Expectation::new(&cohort.name, target)?,
            timeout: target.timeout,
            connect_timeout: target.connect_timeout.min(target.timeout),
        })
    }

    /// Whether a request has no bytes.
    pub(super) fn is_silent(&self) -> bool {
        matches!(&self.requests[..], [RequestTemplate::Tcp(bytes)] if bytes.is_empty())
    }
}

/// The address to connect to. A host with several addresses is taken at its first IPv4 one, or else at its
/// first: one name means one listener for the whole run.
fn resolve(cohort: &str, destination: &Destination) -> Result<Endpoint, LoadError> {
    let Some((host, port)) = destination.host() else {
        return destination.endpoint().ok_or(LoadError::NoCohort);
    };
    let unresolvable =
        |reason: String| LoadError::Unresolvable { cohort: cohort.to_owned(), host: host.to_owned(), reason };
    let found: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| unresolvable(error.to_string()))?.collect();
    let chosen = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    let over = if matches!(destination, Destination::Udp { .. }) { Endpoint::Udp } else { Endpoint::Tcp };
    chosen.copied().map(over).ok_or_else(|| unresolvable("it has no address".to_owned()))
}
