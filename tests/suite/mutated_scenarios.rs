//! Whatever a scenario's text comes to, it is read or refused with every mistake at a place: never a panic.

use std::fs;
use std::path::Path;

use gapless::scenario::{Overrides, load};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tempfile::TempDir;

const GOOD: &[&str] =
    &[include_str!("../good_scenarios/everything.toml"), include_str!("../good_scenarios/fastapi_restart.toml")];

/// What mutations put in: punctuation of TOML, and values that are wrong almost everywhere.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\t",
    "\\",
    "\u{0}",
    "é",
    "😀",
    "\u{feff}",
    "-1",
    "0",
    "1e400",
    "nan",
    "inf",
    "true",
    "{}",
    "[]",
    "\"\"",
    "99999999999999999999999999999999999999999",
    "1979-05-27T07:32:00Z",
    "\"\\u0000\"",
    "\"<= 99999999999999999999\"",
    "\"1d1d\"",
    "\"http://[\"",
    "a.b.c.d.e = 1\n",
    "[load]\n",
    "[[steps]]\n",
    "[expect.cohort]\n",
    "[[expect.end]]\n",
    "load",
    "steps",
    "headers",
    "url = 1\n",
];

/// One change to a text.
#[derive(Clone, Debug)]
enum Mutation {
    Insert(Index, &'static str),
    Delete(Index, usize),
    /// The line is put elsewhere as well.
    Repeat(Index, Index),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), select(PIECES)).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (index(), 1..20_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (index(), index()).prop_map(|(line, to)| Mutation::Repeat(line, to)),
        index().prop_map(Mutation::Cut),
    ]
}

fn mutated(text: &str, mutation: &Mutation) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = |index: &Index| index.index(chars.len() + 1);
    match mutation {
        Mutation::Insert(at, piece) => {
            let at = place(at);
            chars.splice(at..at, piece.chars());
        }
        Mutation::Delete(at, length) => {
            let at = place(at);
            chars.drain(at..(at + length).min(chars.len()));
        }
        Mutation::Repeat(line, to) => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            if let Some(&repeated) = lines.get(line.index(lines.len().max(1))) {
                lines.insert(to.index(lines.len() + 1), repeated);
            }
            return lines.concat();
        }
        Mutation::Cut(at) => chars.truncate(place(at)),
    }
    chars.into_iter().collect()
}

/// Loads `text` and checks what holds of every answer.
fn check(text: &[u8], set: Vec<String>) -> Result<(), TestCaseError> {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("s.toml");
    fs::write(&path, text).expect("written");
    match load(Path::new(&path), &Overrides { times: None, set }) {
        Ok(scenario) => prop_assert!(!scenario.plan.cohorts.is_empty()),
        Err(errors) => {
            prop_assert!(!errors.mistakes().is_empty());
            for mistake in errors.mistakes() {
                prop_assert!(mistake.advice().is_some(), "{}", mistake);
            }
            prop_assert!(
                errors.render(false, 80).contains(errors.mistakes()[0].message().split(' ').next().unwrap_or(""))
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_mutated_scenario_is_read_or_refused(good in select(GOOD), mutations in prop::collection::vec(mutation(), 1..6)) {
        let text = mutations.iter().fold(good.to_owned(), |text, mutation| mutated(&text, mutation));
        check(text.as_bytes(), Vec::new())?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        check(&bytes, Vec::new())?;
    }

    #[test]
    fn any_override_is_read_or_refused(
        good in select(GOOD),
        key in "(load|steps|expect|run|target)?(\\.(0|1|closed|rate|headers|cohort)){0,3}\\PC{0,5}",
        value in "\\PC{0,12}",
    ) {
        check(good.as_bytes(), vec![format!("{key}={value}"), value])?;
    }
}

#[test]
fn nesting_without_end_is_refused_like_any_other_mistake() {
    for piece in ["[", "{a=", "a.", "[[a.", "load.0."] {
        let text = format!("name = \"s\"\nx = {}", piece.repeat(10_000));
        check(text.as_bytes(), Vec::new()).expect("refused");
        check(piece.repeat(10_000).as_bytes(), vec![format!("{}x=1", piece.repeat(1_000))]).expect("refused");
    }
}
