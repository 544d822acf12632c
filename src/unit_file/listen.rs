//! Addresses of ListenStream=, systemd.socket(5).

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::finding::ValueError;
use crate::model::Endpoint;

/// The longest path a Unix socket can have, in bytes: `sun_path` less its final NUL, unix(7).
const PATH_MAX_BYTES: usize = 107;

/// Where a socket unit listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An address and a port.
    Ip(SocketAddr),
    /// A port alone: every address, by `[::]` with IPv4 mapped into it.
    Port(u16),
    /// A Unix socket in the file system, absolute.
    Path(PathBuf),
    /// A Unix socket in the abstract name space; without the `@`.
    Abstract(String),
}

impl ListenAddress {
    /// Reads an address as ListenStream= takes it: `8080`, `127.0.0.1:8080`, `[::1]:8080`, `/run/x.sock`, `@x`.
    ///
    /// # Errors
    /// When it is none of these, such as a host name.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let not = || ValueError::not(text, "address to listen on; say PORT, IP:PORT, [IPV6]:PORT, /PATH or @NAME");
        if text.starts_with('/') {
            return if text.len() <= PATH_MAX_BYTES {
                Ok(Self::Path(PathBuf::from(text)))
            } else {
                Err(ValueError::range(text, "path of a socket (107 bytes)"))
            };
        }
        if let Some(name) = text.strip_prefix('@') {
            return if name.is_empty() { Err(not()) } else { Ok(Self::Abstract(name.to_owned())) };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|&port| port != 0).map(Self::Port).ok_or_else(not);
        }
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        address.map(Self::Ip).ok_or_else(not)
    }

    /// The endpoint clients reach it at; none in the abstract name space.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Ip(address) => Some(Endpoint::Tcp(*address)),
            Self::Port(port) => Some(Endpoint::Tcp(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), *port))),
            Self::Path(path) => Some(Endpoint::Unix(path.clone())),
            Self::Abstract(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Port(port) => write!(f, "[::]:{port}"),
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_man_page_is_read() {
        let parse = |text| ListenAddress::parse(text).expect(text);
        assert_eq!(parse("8080"), ListenAddress::Port(8080));
        assert_eq!(parse("8080").to_string(), "[::]:8080");
        assert_eq!(parse("127.0.0.1:80"), ListenAddress::Ip("127.0.0.1:80".parse().expect("address")));
        assert_eq!(parse("[::1]:80"), ListenAddress::Ip("[::1]:80".parse().expect("address")));
        assert_eq!(parse("/run/a.sock"), ListenAddress::Path("/run/a.sock".into()));
        assert_eq!(parse("@a"), ListenAddress::Abstract("a".to_owned()));
    }

    #[test]
    fn a_host_name_is_no_address() {
        let long = format!("/{}", "x".repeat(107));
        for text in ["localhost:80", "0", "65536", "127.0.0.1", "127.0.0.1:0", "@", "", "run/a.sock", &long] {
            assert!(ListenAddress::parse(text).is_err(), "{text}");
        }
    }
}
