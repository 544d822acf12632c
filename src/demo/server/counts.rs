//! What the server counts, so that it can be set beside what a client counted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::fault::FaultKind;
use super::freeze::Freeze;

/// The path that answers the counts; neither the request nor a connection made for it is counted, nor does the request
/// meet a fault. The connection may: with faults of connections, ask when the load is over, or read the file.
pub const COUNTS_PATH: &str = "/-/counts";

/// What was counted up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Requests whose whole answer the kernel took; wrong answers included, cut ones not.
    pub answered: u64,
    /// Faults done, by kind; kinds that never happened are absent, as are those of the listeners, which the server
    /// cannot count.
    pub injected: BTreeMap<FaultKind, u64>,
    /// When the server is or was frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

impl Counts {
    /// Writes the counts as JSON to `path`, which is either all there or as it was.
    ///
    /// # Errors
    /// When the file or the one beside it cannot be written.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        let beside = beside(path);
        let mut file = fs::File::create(&beside)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        fs::rename(&beside, path)
    }
}

/// A name in the same folder, of this process alone.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// The counters. The server has one thread; they are atomic so that others may look.
#[derive(Debug)]
pub(super) struct Counters {
    /// Connections accepted, to number them. Never taken back.
    accepted: AtomicU64,
    /// Of these, the ones made for [`COUNTS_PATH`].
    inspections: AtomicU64,
    requests: AtomicU64,
    answered: AtomicU64,
    /// By the place of the kind in [`FaultKind::ALL`], which is that of its discriminant.
    injected: Vec<AtomicU64>,
    /// Known once the start delay is over.
    pub(super) freeze: OnceLock<Freeze>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            inspections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            injected: FaultKind::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            freeze: OnceLock::new(),
        }
    }

    /// Counts a connection; its number, from 1.
    pub(super) fn connection(&self) -> u64 {
        self.accepted.fetch_add(1, Relaxed) + 1
    }

    /// Takes back a connection that was made to ask for the counts.
    pub(super) fn inspection(&self) {
        self.inspections.fetch_add(1, Relaxed);
    }

    /// Counts a request; its number, from 1.
    pub(super) fn request(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// Counts an answer; how many there are now.
    pub(super) fn answer(&self) -> u64 {
        self.answered.fetch_add(1, Relaxed) + 1
    }

    /// Counts a fault.
    pub(super) fn injection(&self, kind: FaultKind) {
        self.injected[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        let injected = FaultKind::ALL.iter().zip(&self.injected).map(|(&kind, count)| (kind, count.load(Relaxed)));
        Counts {
            connections: self.accepted.load(Relaxed).saturating_sub(self.inspections.load(Relaxed)),
            requests: self.requests.load(Relaxed),
            answered: self.answered.load(Relaxed),
            injected: injected.filter(|(_, count)| *count > 0).collect(),
            freeze: self.freeze.get().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_gives_back_what_went_in() {
        let counters = Counters::new();
        let ordinals: Vec<_> = (0..5).map(|_| counters.connection()).collect();
        assert_eq!(ordinals, [1, 2, 3, 4, 5]);
        counters.inspection();
        assert_eq!((0..3).map(|_| counters.request()).sum::<u64>(), 6);
        assert_eq!((0..2).map(|_| counters.answer()).sum::<u64>(), 3);
        for (times, &kind) in FaultKind::ALL.iter().enumerate() {
            (0..times).for_each(|_| counters.injection(kind));
        }

        let counts = counters.read();
        assert_eq!((counts.connections, counts.requests, counts.answered), (4, 3, 2));
        for (times, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(counts.injected.get(kind).copied().unwrap_or(0), times as u64, "{kind}");
        }
    }

    #[test]
    fn the_file_reads_back_and_nothing_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.json");
        let counts = Counts { requests: 7, injected: [(FaultKind::Stall, 2)].into(), ..Counts::default() };
        counts.write_to(&path).unwrap();

        let read: Counts = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, counts);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
