//! Which requests and connections meet a fault: `KIND[@every=N|@first=N|@all]`.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::fault::{FaultKind, Scope};

/// One `--fault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For which of the requests or connections.
    pub occurrence: Occurrence,
}

/// Which of the requests or connections, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// Each.
    All,
    /// Number N, 2N, 3N, ...
    Every(NonZeroU64),
    /// Numbers 1 to N.
    First(NonZeroU64),
}

impl Occurrence {
    /// Whether the one of this number, from 1, is meant.
    #[must_use]
    pub fn contains(self, ordinal: u64) -> bool {
        match self {
            Self::All => true,
            Self::Every(n) => ordinal.is_multiple_of(n.get()),
            Self::First(n) => ordinal <= n.get(),
        }
    }
}

/// Why a `--fault` is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSpecError {
    /// No such kind.
    #[error("there is no fault {name:?}; the kinds are {}", known_kinds())]
    UnknownKind {
        /// What was given.
        name: String,
    },
    /// Neither every=N nor first=N nor all.
    #[error("{text:?} does not say when; say @every=N, @first=N (N from 1) or @all")]
    BadOccurrence {
        /// What was given after the `@`.
        text: String,
    },
    /// The fault has no single requests to choose from.
    #[error("{kind} holds for the whole life of the server: it cannot be limited with @every or @first")]
    NotCountable {
        /// Which.
        kind: FaultKind,
    },
}

fn known_kinds() -> String {
    FaultKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let (name, when) = text.split_once('@').unwrap_or((text, "all"));
        let kind = FaultKind::from_name(name).ok_or_else(|| FaultSpecError::UnknownKind { name: name.to_owned() })?;
        let occurrence = parse_occurrence(when)?;
        if kind.scope() == Scope::Listener && occurrence != Occurrence::All {
            return Err(FaultSpecError::NotCountable { kind });
        }
        Ok(Self { kind, occurrence })
    }
}

fn parse_occurrence(text: &str) -> Result<Occurrence, FaultSpecError> {
    let parsed = match text.split_once('=') {
        None if text == "all" => Some(Occurrence::All),
        Some(("every", n)) => n.parse().ok().map(Occurrence::Every),
        Some(("first", n)) => n.parse().ok().map(Occurrence::First),
        _ => None,
    };
    parsed.ok_or_else(|| FaultSpecError::BadOccurrence { text: text.to_owned() })
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.occurrence {
            Occurrence::All => write!(f, "{}", self.kind),
            Occurrence::Every(n) => write!(f, "{}@every={n}", self.kind),
            Occurrence::First(n) => write!(f, "{}@first={n}", self.kind),
        }
    }
}

/// The fault that number `ordinal` (from 1) of the requests or connections meets: the first of `specs` that means it.
#[must_use]
pub fn choose(specs: &[FaultSpec], scope: Scope, ordinal: u64) -> Option<FaultKind> {
    let meant = |spec: &&FaultSpec| spec.kind.scope() == scope && spec.occurrence.contains(ordinal);
    specs.iter().find(meant).map(|spec| spec.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> FaultSpec {
        text.parse().unwrap()
    }

    fn chosen(specs: &[FaultSpec], scope: Scope, ordinals: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        ordinals.filter(|&ordinal| choose(specs, scope, ordinal).is_some()).collect()
    }

    #[test]
    fn every_third_of_twelve_is_four() {
        assert_eq!(chosen(&[spec("stall@every=3")], Scope::Request, 1..=12), [3, 6, 9, 12]);
    }

    #[test]
    fn the_first_two_are_the_first_two() {
        assert_eq!(chosen(&[spec("stall@first=2")], Scope::Request, 1..=12), [1, 2]);
    }

    #[test]
    fn a_fault_of_connections_leaves_requests_alone() {
        assert_eq!(chosen(&[spec("accept-unread")], Scope::Request, 1..=3), [] as [u64; 0]);
        assert_eq!(chosen(&[spec("accept-unread")], Scope::Connection, 1..=3), [1, 2, 3]);
    }

    #[test]
    fn where_two_faults_mean_the_same_request_the_first_named_wins() {
        let specs = [spec("garbage@every=4"), spec("stall@every=2")];
        let kinds: Vec<_> = (1..=4).map(|ordinal| choose(&specs, Scope::Request, ordinal)).collect();
        assert_eq!(kinds, [None, Some(FaultKind::Stall), None, Some(FaultKind::Garbage)]);
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["stall", "garbage@every=3", "close-before@first=7", "refuse"] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec("stall@all"), spec("stall"));
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        let error = |text: &str| text.parse::<FaultSpec>().unwrap_err();
        assert!(matches!(error("stal"), FaultSpecError::UnknownKind { .. }));
        assert!(error("stal").to_string().contains("close-body-eof"));
        for text in ["stall@every=0", "stall@every", "stall@", "stall@last=2", "stall@first=-1"] {
            assert!(matches!(error(text), FaultSpecError::BadOccurrence { .. }), "{text}");
        }
        assert_eq!(error("refuse@first=3"), FaultSpecError::NotCountable { kind: FaultKind::Refuse });
    }
}
