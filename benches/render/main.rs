//! How long a report takes: the record of an hour, with 10,000 failures, is rendered in under a second.
//!
//! `LONG_RECORD=DIR cargo bench --bench render` leaves the run's folder in DIR, to look at.

mod hour;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use divan::Bencher;
use gapless::analysis::{combine, judge_so_far};
use gapless::model::{EventId, MonoTime};
use gapless::record::Record;
use gapless::result::RunResult;
use hour::Shape;

const HOUR: Shape = Shape { seconds: 3_600, spacing_s: 5, per_row: [100, 5] };

/// The bytes of the record: making them takes longer than what is measured.
static RECORD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    hour::write(HOUR, &mut bytes);
    bytes
});
static RESULT: LazyLock<RunResult> = LazyLock::new(|| combine(&[read()]).expect("there is a record"));

fn main() {
    assert_eq!(RESULT.scenarios[0].requests.failed, 720 * hour::FAILURES_PER_EVENT);
    divan::main();
}

fn read() -> Record {
    Record::read(RECORD.as_slice()).expect("it is a record")
}

#[divan::bench(sample_count = 10)]
fn reading_the_record_of_an_hour() -> Record {
    read()
}

#[divan::bench(sample_count = 10)]
fn analysing_it(bencher: Bencher) {
    let record = [read()];
    bencher.bench(|| combine(&record));
}

/// What the control thread does for a gate after an hour.
#[divan::bench(sample_count = 10)]
fn judging_a_gate(bencher: Bencher) {
    let record = read();
    let expect = record.begin.plan.expect.clone();
    bencher.bench(|| judge_so_far(&record, &expect, EventId(719), MonoTime::default()));
}

#[divan::bench(sample_count = 10)]
fn rendering_it_as_html() -> Vec<u8> {
    gapless::render::html::render(&RESULT)
}

/// All of it, as a user sees it: a process that reads the folder and writes every report.
#[divan::bench(sample_count = 10)]
fn gapless_report(bencher: Bencher) {
    let kept = std::env::var_os("LONG_RECORD").map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = kept.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder.join("records")).expect("a writable folder");
    std::fs::write(folder.join("records/hour.jsonl"), &*RECORD).expect("room for it");
    bencher.bench(|| {
        let mut report = Command::new(env!("CARGO_BIN_EXE_gapless"));
        report.arg("report").arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        report.status().expect("it runs").code()
    });
}
