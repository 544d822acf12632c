//! The committed fixture records are what the simulator writes.

use std::path::PathBuf;

use super::simulator::stories;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.jsonl"))
}

#[test]
fn the_fixtures_are_what_the_simulator_writes() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for story in [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()] {
        let (path, bytes) = (path(&story.plan.name), story.bytes());
        if update {
            std::fs::write(&path, &bytes).expect("the fixture can be written");
        }
        let committed = std::fs::read(&path).expect("the fixture is there");
        assert!(committed == bytes, "{}: UPDATE_FIXTURES=1 cargo test writes it again", path.display());
    }
}
