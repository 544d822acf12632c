//! What a long record is cut down to says what all of it said.

use super::Record;
use crate::analysis::analyse;
use crate::analysis::simulator::plan::{failure, plan, queue, restart};
use crate::analysis::simulator::{Request, Simulation, at_ms};
use crate::model::{FailureClass, MonoTime, UnitVerb};
use crate::record::generator::{GeneratorUse, Taken};
use crate::record::line::{EndReason, Line, Looks, Note};
use crate::record::segment::{FailureCount, Row, Rows, Scope};
use crate::result::ScenarioResult;

/// Twenty-five minutes: longer than is kept in seconds.
const END_MS: u64 = 1_500_000;

/// Two restarts, the first of them with losses, the second with slow answers for a minute after it; between them one
/// slow answer, and at last a failure that no event brought.
fn story() -> Simulation {
    let begins = [300_000, 900_000];
    let mut requests = Vec::new();
    for (cohort, period_ms) in [(0_u16, 100_u64), (1, 700)] {
        for due_ms in (0..END_MS).step_by(usize::try_from(period_ms).expect("short")) {
            let due_us = due_ms * 1_000 + u64::from(cohort) * 311;
            let usual = Ok(1_000 + (due_us / 10_000).wrapping_mul(2_654_435_761) % 1_000);
            let fate = match due_ms {
                300_020..=300_299 => Err(failure(FailureClass::Refused, false)),
                900_000..=900_299 => Ok((900_300 - due_ms) * 1_000 + 1_500),
                900_300..=960_000 => Ok(40_000),
                600_000 => Ok(3_000_000),
                1_200_600 => Err(failure(FailureClass::ResponseTimeout, false)),
                _ => usual,
            };
            let end_us = due_us + fate.unwrap_or(if due_ms == 1_200_600 { 10_000_000 } else { 150 });
            requests.push(Request {
                cohort,
                due_us,
                sent_us: Some(due_us + 100),
                end_us: Some(end_us),
                fate: fate.map(|_| 200),
            });
        }
    }
    let gap = [queue(at_ms(300_020), None), queue(at_ms(300_300), Some((2, 0)))];
    // A queue that is hardly ever empty, and a load thread that lacks nothing.
    let inode = |nth| if nth < 601 { 1 } else { 2 };
    let looks = (0..END_MS / 500)
        .zip((0..3).cycle())
        .map(|(nth, queued)| queue(at_ms(nth * 500 + 7), Some((inode(nth), queued))));
    let second = |nth: u64| GeneratorUse {
        shard: 0,
        from: at_ms(nth * 1_000),
        to: at_ms(nth * 1_000 + 1_000),
        cpu_ns: 50_000_000,
        run_delay_ns: Some(1_000_000),
        parked_ns: 900_000_000,
        due: 200,
        begun: 200,
        waiting: nth % 5,
        pauses: Vec::new(),
        pauses_left_out: 0,
        taken: Taken::default(),
    };
    let looked =
        |nth: u64| Looks { from: at_ms(nth * 10_000), to: at_ms(nth * 10_000 + 10_000), longest_ns: 26_000_000 };
    Simulation {
        plan: plan("long", false, UnitVerb::Restart, 2),
        counting_ms: 10_000,
        stopped_ms: END_MS,
        requests,
        events: (0..).zip(begins).map(|(run, begin)| restart(run, begin, false, (22, 24, 310))).collect(),
        other: (gap.into_iter().chain(looks))
            .chain((0..END_MS / 1_000).map(|nth| Line::Generator(second(nth))))
            .chain((0..END_MS / 10_000).map(|nth| Line::Looks(looked(nth))))
            .collect(),
        end: Some(EndReason::Completed),
        flush_ms: 1_000,
        lateness_us: 40,
        hiccup_ms: 0..0,
    }
}

/// When a line is written: rows come with the second after them, as they do in a run.
fn written_at(line: &Line) -> MonoTime {
    match line {
        Line::Rows(rows) => at_ms(rows.rows.iter().map(|row| row.index).max().unwrap_or_default() * 100 + 1_000),
        Line::Generator(generator) => generator.to,
        Line::End(end) => end.at + std::time::Duration::from_secs(60),
        line => super::last_moment(line),
    }
}

/// The record, cut down or whole.
fn folded(story: &Simulation, is_whole: bool) -> Record {
    let mut lines: Vec<Line> = story
        .bytes()
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).expect("a line"))
        .collect();
    let Line::Begin(begin) = lines.remove(0) else { panic!("it begins") };
    lines.sort_by_key(written_at);
    let mut record = Record::new(*begin);
    if is_whole {
        record.tally.settled.points = u64::MAX;
        record.thinned = usize::MAX / 2;
    }
    lines.into_iter().for_each(|line| record.add(line));
    record
}

/// All that is said of it; of its charts what does not depend on their grain.
fn said(record: &Record) -> ScenarioResult {
    let mut result = analyse(record);
    result.charts.columns.clear();
    result.charts.queue.clear();
    result
}

#[test]
fn a_long_record_that_was_cut_down_says_what_the_whole_one_does() {
    let story = story();
    let (cut, whole) = (folded(&story, false), folded(&story, true));
    let rows = |record: &Record| record.tally.windows().map(|(.., window)| window.rows.len()).sum::<usize>();
    assert!(rows(&cut) * 5 < rows(&whole), "{} of {}", rows(&cut), rows(&whole));
    assert!(cut.lines.len() * 3 < whole.lines.len() * 2, "{} of {}", cut.lines.len(), whole.lines.len());
    let (cut, whole) = (said(&cut), said(&whole));
    assert!(whole.recovery_ms.is_some_and(|ms| ms > 50_000.0), "{:?}", whole.recovery_ms);
    assert!(whole.causes.values().sum::<u64>() == 3, "{:?}", whole.causes);
    let json = |result: &ScenarioResult| serde_json::to_string_pretty(result).expect("JSON");
    for (cut, whole) in json(&cut).lines().zip(json(&whole).lines()) {
        assert_eq!(cut, whole);
    }
    assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
}

#[test]
fn hours_of_nothing_but_losses_are_counted_to_the_last_and_take_no_more_room() {
    const ROWS: u64 = 60_000;
    let begin = serde_json::from_slice(story().bytes().split(|byte| *byte == b'\n').next().expect("a line"));
    let Line::Begin(begin) = begin.expect("it is the first") else { panic!("it begins") };
    let mut record = Record::new(*begin);
    let key = failure(FailureClass::Refused, false);
    for index in 0..ROWS {
        let due = at_ms(index * 100);
        let row = Row {
            index,
            due: 3,
            failures: vec![FailureCount { key, n: 3, ends: None }],
            failed_due: Some((due, due)),
            ..Row::default()
        };
        record.add(Line::Rows(Rows { cohort: 0, scope: Scope::Before, rows: vec![row] }));
    }
    let kept: usize = record.tally.windows().map(|(.., window)| window.rows.len()).sum();
    assert!(kept < 21_000, "{kept}");
    let result = analyse(&record);
    assert_eq!((result.requests.failed, result.requests.due), (3 * ROWS, 3 * ROWS));
    assert_eq!(result.causes.values().sum::<u64>(), 3 * ROWS);
    let is_told = |note: &Note| note.message.contains("their causes are told less exactly");
    assert!(result.notes.iter().any(is_told), "{:?}", result.notes);
}
