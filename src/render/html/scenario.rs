//! The sections of one scenario.

use std::collections::BTreeMap;

use super::page::{Column, Row, badge, list, table, tile};
use super::{anchor, outage};
use crate::analysis::result::{CheckResult, CohortResult, EventResult, Evidence, Latencies, Requests};
use crate::analysis::{RunResult, ScenarioResult};
use crate::model::{Cause, Verdict};
use crate::record::line::NoteKind;
use crate::render::markup::Markup;
use crate::render::svg;
use crate::render::text::{self, latency, ms, subject};

/// The most events that the table shows.
const EVENTS_SHOWN: usize = 50;

/// The most sentences of evidence that one cause is shown with.
const SENTENCES_PER_CAUSE: usize = 20;

/// All sections that have something to say.
pub(super) fn write(main: &mut Markup, result: &RunResult, scenario: &ScenarioResult, place: usize) {
    main.nested("section", &[("id", &anchor(place)), ("class", &"scenario")], |section| {
        let is_only = result.scenarios.len() == 1;
        section.nested(if is_only { "h1" } else { "h2" }, &[], |title| {
            badge(title, scenario.verdict);
            title.text(format!(" {}", scenario.name));
        });
        if !scenario.description.is_empty() {
            section.element("p", &[("class", &"lead")], &scenario.description);
        }
        section.nested("div", &[("class", &"reasons")], |reasons| list(reasons, &scenario.reasons));
        tiles(section, scenario);
        charts(section, scenario);
        events(section, scenario);
        losses(section, scenario);
        evidence(section, scenario);
        figures(section, scenario);
        checks(section, scenario);
        notes(section, scenario);
        environment(section, result, scenario);
        reproduce(section, scenario);
    });
}

fn tiles(section: &mut Markup, scenario: &ScenarioResult) {
    let due = scenario.requests.due;
    section.nested("div", &[("class", &"tiles")], |tiles| {
        tile(tiles, due, "requests due", false);
        tile(tiles, scenario.dropped, "dropped", scenario.dropped > 0);
        tile(tiles, scenario.wrong, "wrong", scenario.wrong > 0);
        tile(tiles, with_unit(&latency(scenario.latency_ms.all.p50, due)), "p50", false);
        tile(tiles, with_unit(&latency(scenario.latency_ms.all.p99, due)), "p99", false);
        tile(tiles, with_unit(&latency(scenario.latency_ms.all.max, due)), "slowest", false);
        tile(tiles, with_unit(&ms(scenario.stall_ms)), "longest stall", false);
        tile(tiles, with_unit(&outage(scenario)), "longest outage", scenario.requests.failed > 0);
    });
}

fn with_unit(figure: &str) -> String {
    if figure.starts_with(|c: char| c.is_ascii_digit()) { format!("{figure} ms") } else { figure.to_owned() }
}

fn charts(section: &mut Markup, scenario: &ScenarioResult) {
    for chart in svg::charts(scenario) {
        section.element("h3", &[], chart.title);
        section.nested("div", &[("class", &"wide figure")], |figure| chart.inline(figure, &scenario.name));
    }
    let left_out = scenario.charts.failures_left_out;
    if left_out > 0 {
        let caption = format!("{left_out} failures are counted in the columns but not drawn as points.");
        section.element("p", &[("class", &"quiet")], caption);
    }
}

fn events(section: &mut Markup, scenario: &ScenarioResult) {
    let events = text::telling(&scenario.events);
    let Some(first) = events.first() else { return };
    // What is the same in all rows stands in the heading: the table is wide enough.
    let is_uniform = events.iter().all(|event| event.action == first.action && event.unit == first.unit);
    let heading = if is_uniform { format!("Events: {}", subject(first)) } else { "Events".to_owned() };
    section.element("h3", &[], heading);
    let mut columns = vec![Column::Words("run")];
    columns.extend((!is_uniform).then_some(Column::Words("action")));
    columns.extend([
        Column::Words("job"),
        Column::Words("proven"),
        Column::Number("dropped"),
        Column::Number("wrong"),
        Column::Number("stop ms"),
        Column::Number("boot ms"),
        Column::Number("first ok ms"),
        Column::Number("outage ms"),
        Column::Number("stall ms"),
        Column::Number("recovery ms"),
        Column::Number("queue / backlog"),
        Column::Number("backlog needed"),
        Column::Number("main PID"),
    ]);
    let all = events.len();
    table(section, &columns, worst(events), |row, event| event_row(row, event, is_uniform));
    if all > EVENTS_SHOWN {
        let caption = format!(
            "{EVENTS_SHOWN} of {all} events: those that lost the most, then those with the longest stalls. result.json has all."
        );
        section.element("p", &[("class", &"quiet")], caption);
    }
}

