//! What a simulated record holds, the record of a real run holds as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::stories;

/// What the harness writes since the runs in `reports/` were published.
const NEWER: &[&str] = &["looks", "begin.plan.run.max_unseen"];

/// Where something stands in the lines of a record: their type, then the keys that lead to it.
fn places(record: &str) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for line in record.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let kind = line["type"].as_str().expect("every line has one").to_owned();
        add(&line, kind, &mut places);
    }
    places
}

fn add(value: &Value, place: String, places: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, field)| add(field, format!("{place}.{key}"), places)),
        Value::Array(elements) => elements.iter().for_each(|element| add(element, place.clone(), places)),
        _ => {
            places.insert(place);
        }
    }
}

fn published() -> BTreeSet<String> {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let runs = fs::read_dir(reports).expect("this needs a checkout, which has reports/");
    let folders = runs.map(|run| run.expect("readable").path().join("records")).filter(|folder| folder.is_dir());
    let records = folders.flat_map(|folder| fs::read_dir(folder).expect("readable"));
    let texts = records.map(|record| fs::read_to_string(record.expect("readable").path()).expect("UTF-8"));
    texts.flat_map(|text| places(&text)).collect()
}

#[test]
fn a_simulated_record_holds_nothing_that_no_real_one_does() {
    let real = published();
    assert!(real.len() > 100, "{real:?}");
    for story in [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()] {
        let simulated = places(&String::from_utf8(story.bytes()).expect("JSON is UTF-8"));
        let is_newer = |place: &str| NEWER.iter().any(|kind| place.starts_with(kind));
        let unreal: Vec<_> = simulated.difference(&real).filter(|place| !is_newer(place)).collect();
        assert_eq!(unreal, [""; 0], "{}", story.plan.name);
    }
}
