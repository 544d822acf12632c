//! Result -> bytes. A renderer touches no clock, file or network: somebody else writes what it returns.
//!
//! Text from outside (names, messages, addresses) is escaped by the rules of each format.
//!
//! | file | subject |
//! |---|---|
//! | `document` | what a report says, before it is laid out |
//! | `terminal`, `markdown`, `html` | the document laid out |
//! | `svg` | charts |
//! | `json`, `junit`, `metrics`, `github` | results for programs |
//! | `manual` | pages of section 5, from the schemas |
//! | `text`, `markup` | escaping and wrapping, in one place for each kind |
//!
//! No figure is computed here, and no layout decides what is said.

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
