//! Every renderer over the fixture runs.

use crate::analysis::combine;
use crate::analysis::simulator::stories;
use crate::record::Record;
use crate::render::{github, html, json, junit, markdown, svg, terminal};
use crate::result::RunResult;

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

/// What `result.json` keeps of a result.
fn without_charts(mut result: RunResult) -> RunResult {
    for scenario in &mut result.scenarios {
        scenario.charts = crate::result::charts::Charts::default();
        scenario.scenario_text.clear();
    }
    result
}

/// Every document that is made of a result, by name.
fn documents(result: &RunResult) -> Vec<(String, String)> {
    let whole = [
        ("report.html", html::render(result)),
        ("report.md", markdown::render(result)),
        ("junit.xml", junit::render(result).expect("memory takes all")),
        ("result.json", json::render(result)),
        ("annotations", github::annotations(result).into_bytes()),
    ];
    let whole = whole.into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
    let charts = result.scenarios.iter().flat_map(svg::files);
    whole.chain(charts).map(|(name, bytes)| (name, text(bytes))).collect()
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
fn where_there_is_little_room_the_comparison_leaves_figures_out_rather_than_break_names() {
    let stories = stories();
    let shown = text(terminal::render(&result(&stories), 60, false));
    let comparison: Vec<&str> = shown.lines().skip(2).take(1 + stories.len()).collect();
    assert!(comparison[0].ends_with("verdict       dropped  p99 ms  stall ms"), "{comparison:?}");
    for (line, record) in comparison[1..].iter().zip(&stories) {
        assert!(line.starts_with(&format!("{} ", record.begin.plan.name)), "{line}");
    }
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
        assert_eq!(serde_json::from_slice::<RunResult>(&bytes).expect("it is a result"), without_charts(result));
        insta::assert_snapshot!(format!("{name}-json"), text(bytes));
    }
}

#[test]
fn markdown_junit_page_and_charts_show_each_fixture() {
    for record in stories() {
        let name = record.begin.plan.name.clone();
        let result = result(std::slice::from_ref(&record));
        insta::assert_snapshot!(format!("{name}-md"), text(markdown::render(&result)));
        insta::assert_snapshot!(format!("{name}-junit"), text(junit::render(&result).expect("memory takes all")));
        insta::assert_snapshot!(format!("{name}-html"), text(html::render(&result)));
        for (path, chart) in svg::files(&result.scenarios[0]) {
            insta::assert_snapshot!(path.replace('/', "-"), text(chart));
        }
    }
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let (one, other) = (result(&stories()), result(&stories()));
    assert_eq!(documents(&one), documents(&other));
}

/// Tries to end whatever it is put into, in every format at once.
const EVIL: &str = "\"'>--></title></style></pre>]]><script>alert(1)</script>&lt;|`` **x** ![i](http://evil.example/)\u{1b}[2J\r\n# h\n::error::x\u{0}\u{202e}";

/// A result in which everything that may come from outside is evil.
fn evil() -> RunResult {
    let mut records = stories();
    for record in &mut records {
        EVIL.clone_into(&mut record.begin.plan.name);
        EVIL.clone_into(&mut record.begin.plan.description);
        EVIL.clone_into(&mut record.begin.host.name);
        EVIL.clone_into(&mut record.begin.host.kernel);
        EVIL.clone_into(&mut record.begin.started_at);
        record.begin.scenario_text = format!("```\n````\n{EVIL}\n</details>");
        EVIL.clone_into(&mut record.begin.plan.cohorts[0].name);
        EVIL.clone_into(&mut record.begin.plan.cohorts[0].target.url);
        record.begin.manager.as_mut().expect("there is one").reason = EVIL.to_owned();
        let note = crate::record::line::Note { kind: crate::record::line::NoteKind::Info, message: EVIL.to_owned() };
        record.lines.push(crate::record::line::Line::Note(note));
    }
    let mut result = result(&records);
    for scenario in &mut result.scenarios {
        scenario.reasons.push(EVIL.to_owned());
        scenario.checks.iter_mut().for_each(|check| check.actual.push_str(EVIL));
        scenario.evidence.iter_mut().for_each(|evidence| evidence.sentence.push_str(EVIL));
        for state in scenario.charts.units.iter_mut().flat_map(|band| &mut band.states) {
            state.sub_state = EVIL.to_owned();
        }
    }
    result
}

