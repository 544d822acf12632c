//! The sections of one scenario.

use super::blocks::{Subject, text};
use super::run::outage;
use super::table::{Column, spare, unless_bad};
use super::{Block, Cell, Content, Level, Part, Span, Table, Tile, events, instances, losses};
use crate::model::Verdict;
use crate::record::begin::ManagerKind;
use crate::record::line::NoteKind;
use crate::render::text::{latency, ms};
use crate::result::{
    CheckResult, CohortResult, GeneratorResult, Latencies, PathResult, Requests, RunResult, ScenarioResult,
};

/// The longest scenario file that is shown without being asked for, where the verdict is not passed.
const SHORT_LINES: usize = 60;

/// The most requests with losses that a terminal shows.
const PATHS_MAX: usize = 10;

/// All sections that have something to say.
pub(super) fn part<'a>(result: &RunResult, number: usize, scenario: &'a ScenarioResult, level: Level) -> Part<'a> {
    let mut blocks = Vec::new();
    if level >= Level::Normal && !scenario.description.is_empty() {
        blocks.push(Block::Lead(scenario.description.clone()));
    }
    blocks.push(Block::Reasons(scenario.reasons.clone()));
    if level >= Level::Full {
        blocks.push(Block::Tiles(tiles(scenario)));
    }
    blocks.push(Block::Charts(scenario));
    blocks.extend(not_drawn(scenario, level));
    blocks.extend(requests(scenario, level));
    blocks.extend(generators(scenario, level));
    blocks.extend(events::section(scenario, level));
    blocks.extend(instances::section(scenario, level));
    blocks.extend(losses::outcomes(scenario, level));
    blocks.extend(losses::causes(scenario, level));
    blocks.extend(checks(scenario, level));
    blocks.extend(notes(scenario));
    if level >= Level::Full {
        blocks.push(Block::Heading("Environment".to_owned()));
        blocks.push(Block::Facts(environment(result, scenario)));
    }
    blocks.extend(reproduce(result, scenario, level));
    let title = format!("{}{}", scenario.name, result.host.rehearsed());
    Part { subject: Subject::Scenario(number), verdict: Some(scenario.into()), title, blocks }
}

fn tiles(scenario: &ScenarioResult) -> Vec<Tile> {
    let (due, all) = (scenario.requests.due, &scenario.latency_ms.all);
    let tile = |name, value: String, is_bad| Tile { value, name, is_bad };
    vec![
        tile("requests due", due.to_string(), false),
        tile("dropped", scenario.dropped.to_string(), scenario.dropped > 0),
        tile("wrong", scenario.wrong.to_string(), scenario.wrong > 0),
        tile("p50", with_unit(latency(all.p50, due)), false),
        tile("p99", with_unit(latency(all.p99, due)), false),
        tile("slowest", with_unit(latency(all.max, due)), false),
        tile("longest stall", with_unit(ms(scenario.stall_ms)), false),
        tile("longest outage", with_unit(outage(scenario)), scenario.requests.failed > 0),
    ]
}

fn with_unit(figure: String) -> String {
    if figure.starts_with(|c: char| c.is_ascii_digit()) { format!("{figure} ms") } else { figure }
}

/// What the drawings have no room for.
fn not_drawn(scenario: &ScenarioResult, level: Level) -> Option<Block<'static>> {
    let left_out = scenario.charts.failures_left_out;
    let caption = format!("{left_out} failures are counted in the columns but not drawn as points.");
    (level >= Level::Full && left_out > 0).then_some(Block::Aside(caption))
}

/// The figures of a cohort, or of all.
struct Figures {
    name: String,
    load: String,
    requests: Requests,
    dropped: u64,
    wrong: u64,
    latencies: Latencies,
    stall_ms: Option<f64>,
}

impl Figures {
    fn latency(&self, percentile: Option<f64>) -> Cell {
        Cell::plain(latency(percentile, self.requests.due))
    }
}

const REQUESTS: &[Column<Figures>] = &[
    Column::words("cohort", Level::Brief, |figures| Cell::plain(&figures.name)),
    Column::prose("load", Level::Brief, |figures| Cell::plain(&figures.load)),
    Column::number("due", Level::Brief, |figures| Cell::plain(figures.requests.due)),
    Column::number("ok", Level::Brief, |figures| Cell::plain(figures.requests.ok)),
    Column::number("dropped", Level::Brief, |figures| Cell::loss(figures.dropped)),
    unless_bad(Column::number("wrong", Level::Brief, |figures| Cell::loss(figures.wrong))),
    spare(Column::number("unsent", Level::Brief, |figures| Cell::loss(figures.requests.unsent))),
    spare(Column::number("p50 ms", Level::Brief, |figures| figures.latency(figures.latencies.all.p50))),
    Column::number("p90 ms", Level::Full, |figures| figures.latency(figures.latencies.all.p90)),
    Column::number("p99 ms", Level::Brief, |figures| figures.latency(figures.latencies.all.p99)),
    Column::number("p99.9 ms", Level::Full, |figures| figures.latency(figures.latencies.all.p99_9)),
    spare(Column::number("max ms", Level::Brief, |figures| figures.latency(figures.latencies.all.max))),
    Column::number("stall ms", Level::Brief, |figures| Cell::plain(ms(figures.stall_ms))),
];

