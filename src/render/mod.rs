//! Result -> bytes. A renderer touches no clock, file or network: somebody else writes what it returns.
//!
//! Text from outside (names, messages, addresses) is escaped by the rules of each format.

pub(crate) mod document;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod manual;
pub mod markdown;
mod markup;
pub mod metrics;
pub mod svg;
pub mod terminal;
pub(crate) mod text;

pub(crate) use self::text::escape;

#[cfg(test)]
mod tests;
