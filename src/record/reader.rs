//! Reads a record back, and refuses one that was tampered with.

use std::io::{self, BufRead, Read as _};

use super::begin::Begin;
use super::line::{End, Line};
use super::plausible::Limits;
use super::{Record, SCHEMA};

/// The largest record that is read: that of a run under load of several hours.
pub const LARGEST_RECORD_BYTES: u64 = 512 << 20;

/// The longest line: the first may hold a scenario and its unit files of 1 MiB each.
const LONGEST_LINE_BYTES: u64 = 16 << 20;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read.
    #[error("cannot read the record: {0}")]
    Io(#[from] io::Error),
    /// It has no first line, or that is something else.
    #[error("this is not a record: {0}")]
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
    #[error("the record was changed after it was written: its {0} does not match")]
    Changed(&'static str),
    /// It is longer than any that is written.
    #[error("the record is too large to be read: {0}")]
    TooLarge(&'static str),
    /// There is something behind the last line.
    #[error("the record continues after its end marker, at line {0}")]
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
        let mut fold = Fold::default();
        let mut bytes = Vec::new();
        while fold.lines.read_bytes(&mut from, &mut bytes)? {
            fold.add(&bytes)?;
        }
        fold.record.ok_or_else(|| RecordError::NotARecord("it is empty".to_owned()))
    }
}

/// A record that is read or written line by line.
#[derive(Debug, Default)]
pub struct Fold {
    lines: Lines,
    /// None before the first line.
    record: Option<Record>,
}

impl Fold {
    /// The record so far; none before its first line.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// All of it; none before its first line.
    #[must_use]
    pub fn finish(self) -> Option<Record> {
        self.record
    }

    /// Takes the next line in, as it stands in the file.
    ///
    /// # Errors
    /// When it cannot be the next line of a record of this version. Nothing should be added behind it.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        match (&mut self.record, self.lines.next(bytes)?) {
            (None, Line::Begin(begin)) => self.record = Some(Record::new(*begin)),
            (Some(record), line) => record.add(line),
            (None, _) => {}
        }
        Ok(())
    }
}

/// The lines of a record, one after the other: each is checked, and none is kept.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What they may say; none before the first.
    limits: Option<Limits>,
    has_ended: bool,
    /// Lines before the next one.
    count: u64,
    bytes: u64,
    checksum: crc32fast::Hasher,
}

impl Lines {
    /// The next line, which stands like this in the file. The first is [`Line::Begin`].
    ///
    /// # Errors
    /// When it cannot be the next line of a record of this version.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Line, RecordError> {
        let number = self.count + 1;
        if bytes.len() as u64 > LONGEST_LINE_BYTES {
            return Err(RecordError::TooLarge("it has a line of more than 16 MiB"));
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > LARGEST_RECORD_BYTES {
            return Err(RecordError::TooLarge("it has more than 512 MiB"));
        }
        let implausible = |doubt| RecordError::Implausible { number, doubt };
        let line = match &mut self.limits {
            None => {
                let begin = parse_begin(bytes)?;
                self.limits = Some(Limits::of(&begin).map_err(implausible)?);
                Line::Begin(Box::new(begin))
            }
            Some(_) if self.has_ended => return Err(RecordError::BehindEnd(number)),
            Some(limits) => {
                let line = parse_line(bytes).map_err(|error| RecordError::Line { number, error })?;
                limits.doubt(&line).map_or(Ok(()), |doubt| Err(implausible(doubt)))?;
                if let Line::End(end) = &line {
                    check_end(end, self.count, &self.checksum)?;
                    self.has_ended = true;
                }
                line
            }
        };
        self.checksum.update(bytes);
        self.count = number;
        Ok(line)
    }

    /// Reads the next line; none behind the last. One that was cut in its middle, where no end came before, is none.
    ///
    /// # Errors
    /// As [`Self::next`], and those of the reader.
    pub(crate) fn read(&mut self, from: &mut impl BufRead, bytes: &mut Vec<u8>) -> Result<Option<Line>, RecordError> {
        if !self.read_bytes(from, bytes)? {
            return Ok(None);
        }
        self.next(bytes).map(Some)
    }

    /// Whether there is a next line.
    fn read_bytes(&self, from: &mut impl BufRead, bytes: &mut Vec<u8>) -> Result<bool, RecordError> {
        bytes.clear();
        let count = from.by_ref().take(LONGEST_LINE_BYTES + 1).read_until(b'\n', bytes)?;
        let is_cut = bytes.last() != Some(&b'\n') && count as u64 <= LONGEST_LINE_BYTES;
        let is_over = bytes.is_empty() || (is_cut && !self.has_ended);
        Ok(self.limits.is_none() || !is_over)
    }
}

/// Whether nothing was changed of the lines before the last one.
fn check_end(end: &End, lines: u64, checksum: &crc32fast::Hasher) -> Result<(), RecordError> {
    if end.lines != lines {
        return Err(RecordError::Changed("number of lines"));
    }
    let is_same = end.checksum == format!("{:08x}", checksum.clone().finalize());
    if is_same { Ok(()) } else { Err(RecordError::Changed("checksum")) }
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
