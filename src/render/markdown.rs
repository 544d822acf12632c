//! `report.md`: GitHub-flavoured Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{self, escape, latency, ms, slowest, subject};
use crate::analysis::compare::{Change, Comparison};
use crate::analysis::result::{CohortResult, EventResult, Evidence, Latencies, Requests};
use crate::analysis::{RunResult, ScenarioResult};
use crate::model::{Cause, Verdict};
use crate::record::line::NoteKind;

/// The most events that a table shows.
const EVENTS_SHOWN: usize = 50;

/// The most sentences of evidence that one cause is shown with.
const SENTENCES_PER_CAUSE: usize = 5;

/// The most of a scenario file that is shown, in lines.
const SCENARIO_LINES: usize = 400;

/// The result as a file that lies beside its charts.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    document(result, true)
}

/// The result for a pull request or a job's summary: without images, which are not there.
#[must_use]
pub fn summary(result: &RunResult) -> Vec<u8> {
    document(result, false)
}

fn document(result: &RunResult, has_charts: bool) -> Vec<u8> {
    let mut page = String::new();
    if result.scenarios.len() > 1 {
        comparison(&mut page, result);
    }
    for scenario in &result.scenarios {
        write_scenario(&mut page, scenario, has_charts);
    }
    let (tool, host) = (&result.tool, &result.host);
    let manager = host.manager_version.as_ref().map(|version| format!(", {version}")).unwrap_or_default();
    let place = format!("{}, Linux {} {}, {} CPUs{manager}", host.name, host.kernel, host.arch, host.cpus);
    push(&mut page, &format!("{} on {}", text(&format!("{} {}", tool.name, tool.version)), text(&place)));
    page.into_bytes()
}

fn comparison(page: &mut String, result: &RunResult) {
    let alike = result.scenarios.iter().filter(|scenario| scenario.verdict == result.verdict).count();
    let verdict = result.verdict;
    push(page, &format!("# {}: {alike} of {} scenarios {verdict}", shout(verdict), result.scenarios.len()));
    let head =
        ["scenario", "what it shows", "verdict", "#dropped", "#000", "#p50 ms", "#p99 ms", "#stall ms", "causes"];
    let row = |scenario: &ScenarioResult| {
        let at = |percentile| latency(percentile, scenario.requests.due);
        vec![
            text(&scenario.name),
            text(&scenario.description),
            shout(scenario.verdict),
            loss(scenario.dropped),
            loss(scenario.http_000),
            at(scenario.latency_ms.all.p50),
            at(scenario.latency_ms.all.p99),
            ms(scenario.stall_ms),
            scenario.causes.iter().map(|(cause, n)| text(&format!("{n} {cause}"))).collect::<Vec<_>>().join(", "),
        ]
    };
    table(page, &head, result.scenarios.iter().map(row));
}

fn write_scenario(page: &mut String, scenario: &ScenarioResult, has_charts: bool) {
    push(page, &format!("## {}: {}", shout(scenario.verdict), text(&scenario.name)));
    if !scenario.description.is_empty() {
        push(page, &text(&scenario.description));
    }
    list(page, &scenario.reasons);
    if has_charts {
        charts(page, scenario);
    }
    cohorts(page, scenario);
    events(page, scenario);
    losses(page, scenario);
    evidence(page, scenario);
    checks(page, scenario);
    let notes = scenario.notes.iter().filter(|note| note.kind != NoteKind::Doubt).map(|note| &note.message);
    let notes: Vec<&String> = notes.collect();
    if !notes.is_empty() {
        push(page, "### Notes");
        list(page, notes);
    }
    scenario_file(page, scenario);
}

fn charts(page: &mut String, scenario: &ScenarioResult) {
    for (chart, path) in super::svg::paths(scenario) {
        push(page, &format!("![{chart} of {}]({path})", text(&scenario.name)));
    }
}

fn cohorts(page: &mut String, scenario: &ScenarioResult) {
    push(page, "### Requests");
    let head = [
        "cohort",
        "load",
        "#due",
        "#ok",
        "#dropped",
        "#wrong",
        "#unsent",
        "#p50 ms",
        "#p99 ms",
        "#max ms",
        "#stall ms",
    ];
    let of_cohort = |cohort: &CohortResult| {
        let load = text::load(cohort);
        let lost = (cohort.dropped, cohort.wrong);
        figures((&cohort.name, &load), &cohort.requests, lost, &cohort.latency_ms, cohort.stall_ms)
    };
    let mut rows: Vec<Vec<String>> = scenario.cohorts.iter().map(of_cohort).collect();
    if rows.len() > 1 {
        let lost = (scenario.dropped, scenario.wrong);
        rows.push(figures(("all", ""), &scenario.requests, lost, &scenario.latency_ms, scenario.stall_ms));
    }
    table(page, &head, rows);
}

