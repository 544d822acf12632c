//! Scenarios with mistakes, and what is said about each: one snapshot per file.

use std::fs;
use std::path::{Path, PathBuf};

use gapless::scenario::{Overrides, ScenarioErrors, load};

/// Relative, so that the snapshots hold no path of this machine; tests run in the package's folder.
const FOLDER: &str = "tests/bad_scenarios";

fn bad_scenarios() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).expect("the corpus is a part of the source");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

fn mistakes_in(path: &Path) -> ScenarioErrors {
    match load(path, &Overrides::default()) {
        Ok(_) => panic!("{} was taken for a good scenario", path.display()),
        Err(errors) => errors,
    }
}

#[test]
fn every_mistake_is_underlined_and_helped() {
    for path in bad_scenarios() {
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../snapshots/bad_scenarios" }, {
            insta::assert_snapshot!(name, mistakes_in(&path).render(false, 100));
        });
    }
}

#[test]
fn every_mistake_has_a_position_and_an_advice() {
    for path in bad_scenarios() {
        for mistake in mistakes_in(&path).mistakes() {
            let position = mistake.position().unwrap_or_else(|| panic!("{}: {mistake}", path.display()));
            assert!(position.starts_with(&format!("{}:", path.display())), "{position}");
            assert!(mistake.advice().is_some_and(|advice| !advice.is_empty()), "{position}: {mistake}");
        }
    }
}

#[test]
fn the_corpus_is_not_lost() {
    assert!(bad_scenarios().len() >= 100, "{}", bad_scenarios().len());
}
