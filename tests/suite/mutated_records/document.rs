//! A record as text, and everything that is made of it.

use std::io::BufReader;

use gapless::analysis;
use gapless::model::Verdict;
use gapless::record::Record;
use gapless::render;
use gapless::result::RunResult;
use serde_json::Value;

pub(crate) const RECORDS: &[&str] = &[
    include_str!("../../fixtures/ledger-socket.jsonl"),
    include_str!("../../fixtures/ledger-plain.jsonl"),
    include_str!("../../fixtures/ledger-incomplete.jsonl"),
];

/// What is made of a record; none if it is refused, with a reason.
pub(crate) fn read(bytes: &[u8]) -> Option<RunResult> {
    let record =
        Record::read(BufReader::new(bytes)).inspect_err(|error| assert!(!error.to_string().is_empty())).ok()?;
    let result = analysis::combine(&[record]).expect("there is one");
    render_everything(&result);
    Some(result)
}

fn render_everything(result: &RunResult) {
    drop(render::terminal::render(result, 100, true));
    drop(render::json::render(result));
    drop(render::markdown::render(result));
    drop(render::html::render(result));
    render::junit::render(result).expect("it can be rendered");
    result.scenarios.iter().flat_map(render::svg::files).for_each(drop);
}

/// The places of all leaves, as JSON pointers.
pub(crate) fn leaves(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    find_leaves(value, "", &mut found);
    found
}

fn find_leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let name_of = |name: &str| format!("{at}/{}", name.replace('/', "~1"));
            fields.iter().for_each(|(name, value)| find_leaves(value, &name_of(name), found));
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| find_leaves(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn a_record_as_it_was_written_passes() {
    assert_eq!(read(RECORDS[0].as_bytes()).expect("readable").verdict, Verdict::Passed);
}