fn figures(
    (name, load): (&str, &str),
    requests: &Requests,
    (dropped, wrong): (u64, u64),
    latencies: &Latencies,
    stall_ms: Option<f64>,
) -> Vec<String> {
    let at = |percentile| latency(percentile, requests.due);
    vec![
        text(name),
        text(load),
        requests.due.to_string(),
        requests.ok.to_string(),
        loss(dropped),
        loss(wrong),
        loss(requests.unsent),
        at(latencies.all.p50),
        at(latencies.all.p99),
        at(latencies.all.max),
        ms(stall_ms),
    ]
}

fn events(page: &mut String, scenario: &ScenarioResult) {
    let events = text::telling(&scenario.events);
    if events.is_empty() {
        return;
    }
    push(page, "### Events");
    let head = [
        "run",
        "action",
        "job",
        "proven",
        "#dropped",
        "#stop ms",
        "#boot ms",
        "#first ok ms",
        "#outage ms",
        "#stall ms",
        "#slowest ms = drain + queue + boot + rest",
        "#queue / backlog",
        "#backlog needed",
    ];
    table(page, &head, events.iter().take(EVENTS_SHOWN).map(|shown| event(shown)));
    if let Some(more @ 1..) = events.len().checked_sub(EVENTS_SHOWN) {
        push(page, &format!("And {more} more, in result.json."));
    }
}

fn event(event: &EventResult) -> Vec<String> {
    let proven = match event.proven {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "-",
    };
    let queue = event.queue_peak.zip(event.backlog).map(|(peak, backlog)| format!("{peak}/{backlog}"));
    vec![
        format!("{}.{}", event.step, event.run),
        text(&subject(event)),
        event.job.map_or("-", crate::model::JobResult::name).to_owned(),
        proven.to_owned(),
        loss(event.dropped),
        ms(event.stop_ms),
        ms(event.boot_ms),
        ms(event.first_ok_ms),
        latency(event.outage_ms, event.dropped + event.wrong),
        ms(event.stall_ms),
        slowest(event.slowest.as_ref()),
        queue.unwrap_or_else(|| "-".to_owned()),
        event.backlog_needed.map_or_else(|| "-".to_owned(), |needed| needed.to_string()),
    ]
}

fn losses(page: &mut String, scenario: &ScenarioResult) {
    if scenario.outcomes.is_empty() {
        return;
    }
    push(page, "### What was not ok");
    let rows =
        scenario.outcomes.iter().map(|(class, n)| vec![format!("`{class}`"), n.to_string(), text(class.meaning())]);
    table(page, &["outcome", "#requests", "meaning"], rows);
}

fn evidence(page: &mut String, scenario: &ScenarioResult) {
    if scenario.evidence.is_empty() {
        return;
    }
    push(page, "### Causes");
    let mut by_cause = BTreeMap::<Cause, Vec<&Evidence>>::new();
    scenario.evidence.iter().for_each(|evidence| by_cause.entry(evidence.cause).or_default().push(evidence));
    for (cause, evidence) in by_cause {
        let count: u64 = evidence.iter().map(|evidence| evidence.count).sum();
        push(page, &format!("`{cause}`: {count}. {}", text(cause.meaning())));
        list(page, evidence.iter().take(SENTENCES_PER_CAUSE).map(|evidence| &evidence.sentence));
        if let Some(more @ 1..) = evidence.len().checked_sub(SENTENCES_PER_CAUSE) {
            push(page, &format!("And in {more} more events, in result.json."));
        }
        push(page, &format!("What helps: {}", text(&Evidence::remedy(cause, &evidence))));
    }
}

fn checks(page: &mut String, scenario: &ScenarioResult) {
    push(page, "### Checks");
    let row = |check: &crate::analysis::result::CheckResult| {
        let status = if check.status == Verdict::Passed { "passed".to_owned() } else { shout(check.status) };
        vec![text(&check.name), status, text(&check.expected), text(&check.actual)]
    };
    table(page, &["check", "status", "expected", "actual"], scenario.checks.iter().map(row));
}

