//! What a report says, before it is laid out.
//!
//! ```text
//! result -> document -> terminal | markdown | html
//! ```
//!
//! The document decides what is said: which sections, rows, columns and sentences, and in which order. A layout gives
//! it a form and leaves nothing out but what it has no room for, so that no two formats say different things. Formats
//! differ in one thing, their [`Level`].
//!
//! | file | subject |
//! |---|---|
//! | [`blocks`] | the parts that documents are made of |
//! | [`table`] | columns, each declared once: name, level, and what it shows of a row |
//! | [`run`] | the document of a run, and its comparison of scenarios |
//! | [`scenario`] | the sections of one scenario |
//! | [`events`] | the section of its events |
//! | `bars` | scenarios next to each other, as bars of text |
//! | [`glossary`] | what columns and bands mean |
//! | `instances` | who answered |
//! | [`losses`] | the sections of what was lost and why |
//! | [`other`] | the documents of a comparison of runs and of a calibration |

mod bars;
pub(crate) mod blocks;
mod events;
pub(crate) mod glossary;
mod instances;
mod losses;
pub(crate) mod other;
pub(crate) mod run;
mod scenario;
mod shown;
pub(crate) mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::bars::bars;
pub(crate) use self::blocks::{Block, Cause, Content, Document, Level, Part, Span, Tile};
pub(crate) use self::events::subject;
pub(crate) use self::shown::Shown;
pub(crate) use self::table::{Cell, Kind, Table, Tone};