/// The events worth a row, in the order of the run.
fn worst(mut events: Vec<&EventResult>) -> Vec<&EventResult> {
    let lost = |event: &EventResult| event.dropped + event.wrong;
    let stall = |event: &EventResult| event.stall_ms.unwrap_or_default();
    events.sort_by(|a, b| lost(b).cmp(&lost(a)).then(stall(b).total_cmp(&stall(a))));
    events.truncate(EVENTS_SHOWN);
    events.sort_by_key(|event| event.event);
    events
}

fn event_row(row: &mut Row<'_>, event: &EventResult, is_uniform: bool) {
    row.text(format!("{}.{}", event.step, event.run));
    if !is_uniform {
        row.text(subject(event));
    }
    row.text(event.job.map_or("-", crate::model::JobResult::name));
    row.text(match event.proven {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    });
    row.loss(event.dropped);
    row.loss(event.wrong);
    for time in [event.stop_ms, event.boot_ms, event.first_ok_ms] {
        row.text(ms(time));
    }
    row.text(latency(event.outage_ms, event.dropped + event.wrong));
    row.text(ms(event.stall_ms));
    row.text(ms(event.recovery_ms));
    let queue = event.queue_peak.zip(event.backlog).map(|(peak, backlog)| format!("{peak}/{backlog}"));
    row.text(queue.unwrap_or_else(|| "-".to_owned()));
    row.text(event.backlog_needed.map_or_else(|| "-".to_owned(), |needed| needed.to_string()));
    let pid = |pid: Option<u32>| pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
    row.text(format!("{} → {}", pid(event.main_pid_before), pid(event.main_pid_after)));
}

fn losses(section: &mut Markup, scenario: &ScenarioResult) {
    if scenario.outcomes.is_empty() {
        return;
    }
    section.element("h3", &[], "What was not ok");
    let columns = [Column::Words("outcome"), Column::Number("requests"), Column::Words("meaning")];
    table(section, &columns, &scenario.outcomes, |row, (class, &n)| {
        row.text(class);
        row.loss(n);
        row.text(class.meaning());
    });
}

fn evidence(section: &mut Markup, scenario: &ScenarioResult) {
    if scenario.evidence.is_empty() {
        return;
    }
    section.element("h3", &[], "Causes and their evidence");
    let mut by_cause = BTreeMap::<Cause, Vec<&Evidence>>::new();
    scenario.evidence.iter().for_each(|evidence| by_cause.entry(evidence.cause).or_default().push(evidence));
    section.nested("dl", &[], |causes| {
        for (cause, evidence) in by_cause {
            let count: u64 = evidence.iter().map(|evidence| evidence.count).sum();
            let attested = scenario.attested.get(&cause).copied().unwrap_or_default();
            causes.nested("dt", &[], |term| {
                term.element("b", &[], count);
                term.text(" ");
                term.element("code", &[], cause);
                term.text(format!(" {}", cause.meaning()));
                if attested > 0 {
                    term.text(format!(" {attested} attested by the kernel's trace."));
                }
            });
            causes.nested("dd", &[], |details| {
                list(details, evidence.iter().take(SENTENCES_PER_CAUSE).map(|evidence| &evidence.sentence));
                if let Some(more @ 1..) = evidence.len().checked_sub(SENTENCES_PER_CAUSE) {
                    details.element(
                        "p",
                        &[("class", &"quiet")],
                        format!("And in {more} more events: see result.json."),
                    );
                }
                details.nested("p", &[("class", &"remedy")], |remedy| {
                    remedy.element("b", &[], "What helps");
                    remedy.text(format!(" {}", Evidence::remedy(cause, &evidence)));
                });
            });
        }
    });
}

fn figures(section: &mut Markup, scenario: &ScenarioResult) {
    section.element("h3", &[], "Requests by cohort");
    let columns = [
        Column::Words("cohort"),
        Column::Words("load"),
        Column::Number("due"),
        Column::Number("ok"),
        Column::Number("dropped"),
        Column::Number("wrong"),
        Column::Number("unsent"),
        Column::Number("p50 ms"),
        Column::Number("p90 ms"),
        Column::Number("p99 ms"),
        Column::Number("p99.9 ms"),
        Column::Number("max ms"),
        Column::Number("stall ms"),
    ];
    let all = scenario.cohorts.len() > 1;
    let rows = scenario.cohorts.iter().map(Some).chain(all.then_some(None));
    table(section, &columns, rows, |row, cohort| {
        if let Some(cohort) = cohort {
            let load = text::load(cohort);
            let lost = (cohort.dropped, cohort.wrong);
            cohort_row(row, (&cohort.name, &load), &cohort.requests, lost, &cohort.latency_ms);
            row.text(ms(cohort.stall_ms));
        } else {
            let lost = (scenario.dropped, scenario.wrong);
            cohort_row(row, ("all", ""), &scenario.requests, lost, &scenario.latency_ms);
            row.text(ms(scenario.stall_ms));
        }
    });
    connections(section, &scenario.cohorts);
}

