//! Every renderer over the fixture runs.

use crate::analysis::simulator::stories;
use crate::analysis::{RunResult, combine};
use crate::record::Record;
use crate::render::{json, terminal};

fn stories() -> Vec<Record> {
    [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()]
        .iter()
        .map(super::super::analysis::simulator::Simulation::record)
        .collect()
}

fn result(records: &[Record]) -> RunResult {
    combine(records).expect("there are records")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("renderers write UTF-8")
}

#[test]
fn the_terminal_shows_each_fixture() {
    for record in stories() {
        let name = record.begin.plan.name.clone();
        for width in [60, 80, 120] {
            let shown = text(terminal::render(&result(std::slice::from_ref(&record)), width, false));
            insta::assert_snapshot!(format!("{name}-{width}"), shown);
        }
    }
}

#[test]
fn several_scenarios_are_compared_first() {
    let shown = text(terminal::render(&result(&stories()), 80, false));
    let comparison: Vec<&str> = shown.lines().take(8).collect();
    insta::assert_snapshot!("comparison", comparison.join("\n"));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let result = result(&stories());
    for width in [60, 80, 100, 120] {
        for line in text(terminal::render(&result, width, false)).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn without_colour_there_is_no_escape_sequence_and_with_it_the_words_are_the_same() {
    let result = result(&stories());
    let (plain, coloured) = (text(terminal::render(&result, 80, false)), text(terminal::render(&result, 80, true)));
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}[1;31mFAILED\u{1b}[0m"));
    let stripped = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").expect("a valid pattern").replace_all(&coloured, "");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&stripped), words(&plain));
}

#[test]
fn text_from_outside_cannot_break_out_of_the_terminal() {
    let mut records = stories();
    let evil = "evil\u{1b}]0;owned\u{7}\n\u{1b}[2Jname";
    evil.clone_into(&mut records[0].begin.plan.name);
    evil.clone_into(&mut records[0].begin.plan.cohorts[0].name);
    evil.clone_into(&mut records[0].begin.plan.cohorts[0].target.url);
    let shown = text(terminal::render(&result(&records), 80, false));
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(shown.contains("evil\\u{1b}]0;owned"));
}

#[test]
fn json_shows_each_fixture_and_reads_back_as_it_was() {
    for record in stories() {
        let name = record.begin.plan.name.clone();
        let result = result(std::slice::from_ref(&record));
        let bytes = json::render(&result);
        assert_eq!(serde_json::from_slice::<RunResult>(&bytes).expect("it is a result"), result);
        insta::assert_snapshot!(format!("{name}-json"), text(bytes));
    }
}
