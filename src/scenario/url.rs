//! The URL of a target, taken apart.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plan::Scheme;
use super::suggest;
use crate::model::address::abstract_name;

/// Those that name a host, with the port that is the scheme's own.
const SCHEMES: &[(&str, Scheme, Option<u16>)] = &[
    ("http", Scheme::Http, Some(80)),
    ("https", Scheme::Https, Some(443)),
    ("tcp", Scheme::Tcp, None),
    ("udp", Scheme::Message, None),
];

/// Those that name a socket of this machine.
const SOCKET_SCHEMES: &[(&str, Scheme)] = &[
    ("unix", Scheme::Tcp),
    ("unix-dgram", Scheme::Message),
    ("unix-seqpacket", Scheme::Message),
    ("fifo", Scheme::Fifo),
];

/// The most bytes that a Unix socket's path or name can have, unix(7).
pub(crate) const LONGEST_SOCKET_BYTES: usize = 107;

/// A URL, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub scheme: Scheme,
    /// The value of an Authorization header from `user:password@`.
    pub authorization: Option<String>,
    /// The socket, where the scheme names one: an absolute path, or `@NAME`.
    pub socket: Option<PathBuf>,
    /// Without brackets; empty with a socket.
    pub host: String,
    /// As given; none if the scheme's own is meant.
    pub port: Option<u16>,
    /// Path and query; `/` if there is none.
    pub path: String,
    /// The URL as given, without `user:password@`.
    pub text: String,
}

/// A mistake in a URL: what is wrong, and what to do.
pub(crate) type UrlMistake = (String, String);

impl Url {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlMistake> {
        if let Some(of_socket) = of_socket(text) {
            return of_socket;
        }
        if let Some(mistake) = around_socket(text) {
            return Err(mistake);
        }
        let (name, rest) = text.split_once("://").ok_or_else(|| {
            if let Some(name) = foreign_scheme(text) {
                return (format!("unknown scheme \"{name}\""), format!("it can be {}", listed()));
            }
            let example = if text.contains("//") { "127.0.0.1:8000/" } else { text };
            ("this URL has no scheme".to_owned(), format!("write it in full: \"http://{example}\""))
        })?;
        let names: Vec<_> = names().collect();
        let Some(&(_, scheme, _)) = SCHEMES.iter().find(|(known, ..)| name.eq_ignore_ascii_case(known)) else {
            let help = suggest::nearest(name, names)
                .map_or_else(|| format!("it can be {}", listed()), |best| format!("did you mean `{best}`?"));
            return Err((format!("unknown scheme \"{name}\""), help));
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let url = Self {
            scheme,
            authorization: userinfo.map(basic).transpose()?,
            socket: None,
            host,
            port,
            path: checked_path(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })?,
            text: format!("{name}://{place}{path}"),
        };
        if !scheme.speaks_http() && !path.is_empty() {
            return Err((format!("a {name} URL has no path"), format!("write \"{name}://{place}\"")));
        }
        Ok(url)
    }

    /// The name of its scheme.
    pub(crate) fn scheme_name(&self) -> &'static str {
        let own = self.text.split(':').next().unwrap_or_default();
        names().find(|name| own.eq_ignore_ascii_case(name)).unwrap_or_default()
    }

    /// The port that is meant; none for `tcp` without one.
    pub(crate) fn effective_port(&self) -> Option<u16> {
        let default = SCHEMES.iter().find(|(_, scheme, _)| *scheme == self.scheme).and_then(|&(.., port)| port);
        self.port.or(default)
    }

    /// Host, in brackets if it is an IPv6 address, with the port where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = Self { port: None, ..self.clone() }.effective_port();
        match self.port.filter(|port| Some(*port) != default) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    SCHEMES.iter().map(|(name, ..)| *name).chain(SOCKET_SCHEMES.iter().map(|(name, _)| *name))
}

/// Such as `http, https or tcp`.
fn listed() -> String {
    let names: Vec<_> = names().collect();
    let (last, others) = names.split_last().map_or(("", &names[..]), |(last, others)| (*last, others));
    format!("{} or {last}", others.join(", "))
}

/// Whether a URL is one of HTTP, as far as its scheme tells: what has no scheme that is known is taken for one.
#[must_use]
pub fn speaks_http(url: &str) -> bool {
    scheme_of(url).is_none_or(Scheme::speaks_http)
}

