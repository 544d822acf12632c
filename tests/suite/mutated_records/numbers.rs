//! Every kind of number in a record, replaced by those that a sum, a scale or a loop may trip over; the checksum is
//! made to fit again, as somebody who means harm would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use gapless::model::Verdict;
use gapless::record::Record;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::mutated_records::document::{RECORDS, leaves, read};

/// A report of a record of this size takes a tenth of a second in a debug build.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the whole of this test may ever hold.
const MEMORY_MAX_KIB: u64 = 1 << 20;

/// Numbers that say again what others say, too: with one of them changed, a record contradicts itself.
const COUNTED_TWICE: &[&str] = &[
    "rows /rows/*/due",
    "rows /rows/*/ok",
    "rows /rows/*/max_us",
    "rows /rows/*/statuses/*/1",
    "rows /rows/*/density/*/1",
    "rows /rows/*/failures/*/n",
    "segment /ok/max_ns",
    "segment /wrong/max_ns",
    "segment /service/max_ns",
    "segment /lateness/max_ns",
];

fn extremes() -> Vec<Value> {
    let whole = [0, 1, u64::from(u16::MAX), u64::from(u32::MAX), u64::MAX].map(|number| json!(number));
    whole.into_iter().chain([json!(-1), json!(i64::MIN), json!(1e308), json!(0.5)]).collect()
}

/// Where a number stands: the line, from 0, and the place in it.
#[derive(Clone, Debug)]
struct Place {
    line: usize,
    pointer: String,
}

struct Lines(Vec<Value>);

impl Lines {
    fn of(record: &str) -> Self {
        Self(record.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    fn numbers(&self) -> Vec<Place> {
        let of_line = |(line, value): (usize, &Value)| {
            let places = leaves(value).into_iter().filter(|at| value.pointer(at).is_some_and(Value::is_number));
            places.map(move |pointer| Place { line, pointer }).collect::<Vec<_>>()
        };
        self.0.iter().enumerate().flat_map(of_line).collect()
    }

    /// What the number is: the type of its line, and its place without the numbers of elements that are alike.
    fn kind(&self, place: &Place) -> String {
        let mut parts: Vec<&str> = place.pointer.split('/').collect();
        let last = parts.len() - 1;
        parts[..last].iter_mut().filter(|part| part.parse::<usize>().is_ok()).for_each(|part| *part = "*");
        format!("{} {}", self.0[place.line]["type"].as_str().expect("every line has one"), parts.join("/"))
    }

    /// One number of each kind, from the middle of the record.
    fn one_of_each_kind(&self) -> BTreeMap<String, Place> {
        let mut kinds: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        self.numbers().into_iter().for_each(|place| kinds.entry(self.kind(&place)).or_default().push(place));
        let middle = |places: Vec<Place>| places[places.len() / 2].clone();
        kinds.into_iter().map(|(kind, places)| (kind, middle(places))).collect()
    }

    /// The record with another number there.
    fn with(&self, place: &Place, number: &Value) -> String {
        let mut lines = self.0.clone();
        *lines[place.line].pointer_mut(&place.pointer).expect("it is there") = number.clone();
        let (end, others) = lines.split_last_mut().expect("it has lines");
        let text = as_text(others);
        if end["type"] == "end" && end == self.0.last().expect("it has lines") {
            end["lines"] = json!(others.len());
            end["checksum"] = json!(format!("{:08x}", crc32fast::hash(text.as_bytes())));
        }
        text + &as_text(std::slice::from_ref(end))
    }
}

fn as_text(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("we run");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The verdict with another number in that place; none if the record is refused.
fn verdict_with(lines: &Lines, place: &Place, number: &Value) -> Option<Verdict> {
    let text = lines.with(place, number);
    let begun = Instant::now();
    let verdict = read(text.as_bytes()).map(|result| result.verdict);
    assert!(begun.elapsed() < PATIENCE, "{place:?} = {number} took {:?}", begun.elapsed());
    verdict
}

fn try_each_kind(record: &str) {
    let lines = Lines::of(record);
    let kinds = lines.one_of_each_kind();
    assert!(kinds.len() > 70, "only {} kinds of numbers were found", kinds.len());
    for (kind, place) in kinds {
        let as_written = lines.0[place.line].pointer(&place.pointer).expect("it is there");
        for number in extremes().iter().filter(|number| *number != as_written) {
            let verdict = verdict_with(&lines, &place, number);
            let contradicts_itself = COUNTED_TWICE.contains(&kind.as_str());
            assert!(!contradicts_itself || verdict != Some(Verdict::Passed), "{kind} = {number} passed");
        }
    }
    let peak = peak_memory_kib();
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}

#[test]
fn no_number_in_the_record_of_a_run_that_passed_brings_a_report_down() {
    try_each_kind(RECORDS[0]);
}

#[test]
fn no_number_in_the_record_of_a_run_that_failed_brings_a_report_down() {
    try_each_kind(RECORDS[1]);
}

#[test]
fn a_record_whose_checksum_was_made_to_fit_is_read() {
    let lines = Lines::of(RECORDS[0]);
    let seed = Place { line: 0, pointer: "/plan/run/seed".to_owned() };
    assert_eq!(verdict_with(&lines, &seed, &json!(2)), Some(Verdict::Passed));
}

/// Its load is said to have ended a month later, and nothing fell due since its last event.
#[test]
fn a_month_in_which_nothing_fell_due_is_not_gone_through_tenth_by_tenth() {
    let mut lines = Lines::of(RECORDS[1]);
    lines.0.retain(|line| line["type"] != "rows" || line["scope"]["event"] != 1);
    let stopped = lines.0.iter().position(|line| line["phase"] == "stopped").expect("it stopped");
    let anchor = lines.0[0]["anchor"].as_u64().expect("a time");
    let at = Place { line: stopped, pointer: "/at".to_owned() };
    let a_month_later = Duration::from_secs(30 * 24 * 3600).as_nanos();
    let later = anchor + u64::try_from(a_month_later).expect("it fits");
    assert_eq!(verdict_with(&lines, &at, &json!(later)), Some(Verdict::Failed));
}

/// Thousands of cohorts that are not in the plan, each with a histogram.
#[test]
fn memory_grows_with_the_record_and_not_with_what_it_pretends() {
    let lines = Lines::of(RECORDS[0]);
    let segment = lines.0.iter().find(|line| line["type"] == "segment").expect("it has some");
    let of_cohort = |cohort: u16| {
        let mut segment = segment.clone();
        segment["cohort"] = json!(cohort);
        segment
    };
    let segments = (0..u16::MAX / 32).flat_map(|cohort| [of_cohort(cohort), of_cohort(cohort)]);
    let text = as_text(&[lines.0[0].clone()].into_iter().chain(segments).collect::<Vec<_>>());
    let record = Record::read(text.as_bytes()).expect("it can be read");
    assert_ne!(gapless::analysis::analyse(&record).verdict, Verdict::Passed);
    let peak = peak_memory_kib();
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}

/// Records of real runs, of which a checkout has some.
fn published() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/gunicorn-nginx/records");
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|file| fs::read_to_string(file.expect("readable").path()).expect("readable")).collect()
}

/// Each takes half a second in a debug build; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn no_number_in_the_record_of_a_real_run_brings_a_report_down(
        record in any::<Index>(), place in any::<Index>(), number in select(extremes()),
    ) {
        let records = published();
        prop_assert!(!records.is_empty(), "this needs a checkout: reports/ has no records");
        let lines = Lines::of(record.get::<String>(&records));
        let numbers = lines.numbers();
        verdict_with(&lines, place.get(&numbers), &number);
    }
}
