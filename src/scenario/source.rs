//! Texts that a scenario is read from, and places in them.
//!
//! Beside the file itself, every `--set key=value` is a text of its own, so a mistake in one is underlined where
//! it was made.

use std::sync::Arc;

use miette::NamedSource;

/// The texts of one scenario: the file first, then the overrides.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Arc<NamedSource<String>>>);

/// A span of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Place {
    /// The start of the file: where things are missing.
    pub(crate) const ROOT: Self = Self { source: 0, start: 0, end: 0 };
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub place: Place,
    pub value: T,
}

impl Sources {
    /// Adds a text and gives its index.
    pub(crate) fn add(&mut self, name: &str, text: String) -> usize {
        self.0.push(Arc::new(NamedSource::new(name, text)));
        self.0.len() - 1
    }

    /// A text with its name.
    pub(crate) fn get(&self, source: usize) -> &Arc<NamedSource<String>> {
        &self.0[source]
    }

    pub(crate) fn text(&self, source: usize) -> &str {
        self.0[source].inner()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
