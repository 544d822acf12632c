//! The sections of one scenario.

use std::collections::BTreeMap;

use comfy_table::Cell;

use super::page::{Column, Page, bad_cell, cell, verdict_cell};
use super::spark::spark;
use crate::analysis::ScenarioResult;
use crate::analysis::result::{CohortResult, EventResult, Evidence, Latencies, Requests};
use crate::model::{Cause, Verdict};
use crate::record::line::NoteKind;
use crate::render::text::{latency, load, ms, subject, telling};

/// The most sentences of evidence that one cause is shown with.
const SENTENCES_PER_CAUSE: usize = 3;

/// The most events that the table shows.
const EVENTS_SHOWN: usize = 20;

/// All sections that have something to say.
pub(super) fn write(page: &mut Page, scenario: &ScenarioResult) {
    page.verdict(scenario.verdict, &scenario.name);
    scenario.reasons.iter().for_each(|reason| page.paragraph("-", reason));
    figures(page, scenario);
    run(page, scenario);
    events(page, scenario);
    losses(page, scenario);
    evidence(page, scenario);
    open_checks(page, scenario);
    notes(page, scenario);
}

fn figures(page: &mut Page, scenario: &ScenarioResult) {
    page.heading("Requests");
    let columns = [
        Column::Words("cohort"),
        Column::Number("due"),
        Column::Number("ok"),
        Column::Number("dropped"),
        if scenario.wrong > 0 { Column::Number("wrong") } else { Column::Detail("wrong") },
        Column::Detail("unsent"),
        Column::Detail("p50 ms"),
        Column::Number("p99 ms"),
        Column::Detail("max ms"),
        Column::Number("stall ms"),
    ];
    let of_cohort = |cohort: &CohortResult| {
        let counts = (cohort.dropped, cohort.wrong);
        figure_row(&cohort.name, &cohort.requests, counts, &cohort.latency_ms, cohort.stall_ms)
    };
    let mut rows: Vec<Vec<Cell>> = scenario.cohorts.iter().map(of_cohort).collect();
    if rows.len() > 1 {
        let counts = (scenario.dropped, scenario.wrong);
        rows.push(figure_row("all", &scenario.requests, counts, &scenario.latency_ms, scenario.stall_ms));
    }
    page.table(&columns, rows);
    for cohort in &scenario.cohorts {
        page.paragraph("", &format!("{}: {}", cohort.name, load(cohort)));
    }
}

fn figure_row(
    name: &str,
    requests: &Requests,
    (dropped, wrong): (u64, u64),
    latencies: &Latencies,
    stall_ms: Option<f64>,
) -> Vec<Cell> {
    let at = |percentile| cell(latency(percentile, requests.due));
    vec![
        cell(name),
        cell(requests.due.to_string()),
        cell(requests.ok.to_string()),
        bad_cell(dropped.to_string(), dropped > 0),
        bad_cell(wrong.to_string(), wrong > 0),
        cell(requests.unsent.to_string()),
        at(latencies.all.p50),
        at(latencies.all.p99),
        at(latencies.all.max),
        cell(ms(stall_ms)),
    ]
}

fn run(page: &mut Page, scenario: &ScenarioResult) {
    let Some(spark) = spark(scenario, page.width()) else { return };
    let moment = match spark.moment_ms {
        ms if ms >= 1_000 && ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    };
    page.heading(&match spark.peak_ms {
        Some(peak_ms) => {
            format!("Slowest answer in each {moment}, up to {} ms (× lost, ↑ event)", ms(Some(peak_ms)))
        }
        None => format!("Nothing was answered; each mark is {moment} (× lost, ↑ event)"),
    });
    page.raw(&spark.latency);
    if !spark.events.is_empty() {
        page.raw(&spark.events);
    }
}

fn events(page: &mut Page, scenario: &ScenarioResult) {
    let events = telling(&scenario.events);
    let Some(first) = events.first() else { return };
    // What is the same in all rows stands in the heading: narrow terminals have no room to repeat it.
    let is_uniform = events.iter().all(|event| event.action == first.action && event.unit == first.unit);
    if is_uniform {
        page.heading(&format!("Events: {}", subject(first)));
    } else {
        page.heading("Events");
    }
    let mut columns = vec![Column::Words("run")];
    if !is_uniform {
        columns.push(Column::Words("action"));
    }
    columns.extend([Column::Words("job"), Column::Words("proven")]);
    columns.extend([Column::Detail("stop ms"), Column::Detail("boot ms"), Column::Detail("first ok ms")]);
    columns.extend([Column::Number("outage ms"), Column::Number("stall ms")]);
    columns.extend([Column::Detail("recovery ms"), Column::Detail("queue"), Column::Number("dropped")]);
    let shown = events.iter().take(EVENTS_SHOWN);
    page.table(&columns, shown.map(|event| event_row(event, is_uniform)).collect());
    if let Some(more @ 1..) = events.len().checked_sub(EVENTS_SHOWN) {
        page.paragraph("", &format!("and {more} more, in result.json"));
    }
    slowest(page, &events);
}

