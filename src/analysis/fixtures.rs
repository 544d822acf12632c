//! The committed fixture records are what the simulator writes.

use std::path::PathBuf;

use super::analyse;
use super::simulator::{Simulation, stories};
use crate::record::line::Line;
use crate::record::{Record, RecordWriter};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.jsonl"))
}

/// The bytes of a record file.
fn written(story: &Simulation) -> Vec<u8> {
    let record = story.record();
    let mut bytes = Vec::new();
    let mut writer = RecordWriter::new(&mut bytes);
    writer.write(&Line::Begin(Box::new(record.begin))).expect("memory takes all");
    for line in &record.lines {
        writer.write(line).expect("memory takes all");
    }
    if let Some(end) = record.end {
        writer.finish(end.reason, end.at).expect("memory takes all");
    }
    bytes
}

#[test]
fn the_fixtures_are_what_the_simulator_writes() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for story in [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()] {
        let (path, bytes) = (path(&story.plan.name), written(&story));
        if update {
            std::fs::write(&path, &bytes).expect("the fixture can be written");
        }
        let committed = std::fs::read(&path).expect("the fixture is there");
        assert!(committed == bytes, "{}: UPDATE_FIXTURES=1 cargo test writes it again", path.display());
    }
}

#[test]
fn a_record_read_from_its_file_gives_the_same_result() {
    for story in [stories::plain_restart(), stories::incomplete()] {
        let read = Record::read(written(&story).as_slice()).expect("it is a record");
        assert_eq!(analyse(&read), analyse(&story.record()));
    }
}
