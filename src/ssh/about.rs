//! What the other machine says of itself.

use std::net::IpAddr;

use super::{Destination, SshError};

/// The line before the first that counts: a login may print what it likes before it.
pub(super) const BEGIN: &str = "gapless-hello";

/// The line after the last.
pub(super) const END: &str = "gapless-ready";

/// What the ledger there needs besides sh: coreutils and util-linux have it.
const TOOLS: [&str; 4] = ["flock", "timeout", "head", "truncate"];

/// A machine, as it was when it was connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Of the user that logged in.
    pub uid: u32,
    /// uname(2) nodename.
    pub name: String,
    /// uname(2) release.
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// Its own address on the connection.
    pub address: Option<IpAddr>,
    has_systemd: bool,
    tools: Vec<String>,
}

impl About {
    /// From the lines between the two marks.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut about = Self::default();
        for (word, value) in lines.filter_map(|line| line.trim_end().split_once(' ')) {
            match word {
                // A user that is nobody to us is at least not root.
                "uid" => about.uid = value.parse().unwrap_or(u32::MAX),
                "name" => value.clone_into(&mut about.name),
                "kernel" => value.clone_into(&mut about.kernel),
                "boot" => value.clone_into(&mut about.boot),
                "systemd" => about.has_systemd = value == "yes",
                "has" => about.tools.push(value.to_owned()),
                "address" => about.address = value.parse().ok(),
                _ => {}
            }
        }
        about
    }

    /// Whether units there can be acted on.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub(super) fn is_usable(&self, destination: &Destination) -> Result<(), SshError> {
        if !self.has_systemd {
            return Err(SshError::no_systemd(destination));
        }
        if !self.tools.iter().any(|tool| tool == "systemd-stdio-bridge") {
            return Err(SshError::no_bridge(destination));
        }
        match TOOLS.iter().find(|tool| !self.tools.iter().any(|there| there == *tool)) {
            Some(tool) => Err(SshError::no_tool(destination, tool)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "uid 0\nname h1\nkernel 6.1.0\nboot b\nsystemd yes\nhas systemd-stdio-bridge\nhas flock\n\
                         has timeout\nhas head\nhas truncate\naddress 10.0.0.1\nsomething new\n";

    fn usable(lines: &str) -> Result<(), String> {
        let destination = "root@h1".parse().unwrap();
        About::read(lines.lines()).is_usable(&destination).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_machine_says_of_itself_is_read_and_what_is_unknown_is_ignored() {
        let about = About::read(WHOLE.lines());
        assert_eq!((about.uid, about.name.as_str(), about.boot.as_str()), (0, "h1", "b"));
        assert_eq!(about.address, Some([10, 0, 0, 1].into()));
        assert_eq!(usable(WHOLE), Ok(()));
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        for (line, named) in [
            ("systemd yes\n", "was not booted with systemd"),
            ("has systemd-stdio-bridge\n", "systemd-stdio-bridge"),
            ("has flock\n", "flock"),
        ] {
            let error = usable(&WHOLE.replace(line, "")).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