/// Whether a request to a URL is one message, as far as its scheme tells.
#[must_use]
pub fn sends_messages(url: &str) -> bool {
    scheme_of(url).is_some_and(Scheme::sends_messages)
}

fn scheme_of(url: &str) -> Option<Scheme> {
    let name = url.split(':').next().unwrap_or_default();
    let of_hosts = SCHEMES.iter().map(|(name, scheme, _)| (*name, *scheme));
    let mut known = of_hosts.chain(SOCKET_SCHEMES.iter().copied());
    known.find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, scheme)| scheme)
}

/// What every URL matches.
pub(crate) fn pattern() -> String {
    let of_hosts: Vec<_> = SCHEMES.iter().map(|(name, ..)| *name).collect();
    let of_sockets: Vec<_> = SOCKET_SCHEMES.iter().map(|(name, _)| *name).collect();
    format!("^(({})://|({}):[/@])", of_hosts.join("|"), of_sockets.join("|"))
}

/// What is wrong with a URL that has another scheme before that of a socket, as in `https://unix:/PATH`; none if it has not.
fn around_socket(text: &str) -> Option<UrlMistake> {
    let (name, rest) = text.split_once(':')?;
    let rest = rest.trim_start_matches('/');
    let (socket, place) = rest.split_once(':')?;
    let &(socket, scheme) = SOCKET_SCHEMES.iter().find(|(known, _)| socket.eq_ignore_ascii_case(known))?;
    let is_of_host = SCHEMES.iter().any(|(known, ..)| name.eq_ignore_ascii_case(known));
    if !is_of_host || !place.starts_with(['/', '@']) {
        return None;
    }
    let help = if scheme.sends_messages() {
        format!("messages to it are sent as they are: write \"{socket}:{place}\"")
    } else {
        format!(
            "write \"{socket}:{place}\" for a service of bytes; for HTTP, url = \"http://localhost/\" with unix = \"{place}\""
        )
    };
    Some((format!("`{name}:` before the URL of a socket"), help))
}

/// The scheme of a URL such as `netlink:kobject`, which no `//` follows: not a host with its port.
fn foreign_scheme(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    let is_known = SCHEMES.iter().any(|(known, ..)| name.eq_ignore_ascii_case(known));
    (is_name && !is_known && !rest.starts_with(|c: char| c.is_ascii_digit() || c == '/')).then_some(name)
}

/// A URL that names a socket of this machine: `unix:/PATH` or `unix:@NAME`; none if `text` has another scheme.
fn of_socket(text: &str) -> Option<Result<Url, UrlMistake>> {
    let (name, rest) = text.split_once(':')?;
    let &(name, scheme) = SOCKET_SCHEMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    let place = rest.strip_prefix("//").unwrap_or(rest);
    Some(checked_socket(place, name).map(|socket| Url {
        scheme,
        authorization: None,
        socket: Some(socket),
        host: String::new(),
        port: None,
        path: "/".to_owned(),
        text: format!("{name}:{place}"),
    }))
}