fn cohort_row(
    row: &mut Row<'_>,
    (name, load): (&str, &str),
    requests: &Requests,
    (dropped, wrong): (u64, u64),
    latencies: &Latencies,
) {
    row.text(name);
    row.text(load);
    row.text(requests.due);
    row.text(requests.ok);
    row.loss(dropped);
    row.loss(wrong);
    row.loss(requests.unsent);
    let all = &latencies.all;
    for percentile in [all.p50, all.p90, all.p99, all.p99_9, all.max] {
        row.text(latency(percentile, requests.due));
    }
}

fn connections(section: &mut Markup, cohorts: &[CohortResult]) {
    let sentence = |cohort: &CohortResult| {
        let counts = &cohort.connections;
        format!(
            "{}: {} connections opened, {} requests on a reused one, {} closed by the server while idle.",
            cohort.name, counts.opened, counts.reused_requests, counts.closed_idle
        )
    };
    section.nested("div", &[("class", &"quiet")], |quiet| list(quiet, cohorts.iter().map(sentence)));
}

fn checks(section: &mut Markup, scenario: &ScenarioResult) {
    let (passed, open): (Vec<&CheckResult>, Vec<&CheckResult>) =
        scenario.checks.iter().partition(|check| check.status == Verdict::Passed);
    section.element("h3", &[], "Checks");
    if !open.is_empty() {
        check_table(section, &open);
    }
    section.nested("details", &[], |details| {
        details.element("summary", &[], format!("{} of {} checks passed", passed.len(), scenario.checks.len()));
        check_table(details, &passed);
    });
}

fn check_table(to: &mut Markup, checks: &[&CheckResult]) {
    let columns = ["check", "status", "expected", "actual"].map(Column::Words);
    table(to, &columns, checks, |row, check| {
        row.text(&check.name);
        row.markup(|cell| badge(cell, check.status));
        row.text(&check.expected);
        row.text(&check.actual);
    });
}

/// Doubts stand among the reasons already.
fn notes(section: &mut Markup, scenario: &ScenarioResult) {
    let mut notes = scenario.notes.iter().filter(|note| note.kind != NoteKind::Doubt).peekable();
    if notes.peek().is_some() {
        section.element("h3", &[], "Notes");
        list(section, notes.map(|note| &note.message));
    }
}

fn environment(section: &mut Markup, result: &RunResult, scenario: &ScenarioResult) {
    let host = &result.host;
    let lateness = &scenario.lateness_us;
    let us = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us} µs"));
    let manager = scenario.manager.map_or("none", crate::record::begin::ManagerKind::name);
    let reason = scenario.manager_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let facts = [
        ("started", scenario.started_at.clone()),
        ("duration", format!("{:.1} s", scenario.duration_ms / 1e3)),
        ("record", if scenario.incomplete { "incomplete: the run was cut off" } else { "complete" }.to_owned()),
        ("manager", format!("{manager}{reason}")),
        ("service manager", host.manager_version.clone().unwrap_or_else(|| "-".to_owned())),
        ("host", format!("{}, Linux {} {}, {} CPUs", host.name, host.kernel, host.arch, host.cpus)),
        ("tool", format!("{} {}", result.tool.name, result.tool.version)),
        ("lateness", format!("p50 {}, p99 {}, max {}", us(lateness.p50), us(lateness.p99), us(lateness.max))),
    ];
    section.element("h3", &[], "Environment");
    section.nested("table", &[("class", &"facts")], |table| {
        for (name, value) in &facts {
            table.nested("tr", &[], |row| {
                row.element("th", &[("scope", &"row")], name);
                row.element("td", &[], value);
            });
        }
    });
}

fn reproduce(section: &mut Markup, scenario: &ScenarioResult) {
    if scenario.scenario_text.is_empty() {
        return;
    }
    let manager = scenario.manager.map(|manager| format!(" --manager {}", manager.name())).unwrap_or_default();
    section.element("h3", &[], "How to reproduce");
    section.nested("p", &[], |text| {
        text.text("Save the scenario below beside the files it names, put back what is masked, and run ");
        text.element("code", &[], format!("gapless run {}.toml{manager}", scenario.name));
        text.text(".");
    });
    let is_open = scenario.verdict != Verdict::Passed && scenario.scenario_text.lines().count() <= 60;
    let attributes: &[(&'static str, &dyn std::fmt::Display)] = if is_open { &[("open", &"")] } else { &[] };
    section.nested("details", attributes, |details| {
        details.element("summary", &[], format!("{}.toml", scenario.name));
        details.nested("pre", &[], |pre| pre.lines(&scenario.scenario_text));
    });
}
