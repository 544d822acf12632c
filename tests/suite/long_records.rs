//! Memory follows the plan, not the length of the record.

use std::fs::{self, File};
use std::io::BufWriter;
use std::process::{Command, Stdio};

use crate::support::GAPLESS;

#[path = "../../benches/render/hour.rs"]
mod hour;

use hour::Shape;

/// The number of events, whatever the length.
const EVENTS: u64 = 12;

/// The most memory that `gapless report` had for a record of this number of seconds, in KiB: the kernel's own count.
fn peak_kib(seconds: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("records")).expect("made");
    let record = File::create(folder.path().join("records/long.jsonl")).expect("made");
    hour::write(Shape { seconds, spacing_s: seconds / EVENTS, per_row: [3, 1] }, BufWriter::new(record));
    let mut report = Command::new(GAPLESS);
    report.arg("report").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = report.spawn().expect("it starts");
    let mut peak: u64 = 0;
    while child.try_wait().expect("ours").is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or_default());
        std::thread::yield_now();
    }
    assert!(fs::exists(folder.path().join("report.html")).expect("readable"));
    peak
}

#[test]
fn eight_times_as_long_a_record_takes_hardly_more_memory() {
    let (short, long) = (peak_kib(900), peak_kib(8 * 900));
    assert!(short > 0 && long * 5 <= short * 6, "{short} KiB, and {long} KiB of eight times as much");
}