/// What the users who waited longest waited for.
fn slowest(page: &mut Page, events: &[&EventResult]) {
    let of_events = events.iter().filter_map(|event| Some((event, event.slowest?)));
    let Some((event, slowest)) = of_events.max_by(|(_, a), (_, b)| a.latency_ms.total_cmp(&b.latency_ms)) else {
        return;
    };
    let parts = [
        (slowest.drain_ms, "until the old process was gone"),
        (slowest.queue_ms, "until the new one started"),
        (slowest.boot_ms, "until that answered"),
        (slowest.rest_ms, "besides"),
    ];
    if slowest.has_waited() {
        let parts = parts.iter().filter(|(part_ms, _)| *part_ms > 0.0);
        let parts: Vec<String> = parts.map(|&(part_ms, until)| format!("{} {until}", ms(Some(part_ms)))).collect();
        let latency = ms(Some(slowest.latency_ms));
        let (step, run) = (event.step, event.run);
        page.paragraph("", &format!("The slowest answer took {latency} ms, in {step}.{run}: {}.", parts.join(", ")));
    }
}

fn event_row(event: &EventResult, is_uniform: bool) -> Vec<Cell> {
    let proven = match event.proven {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    let queue = event.queue_peak.zip(event.backlog).map(|(peak, backlog)| format!("{peak}/{backlog}"));
    let mut row = vec![cell(format!("{}.{}", event.step, event.run))];
    if !is_uniform {
        row.push(cell(subject(event)));
    }
    row.extend([
        cell(event.job.map_or("-", crate::model::JobResult::name)),
        bad_cell(proven, event.proven == Some(false)),
        cell(ms(event.stop_ms)),
        cell(ms(event.boot_ms)),
        cell(ms(event.first_ok_ms)),
        cell(ms(event.outage_ms)),
        cell(ms(event.stall_ms)),
        cell(ms(event.recovery_ms)),
        cell(queue.unwrap_or_else(|| "-".to_owned())),
        bad_cell(event.dropped.to_string(), event.dropped > 0),
    ]);
    row
}

fn losses(page: &mut Page, scenario: &ScenarioResult) {
    if scenario.outcomes.is_empty() {
        return;
    }
    page.heading("Not ok");
    let columns = [Column::Words("outcome"), Column::Number("requests"), Column::Words("meaning")];
    let rows = scenario
        .outcomes
        .iter()
        .map(|(class, n)| vec![cell(class.name()), bad_cell(n.to_string(), !class.is_unsent()), cell(class.meaning())]);
    page.table(&columns, rows.collect());
}

fn evidence(page: &mut Page, scenario: &ScenarioResult) {
    if scenario.evidence.is_empty() {
        return;
    }
    page.heading("Causes");
    let mut by_cause = BTreeMap::<Cause, Vec<&Evidence>>::new();
    scenario.evidence.iter().for_each(|evidence| by_cause.entry(evidence.cause).or_default().push(evidence));
    for (cause, evidence) in by_cause {
        let count: u64 = evidence.iter().map(|evidence| evidence.count).sum();
        page.paragraph("", &format!("{cause}: {count}. {}", cause.meaning()));
        for evidence in evidence.iter().take(SENTENCES_PER_CAUSE) {
            page.paragraph("-", &evidence.sentence);
        }
        if let Some(more @ 1..) = evidence.len().checked_sub(SENTENCES_PER_CAUSE) {
            page.paragraph("-", &format!("and in {more} more events, in result.json"));
        }
        page.paragraph("", &format!("What helps: {}", Evidence::remedy(cause, &evidence)));
    }
}

fn open_checks(page: &mut Page, scenario: &ScenarioResult) {
    let open = scenario.checks.iter().filter(|check| check.status != Verdict::Passed);
    let rows: Vec<Vec<Cell>> = open
        .map(|check| vec![cell(&check.name), verdict_cell(check.status), cell(&check.expected), cell(&check.actual)])
        .collect();
    if rows.is_empty() {
        return;
    }
    page.heading("Checks that did not pass");
    let columns = ["check", "status", "expected", "actual"].map(Column::Words);
    page.table(&columns, rows);
}

/// Doubts stand among the reasons already.
fn notes(page: &mut Page, scenario: &ScenarioResult) {
    let mut notes = scenario.notes.iter().filter(|note| note.kind != NoteKind::Doubt).peekable();
    if notes.peek().is_some() {
        page.heading("Notes");
        notes.for_each(|note| page.paragraph("-", &note.message));
    }
}
