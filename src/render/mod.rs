//! Result -> bytes. A renderer touches no clock, file or network: somebody else writes what it returns.
//!
//! Text from outside (names, messages, addresses) is escaped by the rules of each format.

pub mod json;
pub mod terminal;
pub(crate) mod text;

#[cfg(test)]
mod tests;
