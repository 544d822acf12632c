//! Addresses of ListenStream=, systemd.socket(5).

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::finding::ValueError;
use crate::model::Endpoint;
use crate::model::address::of_abstract;

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
    /// What only systemd listens at: AF_VSOCK, an IPv6 address with the name of its interface, or an address that the
    /// instance of a template gives.
    Other(String),
    /// What is not a stream: ListenDatagram=, ListenSequentialPacket=, ListenFIFO=.
    OfType(ListenType, Box<Self>),
}

/// The directives for what is not a stream, and can be spoken to all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter, strum::IntoStaticStr)]
pub enum ListenType {
    /// ListenDatagram=.
    #[strum(serialize = "ListenDatagram")]
    Datagram,
    /// ListenSequentialPacket=.
    #[strum(serialize = "ListenSequentialPacket")]
    SequentialPacket,
    /// ListenFIFO=.
    #[strum(serialize = "ListenFIFO")]
    Fifo,
}

impl ListenType {
    /// The directive.
    #[must_use]
    pub fn directive(self) -> &'static str {
        self.into()
    }

    /// Reads an address as the directive takes it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(self, text: &str) -> Result<ListenAddress, ValueError> {
        let address = ListenAddress::parse(text)?;
        let is_path = matches!(address, ListenAddress::Path(_));
        let is_unix = is_path || matches!(address, ListenAddress::Abstract(_));
        let fits = match self {
            Self::Datagram => true,
            Self::SequentialPacket => is_unix,
            Self::Fifo => is_path,
        };
        let not = || ValueError::not(text, "address for this directive");
        fits.then(|| ListenAddress::OfType(self, Box::new(address))).ok_or_else(not)
    }
}

impl ListenAddress {
    /// Reads an address as ListenStream= takes it: `8080`, `127.0.0.1:8080`, `[::1]:8080`, `/run/x.sock`, `@x`,
    /// `vsock:2:22`. A path below /var/run is one below /run, as systemd reads it.
    ///
    /// # Errors
    /// When it is none of these, such as a host name.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let not = || ValueError::not(text, "address to listen on; say PORT, IP:PORT, [IPV6]:PORT, /PATH or @NAME");
        if text.starts_with('/') {
            let path = without_legacy_run(&PathBuf::from(text).components().collect::<PathBuf>());
            return if path.as_os_str().len() <= PATH_MAX_BYTES {
                Ok(Self::Path(path))
            } else {
                Err(ValueError::range(text, "path of a socket (107 bytes)"))
            };
        }
        if text.starts_with("vsock") {
            return if is_vsock(text) { Ok(Self::Other(text.to_owned())) } else { Err(not()) };
        }
        if let Some(name) = text.strip_prefix('@') {
            return if name.is_empty() { Err(not()) } else { Ok(Self::Abstract(name.to_owned())) };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|&port| port != 0).map(Self::Port).ok_or_else(not);
        }
        let address = |text: &str| text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let scoped = || {
            let (ip, behind) = text.split_once('%')?;
            let (interface, port) = behind.split_once(']')?;
            let is_plain = ip.starts_with('[') && !interface.is_empty();
            address(&format!("{ip}]{port}")).filter(|_| is_plain).map(|_| Self::Other(text.to_owned()))
        };
        address(text).map(Self::Ip).or_else(scoped).ok_or_else(not)
    }

    /// Its directive.
    #[must_use]
    pub fn directive(&self) -> &'static str {
        if let Self::OfType(kind, _) = self { kind.directive() } else { "ListenStream" }
    }

    /// Its path in the file system.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::OfType(_, address) => address.path(),
            _ => None,
        }
    }

    /// The endpoint clients reach it at; none of what only systemd listens at.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Ip(address) => Some(Endpoint::Tcp(*address)),
            Self::Port(port) => Some(Endpoint::Tcp(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), *port))),
            Self::Path(path) => Some(Endpoint::Unix(path.clone())),
            Self::Abstract(name) => Some(Endpoint::Unix(of_abstract(name.as_bytes()))),
            Self::Other(_) => None,
            Self::OfType(kind, address) => match (kind, address.endpoint()?) {
                (ListenType::Datagram, Endpoint::Tcp(address)) => Some(Endpoint::Udp(address)),
                (ListenType::Datagram, Endpoint::Unix(path)) => Some(Endpoint::UnixDgram(path)),
                (ListenType::SequentialPacket, Endpoint::Unix(path)) => Some(Endpoint::UnixSeqpacket(path)),
                (ListenType::Fifo, Endpoint::Unix(path)) => Some(Endpoint::Fifo(path)),
                _ => None,
            },
        }
    }
}

/// `/run/x` for `/var/run/x`: systemd replaces the legacy folder in ListenStream= and its kin (`patch_var_run`).
#[must_use]
pub fn without_legacy_run(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run").map_or_else(|_| path.to_owned(), |below| Path::new("/run").join(below))
}

/// `vsock:CID:PORT`, `vsock-stream:CID:PORT` and so on; without a CID any.
fn is_vsock(text: &str) -> bool {
    let numbers = ["vsock:", "vsock-stream:", "vsock-dgram:", "vsock-seqpacket:"];
    let numbers = numbers.iter().find_map(|prefix| text.strip_prefix(prefix)?.split_once(':'));
    numbers.is_some_and(|(cid, port)| (cid.is_empty() || cid.parse::<u32>().is_ok()) && port.parse::<u32>().is_ok())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Port(port) => write!(f, "[::]:{port}"),
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::Other(text) => f.write_str(text),
            Self::OfType(_, address) => address.fmt(f),
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
        for text in ["vsock::22", "vsock:2:1234", "vsock-stream:2:22", "[fe80::1%eth0]:80"] {
            assert_eq!(parse(text), ListenAddress::Other(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_a_stream_has_an_endpoint_of_its_own() {
        use ListenType::{Datagram, Fifo, SequentialPacket};
        let shown = |kind: ListenType, text| {
            kind.parse(text).ok().and_then(|address| Some(address.endpoint()?.to_string())).unwrap_or_default()
        };
        assert_eq!(shown(Datagram, "127.0.0.1:53"), "udp://127.0.0.1:53");
        assert_eq!(shown(Datagram, "/run/log"), "unix-dgram:/run/log");
        assert_eq!(shown(SequentialPacket, "@x"), "unix-seqpacket:@x");
        assert_eq!(shown(Fifo, "/run/f"), "fifo:/run/f");
        for (kind, text) in [(SequentialPacket, "127.0.0.1:53"), (Fifo, "@x"), (Fifo, "53")] {
            assert!(kind.parse(text).is_err(), "{}={text}", kind.directive());
        }
    }

    #[test]
    fn a_path_below_the_legacy_folder_is_one_below_run() {
        for (text, path) in
            [("/var/run/a.sock", "/run/a.sock"), ("//run//a/", "/run/a"), ("/var/runs/a", "/var/runs/a")]
        {
            assert_eq!(ListenAddress::parse(text), Ok(ListenAddress::Path(path.into())), "{text}");
        }
    }

    #[test]
    fn a_host_name_is_no_address() {
        let long = format!("/{}", "x".repeat(107));
        for text in [
            "vsock:x",
            "vsock:2",
            "[fe80::1%]:80",
            "localhost:80",
            "0",
            "65536",
            "127.0.0.1",
            "127.0.0.1:0",
            "@",
            "",
            "run/a.sock",
            &long,
        ] {
            assert!(ListenAddress::parse(text).is_err(), "{text}");
        }
    }
}
