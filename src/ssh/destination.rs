//! `USER@HOST`, as it is given on the command line.

use std::fmt;
use std::str::FromStr;

/// A machine as `ssh` knows it: `HOST` or `USER@HOST`, where HOST may be an alias of the user's configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(String);

/// Why a text names no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a destination of ssh: {reason}; pass USER@HOST")]
pub struct DestinationError {
    text: String,
    reason: &'static str,
}

impl Destination {
    /// For `ssh`, after `--`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the user.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(_, host)| host)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let wrong = |reason| Err(DestinationError { text: text.to_owned(), reason });
        let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
        if host.is_empty() || text.starts_with('@') {
            return wrong("its user or host is empty");
        }
        if text.starts_with('-') || host.starts_with('-') {
            return wrong("it begins as an option does");
        }
        // What ssh itself refuses since 9.6, and what its configuration's commands must not be given.
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || "\"'`$\\;&|<>(){}".contains(c)) {
            return wrong("it has a character that no host or user has");
        }
        if text.contains("://") {
            return wrong("it is a URL; a port goes into ~/.ssh/config");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_what_ssh_takes_and_never_an_option_or_a_command() {
        for good in ["h1", "root@h1", "deploy@web-1.example.org", "root@10.0.0.1", "root@fe80::1%eth0"] {
            assert_eq!(good.parse::<Destination>().map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "@", "root@", "@h1", "-oProxyCommand=x", "root@-oX", "a b", "h1;reboot", "ssh://h1:22", "h\n1"]
        {
            assert!(bad.parse::<Destination>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_host_is_what_follows_the_user() {
        assert_eq!("root@h1".parse::<Destination>().unwrap().host(), "h1");
        assert_eq!("h1".parse::<Destination>().unwrap().host(), "h1");
    }
}