/// The scenario in a fence that nothing in it can close.
fn scenario_file(page: &mut String, scenario: &ScenarioResult) {
    if scenario.scenario_text.is_empty() {
        return;
    }
    let lines: Vec<String> = scenario.scenario_text.lines().map(|line| escape(&line.replace('\t', "    "))).collect();
    let fence = "`".repeat(longest_run(&lines, '`').max(2) + 1);
    push(page, &format!("<details><summary>{}.toml</summary>", text(&scenario.name)));
    let _ = writeln!(page, "{fence}toml");
    for line in lines.iter().take(SCENARIO_LINES) {
        let _ = writeln!(page, "{line}");
    }
    push(page, &fence);
    if let Some(more @ 1..) = lines.len().checked_sub(SCENARIO_LINES) {
        push(page, &format!("And {more} more lines, in the record."));
    }
    push(page, "</details>");
}

fn longest_run(lines: &[String], wanted: char) -> usize {
    let runs = lines.iter().flat_map(|line| line.split(move |c: char| c != wanted));
    runs.map(str::len).max().unwrap_or_default()
}

/// Two runs side by side.
#[must_use]
pub fn render_comparison(comparison: &Comparison) -> Vec<u8> {
    let mut page = String::new();
    push(&mut page, &text(&comparison.summary()));
    for scenario in &comparison.scenarios {
        push(&mut page, &format!("## {}: {}", text(&scenario.name), scenario.verdicts()));
        if let Some(per_event) = &scenario.per_event {
            push(&mut page, &text(per_event));
        }
        let row = |figure: &crate::analysis::compare::FigureChange| {
            let change = figure.change.name();
            let is_bad = matches!(figure.change, Change::Worse | Change::New);
            let [before, after, ratio] = figure.words();
            let change = if is_bad { format!("**{change}**") } else { change.to_owned() };
            vec![format!("`{}`", figure.metric), before, after, ratio, change]
        };
        if !scenario.figures.is_empty() {
            table(&mut page, &["figure", "#before", "#after", "#ratio", "change"], scenario.telling().map(row));
        }
    }
    page.into_bytes()
}

/// A block of its own.
fn push(page: &mut String, block: &str) {
    page.push_str(block);
    page.push_str("\n\n");
}

fn list<T: AsRef<str>>(page: &mut String, items: impl IntoIterator<Item = T>) {
    for item in items {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "- {}", text(item.as_ref()));
    }
    page.push('\n');
}

/// A table; a heading with `#` before it is that of a column of numbers.
fn table(page: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let names: Vec<&str> = head.iter().map(|name| name.trim_start_matches('#')).collect();
    let rules: Vec<&str> = head.iter().map(|name| if name.starts_with('#') { "---:" } else { "---" }).collect();
    let _ = writeln!(page, "| {} |\n| {} |", names.join(" | "), rules.join(" | "));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    page.push('\n');
}

/// A count that should be zero.
fn loss(count: u64) -> String {
    if count > 0 { format!("**{count}**") } else { count.to_string() }
}

fn shout(verdict: Verdict) -> String {
    format!("**{}**", verdict.name().to_uppercase())
}

/// Text from anywhere: nothing in it is markup, ends a cell, or calls on people and issues.
fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (place, c) in escape(text).chars().enumerate() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // A comment in between: GitHub looks for these in text, whether escaped or not.
            '@' | '#' => {
                safe.push(c);
                safe.push_str("<!-- -->");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            '-' | '+' | '=' if place == 0 => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(text("a|b"), "a\\|b");
        assert_eq!(text("<img src=x>"), "&lt;img src=x&gt;");
        assert_eq!(text("![x](javascript:1)"), "\\!\\[x\\](javascript:1)");
        assert_eq!(text("- @team fixes #1"), "\\- @<!-- -->team fixes #<!-- -->1");
        assert_eq!(text("a\n# b"), "a\\\\n#<!-- --> b");
        assert_eq!(text("`code` **bold** _it_ $x$"), "\\`code\\` \\*\\*bold\\*\\* \\_it\\_ \\$x\\$");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_text() {
        let lines = ["a ``` b".to_owned(), "`````".to_owned()];
        assert_eq!(longest_run(&lines, '`'), 5);
    }
}
