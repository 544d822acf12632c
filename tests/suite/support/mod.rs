//! What tests of every subject share: the program, the turn of those that measure, and what a run came to by its
//! saved result, leaving out what only the machine decides.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gapless::model::Verdict;
use gapless::record::line::{Line, NoteKind};
use gapless::result::{CheckResult, RunResult, ScenarioResult};

pub(crate) const GAPLESS: &str = env!("CARGO_BIN_EXE_gapless");

/// Held while a run measures: two at once would make each other late, and then no verdict is `passed`.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result in the folder of a run.
pub(crate) fn result_in(out: &Path) -> RunResult {
    let bytes = fs::read(out.join("result.json")).expect("result.json is there");
    serde_json::from_slice(&bytes).expect("result.json is a result")
}

/// Every line of a record that was written to its end.
pub(crate) fn lines_of(record: &Path) -> Vec<Line> {
    let text = fs::read_to_string(record).expect("a record");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of a record")).collect()
}

/// Every scenario passed; or was inconclusive because the machine was so busy that the load was late, and for nothing
/// else. Whether a machine is quiet enough to vouch for latencies says nothing of what is tested on it.
pub(crate) fn assert_passed_unless_late(output: &Output, result: &RunResult) {
    let not_as_said: Vec<_> = result.scenarios.iter().filter_map(not_as_said).collect();
    assert!(not_as_said.is_empty(), "{not_as_said:#?}");
    let have_passed = result.scenarios.iter().all(|scenario| scenario.verdict == Verdict::Passed);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(if have_passed { 0 } else { 3 }), "{said}");
}

/// Why the scenario did not pass, but for the lateness of its load.
pub(crate) fn not_as_said(scenario: &ScenarioResult) -> Option<String> {
    let is_late = |check: &CheckResult| check.name == "instrument.lateness" && check.status == Verdict::Inconclusive;
    let mut others = scenario.checks.iter().filter(|check| check.status != Verdict::Passed && !is_late(check));
    // The steps of a busy machine take longer than the load that was given to the other shards.
    let is_slow = |message: &str| message.contains("longer than the other shards loaded");
    let is_in_doubt = scenario.notes.iter().any(|note| note.kind == NoteKind::Doubt && !is_slow(&note.message));
    let is_as_said = match scenario.verdict {
        Verdict::Passed => true,
        Verdict::Inconclusive => others.next().is_none() && !is_in_doubt,
        Verdict::Failed => false,
    };
    (!is_as_said).then(|| format!("{}: {:?}: {:?}", scenario.name, scenario.verdict, scenario.reasons))
}
