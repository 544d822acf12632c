//! What an audit says.

use serde::Serialize;

use crate::model::UnitName;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A restart, or the next fault, loses requests or takes the service down.
    Error,
    /// It does so under conditions that are common.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Its word in every format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One fault of one unit. Serialises to the object that scripts read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id, such as `GL020`.
    pub id: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The unit at fault.
    pub unit: UnitName,
    /// The unit's file; none where no file is at fault.
    pub file: Option<String>,
    /// The line in it, from 1; none where no single line is at fault.
    pub line: Option<u32>,
    /// What is wrong, one sentence without its full stop.
    pub message: String,
    /// What it was seen from: a directive, or what the kernel or systemd say.
    pub evidence: String,
    /// What to do: lines to paste.
    pub fix: String,
    /// What the rule is called.
    #[serde(skip)]
    pub title: &'static str,
    /// What comes of the fault.
    #[serde(skip)]
    pub why: &'static str,
}

impl Finding {
    /// The commands of the fix are for a user's systemd.
    pub(super) fn address_users_systemd(&mut self) {
        self.fix = self.fix.replace("systemctl ", "systemctl --user ").replace("journalctl ", "journalctl --user ");
    }
}

/// A place in a unit, of which a rule has something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The unit.
    pub unit: UnitName,
    /// File and line, where there is one; line 0 means the file as a whole.
    pub place: Option<(String, u32)>,
    /// What is seen there.
    pub evidence: String,
}

impl Spot {
    /// The same place, seen from something else.
    #[must_use]
    pub fn seen(self, evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..self }
    }

    /// What is wrong there, and what to do about it.
    #[must_use]
    pub fn says(self, message: impl Into<String>, fix: impl Into<String>) -> Hit {
        Hit { spot: self, message: message.into(), fix: fix.into(), severity: None }
    }
}

/// A fault that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub(super) spot: Spot,
    pub(super) message: String,
    pub(super) fix: String,
    /// Where it weighs other than its rule usually does.
    pub(super) severity: Option<Severity>,
}

impl Hit {
    /// The same fault where it weighs other than its rule usually does.
    #[must_use]
    pub fn weighing(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }
}