/// # Errors
/// What is wrong with the path or the abstract name of a socket.
fn checked_socket(text: &str, scheme: &str) -> Result<PathBuf, UrlMistake> {
    let path = PathBuf::from(text);
    let name = abstract_name(&path);
    if scheme == "fifo" {
        let help = "write \"fifo:/run/app/app.fifo\"".to_owned();
        return if path.is_absolute() { Ok(path) } else { Err(("a fifo URL has an absolute path".to_owned(), help)) };
    }
    if !path.is_absolute() && name.is_none_or(<[u8]>::is_empty) {
        let help = format!("write \"{scheme}:/run/app/app.sock\", or \"{scheme}:@NAME\" for an abstract one");
        return Err((format!("a {scheme} URL has the absolute path of a socket"), help));
    }
    if name.map_or(text.len(), <[u8]>::len) > LONGEST_SOCKET_BYTES {
        let help = "put the socket somewhere nearer to the root".to_owned();
        return Err((format!("the path of a Unix socket has at most {LONGEST_SOCKET_BYTES} bytes"), help));
    }
    Ok(path)
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), UrlMistake> {
    let (host, port) = if let Some(inner) = place.strip_prefix('[') {
        let (host, port) = inner.split_once(']').ok_or_else(|| bad_host("the bracket is not closed"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(bad_host(&format!("{host:?} is no IPv6 address")));
        }
        (host, port)
    } else {
        let (host, port) = place.split_at(place.find(':').unwrap_or(place.len()));
        if port.matches(':').count() > 1 {
            return Err(bad_host(&format!("an IPv6 address stands in brackets: [{place}]")));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() {
            return Err(bad_host("it is empty"));
        }
        if let Some(character) = host.chars().find(|&c| !allowed(c)) {
            return Err(bad_host(&format!("it cannot hold {character:?}")));
        }
        (host, port)
    };
    if port.is_empty() {
        return Ok((host.to_owned(), None));
    }
    let digits = port.strip_prefix(':').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()).filter(|port| *port > 0) {
        Some(port) => Ok((host.to_owned(), Some(port))),
        None => Err((format!("bad port \"{}\"", port.trim_start_matches(':')), "a port is 1 to 65535".to_owned())),
    }
}

fn bad_host(why: &str) -> UrlMistake {
    (format!("bad host: {why}"), "a host is a name, an IPv4 address, or an IPv6 address in brackets".to_owned())
}

/// Checks path and query: what can stand in the first line of a request.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn checked_path(path: String) -> Result<String, UrlMistake> {
    if !path.starts_with('/') {
        return Err(("the path does not start with a slash".to_owned(), format!("write \"/{path}\"")));
    }
    match path.chars().find(|&c| !c.is_ascii_graphic() || "\"<>\\^`{|}#".contains(c)) {
        Some('#') => {
            Err(("the path has a fragment".to_owned(), "leave out `#` and what follows: it is never sent".to_owned()))
        }
        Some(c) => Err((format!("the path cannot hold {c:?}"), format!("percent-encode it: {}", percent_encoded(c)))),
        None => Ok(path),
    }
}

fn percent_encoded(character: char) -> String {
    let hex = character.to_string().bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>();
    format!("%{}", hex.join("%"))
}

/// RFC 7617.
fn basic(userinfo: &str) -> Result<String, UrlMistake> {
    let decoded = percent_decoded(userinfo).ok_or_else(|| {
        ("bad percent-encoding before the @".to_owned(), "write %40 for @, %3A for :, %25 for %".to_owned())
    })?;
    let colon = if userinfo.contains(':') { "" } else { ":" };
    Ok(format!("Basic {}", STANDARD.encode([&decoded[..], colon.as_bytes()].concat())))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|(why, _)| panic!("{text}: {why}"))
    }

    #[test]
    fn the_port_is_named_only_where_it_is_not_the_schemes_own() {
        assert_eq!(good("http://a:80/x").authority(), "a");
        assert_eq!(good("http://a:8008/x").authority(), "a:8008");
        assert_eq!(good("https://a:443").authority(), "a");
        assert_eq!(good("https://a:80").authority(), "a:80");
        assert_eq!(good("tcp://a:80").authority(), "a:80");
        assert_eq!(good("http://[::1]:8008/").authority(), "[::1]:8008");
        assert_eq!(good("http://[::1]:8008/").host, "::1");
    }

    #[test]
    fn path_and_query_are_sent_as_written() {
        assert_eq!(good("http://a").path, "/");
        assert_eq!(good("http://a?x=1").path, "/?x=1");
        assert_eq!(good("http://a/b%20c?x=1&y").path, "/b%20c?x=1&y");
    }

    #[test]
    fn credentials_become_a_header_and_leave_the_url() {
        let url = good("http://user:p%40ss@a:8008/x");
        assert_eq!(url.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(url.text, "http://a:8008/x");
        assert_eq!(good("http://user@a").authorization.as_deref(), Some("Basic dXNlcjo="));
    }

    #[test]
    fn a_socket_is_named_by_its_path_or_by_its_abstract_name() {
        for (text, socket) in [("unix:@a", "@a"), ("unix:/run/a", "/run/a"), ("unix:///run/a", "/run/a")] {
            let url = good(text);
            assert_eq!(
                (url.scheme, url.socket.as_deref()),
                (Scheme::Tcp, Some(std::path::Path::new(socket))),
                "{text}"
            );
            assert_eq!((url.text.as_str(), url.scheme_name()), (format!("unix:{socket}").as_str(), "unix"));
        }
        let long = format!("unix:@{}", "x".repeat(108));
        for text in ["unix:", "unix:@", "unix:run/a", &long] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert_eq!(pattern(), "^((http|https|tcp|udp)://|(unix|unix-dgram|unix-seqpacket|fifo):[/@])");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(http://)?\\PC*") {
            let _ = Url::parse(&text);
        }
    }
}
