//! Signals by name.

use serde::{Deserialize, Serialize};

/// A signal of Linux, signal(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(i32);

/// Name (without SIG) and number of the signals on every architecture with systemd's numbering of x86 and arm; the C
/// library keeps the first two real-time signals, 32 and 33, for itself.
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMIN+1", 35),
    ("RTMIN+2", 36),
    ("RTMIN+3", 37),
    ("RTMIN+4", 38),
    ("RTMIN+5", 39),
    ("RTMIN+6", 40),
    ("RTMIN+7", 41),
    ("RTMIN+8", 42),
    ("RTMIN+9", 43),
    ("RTMIN+10", 44),
    ("RTMIN+11", 45),
    ("RTMIN+12", 46),
    ("RTMIN+13", 47),
    ("RTMIN+14", 48),
    ("RTMIN+15", 49),
    ("RTMIN+16", 50),
    ("RTMIN+17", 51),
    ("RTMIN+18", 52),
    ("RTMIN+19", 53),
    ("RTMIN+20", 54),
    ("RTMIN+21", 55),
    ("RTMIN+22", 56),
    ("RTMIN+23", 57),
    ("RTMIN+24", 58),
    ("RTMIN+25", 59),
    ("RTMIN+26", 60),
    ("RTMIN+27", 61),
    ("RTMIN+28", 62),
    ("RTMIN+29", 63),
    ("RTMIN+30", 64),
];

/// SIGTERM, as for kill(1).
impl Default for Signal {
    fn default() -> Self {
        Self::TERM
    }
}

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT: what Ctrl-C sends.
    pub const INT: Self = Self(2);
    /// SIGQUIT: a graceful stop to nginx, an abrupt one to most others.
    pub const QUIT: Self = Self(3);

    /// The number that kill(2) takes.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The signal of that name, with or without `SIG`, in any case, or of that number (1 to 31 and 34 to 64).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        let by_name = NAMES.iter().find(|(known, _)| *known == short);
        let by_number = || short.parse().ok().and_then(|n: i32| NAMES.iter().find(|(_, number)| *number == n));
        by_name.or_else(by_number).map(|&(_, number)| Self(number))
    }

    /// The name without `SIG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, number)| *number == self.0).map_or("?", |(name, _)| name)
    }

    /// Whether a process that does nothing about this signal is ended by it, signal(7).
    #[must_use]
    pub const fn ends_by_default(self) -> bool {
        !matches!(self.0, 17..=23 | 28)
    }
}

impl TryFrom<String> for Signal {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or_else(|| format!("no signal is called {name:?}"))
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.name().to_owned()
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_goes_by_name_with_or_without_sig_or_by_number() {
        for text in ["KILL", "SIGKILL", "sigkill", "9"] {
            assert_eq!(Signal::from_name(text), Some(Signal::KILL), "{text}");
        }
        for text in ["RTMIN+3", "SIGRTMIN+3", "37"] {
            assert_eq!(Signal::from_name(text).map(Signal::number), Some(37), "{text}");
        }
        assert_eq!(Signal::from_name("RTMIN+31"), None);
        assert_eq!(Signal::from_name("32"), None);
        assert_eq!(Signal::from_name("SIGNOPE"), None);
        assert_eq!(Signal::from_name("0"), None);
    }
}
