//! The record: everything observed in one run of one scenario, one JSON object a line.
//!
//! Format `gapless/record/1`. [`mod@line`] has the lines, [`begin`] the first of them, [`segment`] and [`generator`] those of the
//! load, [`request`] and [`gate`] those of the steps of these names, [`shard`] those of generators that share a load,
//! [`writer`] and
//! [`reader`] the file. A record is the single source of every report; it is read as a [`fold`], never held whole.

pub mod begin;
pub(crate) mod fold;
pub mod gate;
pub mod generator;
pub mod histogram;
pub mod instances;
pub mod line;
mod packed;
mod plausible;
pub mod reader;
pub mod request;
pub mod segment;
pub mod shard;
pub mod writer;

pub use fold::Record;
pub use histogram::LatencyHistogram;
pub use line::Line;
pub use reader::Fold;
pub use writer::RecordWriter;

/// The format's name and version, in the first line of every record.
pub const SCHEMA: &str = "gapless/record/1";
