//! What is to be said about a unit file.

use std::fmt;

use crate::model::UnitName;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// systemd goes on without the line.
    Warning,
    /// systemd does not load the unit.
    Error,
}

/// Something about one line of a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The line it is about, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// One sentence without its full stop.
    pub message: String,
}

impl Finding {
    /// A finding systemd only warns about.
    pub fn warning(line: u32, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, line, message: message.into() }
    }

    /// A finding that keeps the unit from loading.
    pub fn error(line: u32, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    /// `LINE: message`, so that a file name and a colon may stand before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}: ", self.line)?;
        }
        f.write_str(&self.message)
    }
}

/// A directive that systemd knows and that nothing here acts on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IgnoredDirective {
    /// The unit, or template, of the file.
    pub unit: UnitName,
    /// Its key, such as `MemoryMax`.
    pub directive: String,
    /// Its line, from 1.
    pub line: u32,
}

/// Why a value is not what its directive takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is something else.
    #[error("{text:?} is no {expected}")]
    Not {
        /// The value.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It is out of range.
    #[error("{text:?} is out of range for a {expected}")]
    Range {
        /// The value.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A quote is not closed, or a backslash has nothing behind it.
    #[error("unbalanced quoting in {0:?}")]
    Quoting(String),
    /// A specifier that stands for nothing here.
    #[error("%{letter} is not a specifier of systemd; write %% for a percent sign")]
    Specifier {
        /// The letter behind the percent sign.
        letter: char,
    },
    /// The program of a command line.
    #[error("{0:?} is neither an absolute path nor the plain name of a program")]
    Program(String),
}

impl ValueError {
    /// `text` is not a `expected`.
    #[must_use]
    pub fn not(text: &str, expected: &'static str) -> Self {
        Self::Not { text: text.to_owned(), expected }
    }

    /// `text` is too large or too small.
    #[must_use]
    pub fn range(text: &str, expected: &'static str) -> Self {
        Self::Range { text: text.to_owned(), expected }
    }
}
