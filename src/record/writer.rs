//! Writes a record, line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::Record;
use super::line::{End, EndReason, Line};
use super::reader::RecordError;
use crate::model::MonoTime;

/// Appends lines to a record file, each flushed to the kernel before the call returns, so that a record
/// survives its writer.
#[derive(Debug)]
pub struct RecordWriter<W: Write = File> {
    out: W,
    lines: u64,
    checksum: crc32fast::Hasher,
}

impl RecordWriter<File> {
    /// Makes a new file that only its owner may read; never follows or replaces an old one.
    ///
    /// # Errors
    /// Those of open(2), EEXIST among them.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self::new(out))
    }

    /// Reads what was written until now: a record without an end.
    ///
    /// # Errors
    /// Those of read(2), and as [`Record::read`].
    pub fn so_far(&self) -> Result<Record, RecordError> {
        read_back(&self.out)
    }
}

/// Reads what was written to a record's file until now.
///
/// # Errors
/// Those of read(2), and as [`Record::read`].
pub fn read_back(file: &File) -> Result<Record, RecordError> {
    Record::read(BufReader::new(FromStart { file, offset: 0 }))
}

/// Reads a file without moving the offset that it is written at.
struct FromStart<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl<W: Write> RecordWriter<W> {
    /// Writes to `out` from its start.
    pub fn new(out: W) -> Self {
        Self { out, lines: 0, checksum: crc32fast::Hasher::new() }
    }

    /// Appends one line.
    ///
    /// # Errors
    /// Those of write(2). The record is then cut short where it stands; nothing more should be written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.checksum.update(&bytes);
        self.lines += 1;
        Ok(())
    }

    /// Appends the last line.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self, reason: EndReason, at: MonoTime) -> io::Result<W> {
        let checksum = format!("{:08x}", self.checksum.clone().finalize());
        let end = End { reason, at, lines: self.lines, checksum };
        self.write(&Line::End(end))?;
        self.out.flush()?;
        Ok(self.out)
    }
}