fn requests(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    let of_cohort = |cohort: &CohortResult| Figures {
        name: cohort.name.clone(),
        load: load(cohort),
        requests: cohort.requests,
        dropped: cohort.dropped,
        wrong: cohort.wrong,
        latencies: cohort.latency_ms,
        stall_ms: cohort.stall_ms,
    };
    let all = Figures {
        name: "all".to_owned(),
        load: String::new(),
        requests: scenario.requests,
        dropped: scenario.dropped,
        wrong: scenario.wrong,
        latencies: scenario.latency_ms,
        stall_ms: scenario.stall_ms,
    };
    let mut figures: Vec<Figures> = scenario.cohorts.iter().map(of_cohort).collect();
    figures.extend((scenario.cohorts.len() > 1).then_some(all));
    let mut blocks = vec![Block::Heading("Requests".to_owned()), Block::Table(Table::of(REQUESTS, level, &figures))];
    blocks.extend(paths(scenario, level));
    if level >= Level::Full {
        blocks.push(Block::Asides(scenario.cohorts.iter().map(connections).collect()));
    }
    blocks
}

const PATHS: &[Column<PathResult>] = &[
    Column::words("request", Level::Brief, |path| Cell::plain(format!("{} {}", path.method, path.path))),
    Column::number("due", Level::Brief, |path| Cell::plain(path.due)),
    Column::number("ok", Level::Brief, |path| Cell::plain(path.ok)),
    Column::number("dropped", Level::Brief, |path| Cell::loss(path.dropped)),
    Column::number("wrong", Level::Brief, |path| Cell::loss(path.wrong)),
];

/// Each of several requests; on a terminal, those that lost something.
fn paths(scenario: &ScenarioResult, level: Level) -> Option<Block<'static>> {
    let lost = |path: &&PathResult| path.dropped + path.wrong > 0;
    let paths: Vec<&PathResult> = match level {
        Level::Brief => scenario.requests_by_path.iter().filter(lost).take(PATHS_MAX).collect(),
        Level::Normal | Level::Full => scenario.requests_by_path.iter().collect(),
    };
    (!paths.is_empty()).then(|| Block::Table(Table::of(PATHS, level, paths)))
}

const GENERATORS: &[Column<GeneratorResult>] = &[
    Column::words("shard", Level::Brief, |it| Cell::plain(it.shard)),
    Column::words("host", Level::Brief, |it| Cell::plain(&it.host)),
    Column::number("due", Level::Brief, |it| Cell::plain(it.requests.due)),
    Column::number("ok", Level::Brief, |it| Cell::plain(it.requests.ok)),
    Column::number("failed", Level::Brief, |it| Cell::loss(it.requests.failed)),
    spare(Column::number("unsent", Level::Brief, |it| Cell::loss(it.requests.unsent))),
    spare(Column::number("late p50 µs", Level::Brief, |it| microseconds(it.lateness_us.p50))),
    Column::number("late p99 µs", Level::Brief, |it| microseconds(it.lateness_us.p99)),
    spare(Column::number("late max µs", Level::Brief, |it| microseconds(it.lateness_us.max))),
    Column::words("clock", Level::Normal, |it| Cell::plain(if it.same_clock { "shard 1's" } else { "its own" })),
];

fn microseconds(us: Option<u64>) -> Cell {
    Cell::plain(us.map_or_else(|| "-".to_owned(), |us| us.to_string()))
}

/// The most generators that a terminal shows.
const GENERATORS_MAX: usize = 10;

/// What each of several generators sent, and how late.
fn generators(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    let shown = if level == Level::Brief { GENERATORS_MAX } else { usize::MAX };
    let generators: Vec<&GeneratorResult> = scenario.generators.iter().take(shown).collect();
    if generators.is_empty() {
        return Vec::new();
    }
    let more = scenario.generators.len() - generators.len();
    let table = Table::of(GENERATORS, level, generators);
    let mut blocks = vec![Block::Heading("Generators".to_owned()), Block::Table(table)];
    blocks.extend((more > 0).then(|| text(format!("And {more} more, in report.html."))));
    blocks
}

/// How a cohort loads what, and how often it flapped where it plays a check.
fn load(cohort: &CohortResult) -> String {
    let flaps = match cohort.flaps {
        None => String::new(),
        Some(1) => "; 1 flap".to_owned(),
        Some(flaps) => format!("; {flaps} flaps"),
    };
    format!("{} to {}{flaps}", cohort.load, cohort.target)
}

