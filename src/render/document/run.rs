//! The document of a run: one part for each scenario, after a comparison of them where there are several.

use super::blocks::Subject;
use super::table::{Column, spare};
use super::{Block, Cell, Document, Level, Part, Shown, Span, Table, Tone, glossary, scenario};
use crate::model::Verdict;
use crate::render::text::{latency, ms};
use crate::result::{RunResult, ScenarioResult, Strategy};

/// All that a report of that level says.
pub(crate) fn document(result: &RunResult, level: Level) -> Document<'_> {
    let comparison = (result.scenarios.len() > 1).then(|| comparison(result, level, COLUMNS));
    let scenarios =
        (1..).zip(&result.scenarios).map(|(number, scenario)| scenario::part(result, number, scenario, level));
    let names: Vec<&str> = result.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    Document {
        title: format!("{}{}: {}", Shown::from(result).words(), result.host.rehearsed(), names.join(", ")),
        parts: comparison.into_iter().chain(scenarios).chain((level >= Level::Full).then(definitions)).collect(),
        footer: footer(result, level),
    }
}

/// What the figures of the page mean.
fn definitions() -> Part<'static> {
    Part { subject: Subject::Whole, verdict: None, title: "Definitions".to_owned(), blocks: vec![glossary::legend()] }
}

/// The comparison with what each scenario shows, and all about those that did not pass.
pub(crate) fn overview(result: &RunResult) -> Document<'_> {
    let level = Level::Brief;
    let open = (1..).zip(&result.scenarios).filter(|(_, scenario)| scenario.verdict != Verdict::Passed);
    let comparison = comparison(result, level, COLUMNS.iter().chain([&WHAT_IT_SHOWS]));
    let scenarios = open.map(|(number, scenario)| scenario::part(result, number, scenario, level));
    Document { parts: std::iter::once(comparison).chain(scenarios).collect(), ..Document::default() }
}

const COLUMNS: &[Column<ScenarioResult>] = &[
    Column::words("scenario", Level::Brief, |scenario| Cell::plain(&scenario.name)),
    Column::words("verdict", Level::Brief, |scenario| Cell::verdict(scenario)),
    Column::number("dropped", Level::Brief, |scenario| Cell::loss(scenario.dropped)),
    spare(Column::number("000", Level::Brief, |scenario| Cell::loss(scenario.http_000))),
    spare(Column::number("p50 ms", Level::Brief, |it| Cell::plain(latency(it.latency_ms.all.p50, it.requests.due)))),
    Column::number("p99 ms", Level::Brief, |it| Cell::plain(latency(it.latency_ms.all.p99, it.requests.due))),
    Column::number("stall ms", Level::Brief, |scenario| Cell::plain(ms(scenario.stall_ms))),
    Column::number("outage ms", Level::Full, |scenario| Cell::plain(outage(scenario))),
    Column::number("due", Level::Full, |scenario| Cell::plain(scenario.requests.due)),
    Column::words("causes", Level::Normal, |scenario| Cell::plain(causes(scenario))),
    Column::words("what it shows", Level::Normal, |scenario| Cell::plain(&scenario.description)),
];

/// Where there is no room for it in the table.
const WHAT_IT_SHOWS: Column<ScenarioResult> =
    Column::prose("what it shows", Level::Brief, |scenario| Cell::plain(&scenario.description));

fn comparison<'a>(
    result: &'a RunResult,
    level: Level,
    columns: impl IntoIterator<Item = &'a Column<ScenarioResult>>,
) -> Part<'static> {
    let alike = result.scenarios.iter().filter(|scenario| scenario.verdict == result.verdict).count();
    let mut table = Table::of(columns, level, &result.scenarios);
    for (number, row) in (1..).zip(&mut table.rows) {
        row.iter_mut().take(1).for_each(|name| name.tone = Tone::Scenario(number));
    }
    Part {
        subject: Subject::Whole,
        verdict: Some(result.into()),
        title: format!("{alike} of {} scenarios {}{}", result.scenarios.len(), result.verdict, result.host.rehearsed()),
        blocks: vec![Block::Table(table), Block::Strategies(Strategy::of_run(result))],
    }
}

/// An outage that never ended is null, as one that was not measured: what failed tells them apart.
pub(super) fn outage(scenario: &ScenarioResult) -> String {
    latency(scenario.outage_ms, scenario.requests.failed)
}

fn causes(scenario: &ScenarioResult) -> String {
    scenario.causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect::<Vec<_>>().join(", ")
}

fn footer(result: &RunResult, level: Level) -> Vec<Span> {
    if level == Level::Brief {
        return Vec::new();
    }
    let (tool, host) = (&result.tool, &result.host);
    let manager = host.manager_version.as_ref().map(|version| format!(", {version}")).unwrap_or_default();
    let place = format!("{}, Linux {} {}, {} CPUs{manager}", host.name, host.kernel, host.arch, host.cpus);
    let origin = format!("{} {} on {place}", tool.name, tool.version);
    if level < Level::Full {
        return vec![Span::Plain(origin)];
    }
    vec![
        Span::Plain(format!("{origin}. Every figure is computed from the records next to this page; ")),
        Span::Code("gapless report DIR".to_owned()),
        Span::Plain(" renders it again, byte for byte.".to_owned()),
    ]
}
