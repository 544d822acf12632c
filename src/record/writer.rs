//! Writes a record, line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::line::{End, EndReason, Line};
use crate::model::MonoTime;

/// Appends lines to a record file, each flushed to the kernel before the call returns, so that a record
/// survives its writer.
#[derive(Debug)]
pub struct RecordWriter<W: Write = File> {
    out: W,
    lines: u64,
    checksum: crc32fast::Hasher,
    /// The line that was written last.
    bytes: Vec<u8>,
}

impl RecordWriter<File> {
    /// Makes a new file that only its owner may read; never follows or replaces an old one.
    ///
    /// # Errors
    /// Those of open(2), EEXIST among them.
    pub fn create(path: &Path) -> io::Result<Self> {
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self::new(out))
    }
}

impl<W: Write> RecordWriter<W> {
    /// Writes to `out` from its start.
    pub fn new(out: W) -> Self {
        Self { out, lines: 0, checksum: crc32fast::Hasher::new(), bytes: Vec::new() }
    }

    /// Appends one line: what was written.
    ///
    /// # Errors
    /// Those of write(2). The record is then cut short where it stands; nothing more should be written.
    pub fn write(&mut self, line: &Line) -> io::Result<&[u8]> {
        self.bytes.clear();
        serde_json::to_writer(&mut self.bytes, line)?;
        self.bytes.push(b'\n');
        self.out.write_all(&self.bytes)?;
        self.checksum.update(&self.bytes);
        self.lines += 1;
        Ok(&self.bytes)
    }

    /// Appends the last line: what was written.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(&mut self, reason: EndReason, at: MonoTime) -> io::Result<&[u8]> {
        let checksum = format!("{:08x}", self.checksum.clone().finalize());
        let end = End { reason, at, lines: self.lines, checksum };
        self.write(&Line::End(end))?;
        self.out.flush()?;
        Ok(&self.bytes)
    }
}