fn connections(cohort: &CohortResult) -> String {
    let counts = &cohort.connections;
    format!(
        "{}: {} connections opened, {} requests on a reused one, {} closed by the server while idle.",
        cohort.name, counts.opened, counts.reused_requests, counts.closed_idle
    )
}

const CHECK: Column<CheckResult> = Column::words("check", Level::Brief, |check| Cell::plain(&check.name));
const STATUS: Column<CheckResult> = Column::words("status", Level::Brief, |check| Cell::verdict(check.status));
const EXPECTED: Column<CheckResult> = Column::words("expected", Level::Brief, |check| Cell::plain(&check.expected));
const ACTUAL: Column<CheckResult> = Column::words("actual", Level::Brief, |check| Cell::plain(&check.actual));

/// Those that did not pass, and behind a fold those that did.
fn checks(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    let (passed, open): (Vec<&CheckResult>, Vec<&CheckResult>) =
        scenario.checks.iter().partition(|check| check.status == Verdict::Passed);
    let open = (!open.is_empty()).then(|| {
        let columns = [&CHECK, &STATUS, &EXPECTED, &ACTUAL];
        Block::Table(Table::of(columns, level, open))
    });
    let passed = (level >= Level::Normal && !passed.is_empty()).then(|| {
        let summary = format!("{} of {} checks passed", passed.len(), scenario.checks.len());
        let content = Content::Table(Table::of([&CHECK, &EXPECTED, &ACTUAL], level, passed));
        Block::Folded { summary, is_open: false, content }
    });
    let heading = if level >= Level::Normal { "Checks" } else { "Checks that did not pass" };
    let is_empty = open.is_none() && passed.is_none();
    let heading = (!is_empty).then(|| Block::Heading(heading.to_owned()));
    [heading, open, passed].into_iter().flatten().collect()
}

/// Doubts stand among the reasons already.
fn notes(scenario: &ScenarioResult) -> Vec<Block<'static>> {
    let notes = scenario.notes.iter().filter(|note| note.kind != NoteKind::Doubt);
    let notes: Vec<String> = notes.map(|note| note.message.clone()).collect();
    if notes.is_empty() { Vec::new() } else { vec![Block::Heading("Notes".to_owned()), Block::List(notes)] }
}

fn environment(result: &RunResult, scenario: &ScenarioResult) -> Vec<(&'static str, String)> {
    let host = &result.host;
    let lateness = &scenario.lateness_us;
    let us = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us} µs"));
    let manager = scenario.manager.map_or("none", ManagerKind::name);
    let reason = scenario.manager_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    vec![
        ("started", scenario.started_at.clone()),
        ("duration", format!("{:.1} s", scenario.duration_ms / 1e3)),
        ("record", if scenario.incomplete { "incomplete: the run was cut off" } else { "complete" }.to_owned()),
        ("manager", format!("{manager}{reason}")),
        ("service manager", host.manager_version.clone().unwrap_or_else(|| "-".to_owned())),
        ("host", format!("{}, Linux {} {}, {} CPUs", host.name, host.kernel, host.arch, host.cpus)),
        ("tool", format!("{} {}", result.tool.name, result.tool.version)),
        ("lateness", format!("p50 {}, p99 {}, max {}", us(lateness.p50), us(lateness.p99), us(lateness.max))),
    ]
}

/// The scenario file; nothing for runs without one.
fn reproduce<'a>(result: &RunResult, scenario: &'a ScenarioResult, level: Level) -> Vec<Block<'a>> {
    if scenario.scenario_text.is_empty() || level < Level::Normal {
        return Vec::new();
    }
    let manager = scenario.manager.map(|manager| format!(" --manager {}", manager.name())).unwrap_or_default();
    let command = if result.host.twin {
        format!("gapless rehearse {}.toml", scenario.name)
    } else {
        format!("gapless run {}.toml{manager}", scenario.name)
    };
    let mut lines: Vec<&str> = scenario.scenario_text.lines().collect();
    let is_open = scenario.verdict != Verdict::Passed && lines.len() <= SHORT_LINES;
    let more = lines.len().saturating_sub(level.scenario_lines_max());
    lines.truncate(level.scenario_lines_max());
    let how = match &result.host.units_on {
        Some(machine) => vec![
            Span::Plain(format!("Its units are on {machine}: repeat the command that was run, ")),
            Span::Code(format!("gapless try --host {machine}")),
            Span::Plain(". What it did stands below as a scenario.".to_owned()),
        ],
        None => vec![
            Span::Plain(
                "Save the scenario below next to the files it names, put back what is masked, and run ".to_owned(),
            ),
            Span::Code(command),
            Span::Plain(".".to_owned()),
        ],
    };
    let summary = format!("{}.toml", scenario.name);
    let file = Block::Folded { summary, is_open, content: Content::File(lines) };
    let mut blocks = vec![Block::Heading("How to reproduce".to_owned()), Block::Text(how), file];
    blocks.extend((more > 0).then(|| text(format!("And {more} more lines, in the record."))));
    blocks
}
