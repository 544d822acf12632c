//! The table at the top of a room names every file in it, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that hold tests alone.
const OF_TESTS: [&str; 2] = ["tests", "testing"];

/// The files and folders of a room, by their module's name.
fn files(room: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(room).expect("a folder").map(|entry| entry.expect("readable").path());
    let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") || has_modules(path);
    let names =
        entries.filter(is_module).map(|path| path.file_stem().expect("named").to_str().expect("text").to_owned());
    names.filter(|name| name != "mod" && !OF_TESTS.contains(&name.as_str())).collect()
}

/// A folder of snapshots has none.
fn has_modules(path: &Path) -> bool {
    let is_source = |entry: fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "rs");
    path.is_dir() && fs::read_dir(path).expect("a folder").any(|entry| is_source(entry.expect("readable")))
}

/// What stands in backticks in the first column.
fn named(table: &str) -> BTreeSet<String> {
    let columns = table.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let names = columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn the_table_of_a_room_names_every_file_in_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = fs::read_dir(source).expect("a folder").map(|entry| entry.expect("readable").path());
    let mut with_table = 0;
    for room in rooms.filter(|path| path.is_dir()) {
        // The first file of a room is in it, or has its name.
        let first = [room.join("mod.rs"), room.with_extension("rs")].into_iter().find(|path| path.exists());
        let text = fs::read_to_string(first.expect("a room has a first file")).expect("readable");
        let head: String =
            text.lines().take_while(|line| line.starts_with("//!")).flat_map(|line| [line, "\n"]).collect();
        if head.contains("//! | file | subject |") {
            assert_eq!(named(&head), files(&room), "{}", room.display());
            with_table += 1;
        }
    }
    assert!(with_table >= 7, "{with_table}");
}
