//! Reads a record back, and refuses one that was tampered with.

use std::io::{self, BufRead, Read as _};

use super::SCHEMA;
use super::begin::Begin;
use super::line::{End, Line};
use super::plausible::Limits;

/// The largest record that is read: that of a run under load of several hours.
pub const LARGEST_RECORD_BYTES: u64 = 512 << 20;

/// The longest line: the first may hold a scenario and its unit files of 1 MiB each.
const LONGEST_LINE_BYTES: u64 = 16 << 20;

/// A record as read: its first line, its last if there is one, and all between in order.
#[derive(Clone, Debug)]
pub struct Record {
    /// The first line.
    pub begin: Begin,
    /// Everything between the first line and the last.
    pub lines: Vec<Line>,
    /// The last line; none if the record is incomplete.
    pub end: Option<End>,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read.
    #[error("cannot read the record: {0}")]
    Io(#[from] io::Error),
    /// It has no first line, or that is something else.
    #[error("this is no record: {0}")]
    NotARecord(String),
    /// It is from another version.
    #[error("the record has schema {found}, this version reads {SCHEMA}; use the version that wrote it")]
    Schema {
        /// What it says.
        found: String,
    },
    /// A line in the middle does not parse.
    #[error("line {number} of the record is damaged: {error}")]
    Line {
        /// From 1.
        number: u64,
        /// What the parser says.
        error: serde_json::Error,
    },
    /// A line says what cannot be.
    #[error("line {number} of the record is damaged: {doubt}")]
    Implausible {
        /// From 1.
        number: u64,
        /// What is wrong with it.
        doubt: &'static str,
    },
    /// The checksum or the line count of the last line does not fit.
    #[error("the record was changed after it was written: its {0} does not fit")]
    Changed(&'static str),
    /// It is longer than any that is written.
    #[error("the record is too large to be read: {0}")]
    TooLarge(&'static str),
    /// There is something behind the last line.
    #[error("the record goes on behind its end, at line {0}")]
    BehindEnd(u64),
}

/// Just enough of the first line to know its version.
#[derive(serde::Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    schema: String,
}

impl Record {
    /// Reads a whole record. A last line that was cut in its middle is left out: the record is then incomplete.
    ///
    /// # Errors
    /// When it is no record of this version, or was damaged or changed.
    pub fn read(mut from: impl BufRead) -> Result<Self, RecordError> {
        let mut left = LARGEST_RECORD_BYTES;
        let mut first = Vec::new();
        read_line(&mut from, &mut left, &mut first)?;
        let mut record = Self { begin: parse_begin(&first)?, lines: Vec::new(), end: None };
        let implausible = |number| move |doubt| RecordError::Implausible { number, doubt };
        let mut limits = Limits::of(&record.begin).map_err(implausible(1))?;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&first);
        let mut number = 1;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            read_line(&mut from, &mut left, &mut bytes)?;
            if bytes.is_empty() {
                return Ok(record);
            }
            if record.end.is_some() {
                return Err(RecordError::BehindEnd(number + 1));
            }
            if bytes.last() != Some(&b'\n') {
                return Ok(record);
            }
            let line = parse_line(&bytes).map_err(|error| RecordError::Line { number: number + 1, error })?;
            limits.doubt(&line).map_or(Ok(()), |doubt| Err(implausible(number + 1)(doubt)))?;
            match line {
                Line::End(end) => {
                    if end.lines != number {
                        return Err(RecordError::Changed("number of lines"));
                    }
                    if end.checksum != format!("{:08x}", checksum.clone().finalize()) {
                        return Err(RecordError::Changed("checksum"));
                    }
                    record.end = Some(end);
                }
                other => record.lines.push(other),
            }
            checksum.update(&bytes);
            number += 1;
        }
    }
}

/// Appends the next line to `bytes`; of a record, `left` may still be read.
fn read_line(from: &mut impl BufRead, left: &mut u64, bytes: &mut Vec<u8>) -> Result<(), RecordError> {
    let count = from.by_ref().take(LONGEST_LINE_BYTES + 1).read_until(b'\n', bytes)? as u64;
    if count > LONGEST_LINE_BYTES {
        return Err(RecordError::TooLarge("it has a line of more than 16 MiB"));
    }
    *left = left.checked_sub(count).ok_or(RecordError::TooLarge("it has more than 512 MiB"))?;
    Ok(())
}

/// Rows and segments are nearly all of a record. Read as one of the kinds of [`Line`], each would first be taken apart
/// into values of any type, to find its `type`; where that stands first, as the writer puts it, it is known already.
fn parse_line(bytes: &[u8]) -> serde_json::Result<Line> {
    if bytes.starts_with(br#"{"type":"rows","#) {
        serde_json::from_slice(bytes).map(Line::Rows)
    } else if bytes.starts_with(br#"{"type":"segment","#) {
        serde_json::from_slice(bytes).map(Line::Segment)
    } else {
        serde_json::from_slice(bytes)
    }
}

fn parse_begin(first: &[u8]) -> Result<Begin, RecordError> {
    let header: Header = serde_json::from_slice(first).map_err(|error| RecordError::NotARecord(error.to_string()))?;
    if header.kind != "begin" {
        return Err(RecordError::NotARecord(format!("its first line is {:?}", header.kind)));
    }
    if header.schema != SCHEMA {
        return Err(RecordError::Schema { found: header.schema });
    }
    match serde_json::from_slice(first).map_err(|error| RecordError::Line { number: 1, error })? {
        Line::Begin(begin) => Ok(*begin),
        _ => Err(RecordError::NotARecord("its first line is not its beginning".to_owned())),
    }
}
