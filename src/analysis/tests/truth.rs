//! No two sentences of a report contradict each other or the timeline.

use std::fs;
use std::path::{Path, PathBuf};

use crate::analysis::result::{EventResult, Evidence, ScenarioResult};
use crate::analysis::simulator::stories;
use crate::analysis::{analyse, tests::properties::any_run};
use crate::model::Cause;
use crate::record::Record;

/// What the observers may lag behind what they observe, and the rounding of a sentence, in seconds.
const SLACK_S: f64 = 0.06;

/// The times of a sentence, in seconds: `1.020 s`.
fn times(sentence: &str) -> Vec<f64> {
    let pattern = regex_lite::Regex::new(r"(\d+\.\d{3}) s\b").expect("a pattern");
    pattern.captures_iter(sentence).map(|found| found[1].parse().expect("a number")).collect()
}

fn event_of<'r>(evidence: &Evidence, result: &'r ScenarioResult) -> Option<&'r EventResult> {
    result.events.get(usize::try_from(evidence.event?).ok()?.checked_sub(1)?)
}

/// What is wrong with a report; empty for one that tells the truth.
fn contradictions(result: &ScenarioResult) -> Vec<String> {
    let mut found = Vec::new();
    let mut object =
        |evidence: &Evidence, why: &str| found.push(format!("{}: {why}: {}", result.name, evidence.sentence));
    for evidence in &result.evidence {
        let (sentence, told) = (&evidence.sentence, times(&evidence.sentence));
        if told.iter().any(|at| *at > result.duration_ms / 1e3 + SLACK_S) {
            object(evidence, "a time after the end of the run");
        }
        if let (Some(event), Some(from)) = (event_of(evidence, result), told.first())
            && sentence.contains("between the exit of PID")
        {
            let exit = event.stop_ms.map(|stop_ms| (event.at_ms + stop_ms) / 1e3);
            if exit.is_none_or(|exit| (exit - from).abs() > SLACK_S) {
                object(evidence, "the exit does not lie there");
            }
        }
        let nobody = |other: &&Evidence| {
            other.cause == Cause::NoListener && other.event == evidence.event && overlap(&times(&other.sentence), &told)
        };
        if sentence.contains(" stayed") && result.evidence.iter().any(|other| nobody(&other)) {
            object(evidence, "it stayed, and no process was listening");
        }
        let attested = result.attested.get(&evidence.cause).copied().unwrap_or_default();
        if sentence.ends_with("(attested by the kernel's trace)") && attested < evidence.count {
            object(evidence, "more is attested than the trace confirms");
        }
        if !sentence.starts_with(&evidence.count.to_string()) && !sentence.contains(", ") {
            object(evidence, "another number than was counted");
        }
    }
    if result.reasons.iter().any(|reason| reason.contains("never left TCP_LISTEN"))
        && result.causes.contains_key(&Cause::NoListener)
    {
        found.push(format!("{}: the listener never left, and no process was listening", result.name));
    }
    found
}

/// Whether two sentences speak of the same time: the first two of each are its span.
fn overlap(one: &[f64], other: &[f64]) -> bool {
    let span = |times: &[f64]| Some((*times.first()?, *times.get(1).or(times.first())?));
    span(one).zip(span(other)).is_some_and(|((a, b), (c, d))| a < d && c < b)
}

fn records_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            records_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
}

#[test]
fn no_published_report_contradicts_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    records_below(&root.join("reports"), &mut paths);
    records_below(&root.join("tests/fixtures"), &mut paths);
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        let record = Record::read(std::io::BufReader::new(fs::File::open(&path).expect("a file"))).expect("a record");
        assert_eq!(contradictions(&analyse(&record)), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn no_story_contradicts_itself() {
    for story in [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()] {
        assert_eq!(contradictions(&analyse(&story.record())), Vec::<String>::new());
    }
}

#[test]
fn a_contradiction_is_found() {
    let mut result = analyse(&stories::plain_restart().record());
    result.evidence[0].sentence.push_str(", at 99999.000 s");
    assert_eq!(contradictions(&result).len(), 1);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn no_report_of_any_run_contradicts_itself(run in any_run()) {
        proptest::prop_assert_eq!(contradictions(&analyse(&run.record())), Vec::<String>::new());
    }
}