#[test]
fn text_from_outside_cannot_break_out_of_any_document() {
    let result = evil();
    for (name, document) in documents(&result) {
        assert!(document.chars().all(|c| c == '\n' || !c.is_control()), "{name} has a raw control character");
        // JSON is data: what is not a control character stands in it as it is.
        let runs_backwards = document.contains('\u{202e}') && extension(&name) != "json";
        assert!(!runs_backwards, "{name} has text that runs backwards");
        if extension(&name) != "json" && name != "annotations" {
            let outside_of_fences = without_fences(&name, &document);
            assert!(!outside_of_fences.contains("<script"), "{name} has a script");
            let has_image = extension(&name) == "md" && outside_of_fences.contains("![i]");
            assert!(!has_image, "{name} has an image of somebody else's");
        }
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Markdown without what stands in its fences, where nothing is markup.
fn without_fences(name: &str, document: &str) -> String {
    if extension(name) != "md" {
        return document.to_owned();
    }
    let mut fence: Option<String> = None;
    let mut outside = Vec::new();
    for line in document.lines() {
        let ticks = "`".repeat(line.chars().take_while(|&c| c == '`').count());
        match &fence {
            Some(open) if line == open => fence = None,
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => outside.push(line),
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "a fence stays open");
    outside.join("\n")
}

#[test]
fn tables_keep_their_columns_whatever_is_in_their_cells() {
    let tidy = |result: &RunResult| {
        let page = text(markdown::render(result));
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        page.lines().filter(|line| line.starts_with('|')).map(bars).collect::<Vec<_>>()
    };
    assert_eq!(
        tidy(&evil()),
        tidy(&{
            let mut plain = evil();
            let calm = |text: &mut String| "calm".clone_into(text);
            for scenario in &mut plain.scenarios {
                calm(&mut scenario.name);
                scenario.checks.iter_mut().for_each(|check| calm(&mut check.actual));
                scenario.cohorts.iter_mut().for_each(|cohort| {
                    calm(&mut cohort.name);
                    calm(&mut cohort.target);
                });
            }
            plain
        })
    );
}

#[test]
fn the_page_and_the_charts_are_well_formed_and_load_nothing() {
    for (name, document) in documents(&evil()) {
        if extension(&name) == "svg" || extension(&name) == "html" {
            assert_balanced(&name, &document);
            for loader in [" src=", "@import", "url(", "<link", "<iframe", "<object", "<image"] {
                assert!(!document.contains(loader), "{name} loads something: {loader}");
            }
        }
    }
}

/// Every element that is opened is closed, in order.
fn assert_balanced(name: &str, document: &str) {
    let mut open = Vec::new();
    for tag in document.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("{name}: <{tag} has no end"));
        let element = tag.split([' ', '\n']).next().unwrap_or_default();
        match element.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{name}"),
            None if tag.ends_with('/') || tag.starts_with('!') || element == "meta" => {}
            None => open.push(element),
        }
    }
    assert!(open.is_empty(), "{name} leaves {open:?} open");
}

#[test]
fn junit_is_well_formed_and_has_a_case_for_each_check() {
    let result = evil();
    let junit = text(junit::render(&result).expect("memory takes all"));
    assert_balanced("junit.xml", &junit.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", ""));
    let checks: usize = result.scenarios.iter().map(|scenario| scenario.checks.len()).sum();
    assert_eq!(junit.matches("<testcase ").count(), checks);
}

#[test]
fn text_from_outside_cannot_break_out_of_the_terminal_s_sections_or_of_a_comparison() {
    let (before, after) = (result(&stories()), evil());
    let comparison = crate::analysis::compare::compare(&before, &after);
    let shown = [
        terminal::render(&after, 80, false),
        terminal::render_comparison(&comparison, 80, false),
        markdown::render_comparison(&comparison, &[]),
    ];
    for document in shown.map(text) {
        assert!(document.chars().all(|c| c == '\n' || !c.is_control()), "a raw control character: {document}");
        assert!(!document.contains('\u{202e}'), "text that runs backwards: {document}");
    }
    let comparison = text(markdown::render_comparison(&comparison, &[]));
    assert!(!comparison.contains("<script") && !comparison.contains("![i]"), "{comparison}");
}

#[test]
fn chart_files_stay_in_their_folder() {
    let mut result = result(&stories());
    "../../etc/passwd".clone_into(&mut result.scenarios[0].name);
    let paths: Vec<String> = svg::files(&result.scenarios[0]).into_iter().map(|(path, _)| path).collect();
    let expected = ["timeline", "percentiles", "waits"].map(|chart| format!("charts/.._.._etc_passwd-{chart}.svg"));
    assert_eq!(paths, expected);
}

#[test]
fn a_comparison_shows_what_changed() {
    let mut records = [stories::socket_restart().record(), stories::plain_restart().record()];
    records.iter_mut().for_each(|record| "ledger".clone_into(&mut record.begin.plan.name));
    let [before, after] = records.map(|record| result(&[record]));
    let comparison = crate::analysis::compare::compare(&before, &after);
    insta::assert_snapshot!("comparison-terminal", text(terminal::render_comparison(&comparison, 80, false)));
    insta::assert_snapshot!("comparison-md", text(markdown::render_comparison(&comparison, &[])));
    insta::assert_snapshot!("comparison-json", text(json::render(&comparison)));
}
