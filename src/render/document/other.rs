//! The documents of what is not a run: a comparison of two, and a calibration.

use std::collections::BTreeMap;

use super::blocks::{Subject, text};
use super::table::{Column, spare};
use super::{Block, Cell, Document, Level, Part, Table};
use crate::analysis::compare::{Change, Comparison, FigureChange, ScenarioComparison};
use crate::demo::calibration::{Calibration, Row};
use crate::model::{FailureClass, Verdict};
use crate::render::text::{latency, ms};
use crate::result::Strategy;

const FIGURES: &[Column<FigureChange>] = &[
    Column::words("figure", Level::Brief, |figure| Cell::code(figure.metric)),
    Column::number("before", Level::Brief, |figure| Cell::plain(&figure.words()[0])),
    Column::number("after", Level::Brief, |figure| Cell::plain(&figure.words()[1])),
    Column::number("ratio", Level::Brief, |figure| Cell::plain(&figure.words()[2])),
    Column::words("change", Level::Brief, |figure| {
        Cell::judged(figure.change.name(), matches!(figure.change, Change::Worse | Change::New))
    }),
];

/// Two runs: the figures of each scenario that changed, and those that say the most.
pub(crate) fn comparison(comparison: &Comparison, strategies: &[Strategy]) -> Document<'static> {
    let scenario = |(number, scenario): (usize, &ScenarioComparison)| {
        let table = Table::of(FIGURES, Level::Full, scenario.telling());
        let table = (!scenario.figures.is_empty()).then_some(Block::Table(table));
        Part {
            subject: Subject::Scenario(number),
            verdict: None,
            title: format!("{}: {}", scenario.name, scenario.verdicts()),
            blocks: scenario.per_event.iter().map(text).chain(table).collect(),
        }
    };
    let scenarios = (1..).zip(&comparison.scenarios).map(scenario);
    let mut blocks = vec![text(comparison.summary())];
    blocks.extend((!strategies.is_empty()).then(|| Block::Strategies(strategies.to_vec())));
    Document {
        title: "comparison of two runs".to_owned(),
        parts: std::iter::once(untitled(blocks)).chain(scenarios).collect(),
        ..Document::default()
    }
}

const STRATEGIES: &[Column<Strategy>] = &[
    Column::words("scenario", Level::Brief, |it| Cell::plain(&it.scenario)),
    Column::words("of run", Level::Brief, |it| Cell::value(it.run.as_ref())),
    Column::words("verdict", Level::Brief, |it| Cell::verdict(it.verdict)),
    Column::number("dropped", Level::Brief, |it| Cell::loss(it.dropped)),
    Column::number("wrong", Level::Brief, |it| Cell::loss(it.wrong)),
    spare(Column::number("due", Level::Brief, |it| Cell::plain(it.due))),
    spare(Column::number("p50 ms", Level::Brief, |it| Cell::plain(latency(it.p50_ms, it.due)))),
    Column::number("p99 ms", Level::Brief, |it| Cell::plain(latency(it.p99_ms, it.due))),
    Column::number("stall ms", Level::Brief, |it| Cell::plain(ms(it.stall_ms))),
];

/// Several runs: their scenarios next to each other.
pub(crate) fn strategies(strategies: &[Strategy]) -> Document<'static> {
    let mut runs: Vec<&str> = strategies.iter().filter_map(|it| it.run.as_deref()).collect();
    runs.sort_unstable();
    runs.dedup();
    let title = format!("{} runs compared", runs.len());
    let table = Block::Table(Table::of(STRATEGIES, Level::Full, strategies));
    let part = Part {
        subject: Subject::Whole,
        verdict: None,
        title: title.clone(),
        blocks: vec![table, Block::Strategies(strategies.to_vec())],
    };
    Document { title, parts: vec![part], ..Document::default() }
}

const ROWS: &[Column<Row>] = &[
    Column::words("class", Level::Brief, |row| Cell::plain(row.class.map_or("ok", FailureClass::name))),
    Column::words("fault", Level::Brief, |row| Cell::plain(row.fault.name())),
    spare(Column::words("over", Level::Brief, |row| Cell::plain(over(row)))),
    spare(Column::words("connections", Level::Brief, |row| Cell::plain(row.connections.name()))),
    Column::number("injected", Level::Brief, |row| Cell::value(counted(row, row.injected))),
    Column::number("counted", Level::Brief, |row| {
        Cell::judged(Cell::value(counted(row, row.counted)).text, !row.is_exact())
    }),
    Column::number("difference", Level::Brief, |row| {
        let difference = counted(row, row.difference());
        Cell::judged(difference.map_or_else(|| "left out".to_owned(), |n| n.to_string()), !row.is_exact())
    }),
];

/// None for what was left out.
fn counted<N>(row: &Row, count: N) -> Option<N> {
    row.left_out.is_none().then_some(count)
}

/// A calibration: a row for each case, and the verdict at the end, where it is read last.
pub(crate) fn calibration(calibration: &Calibration) -> Document<'static> {
    let strays = calibration.rows.iter().filter(|row| !row.strays.is_empty());
    let strays = strays.map(|row| format!("{}: also counted {}", name(row), classes(&row.strays)));
    let left_out = left_out(&calibration.rows);
    let left_out = left_out.iter().map(|(reason, rows)| format!("left out: {} ({reason})", rows.join(", ")));
    let remarks: Vec<String> = strays.chain(left_out).collect();
    let cases = untitled(vec![Block::Table(Table::of(ROWS, Level::Full, &calibration.rows))]);
    let remarks = (!remarks.is_empty()).then(|| untitled(vec![Block::List(remarks)]));
    let (injected, counted) = totals(&calibration.rows);
    let (verdict, word) =
        if calibration.exact { (Verdict::Passed, "all are exact") } else { (Verdict::Failed, "not all are exact") };
    let rows = calibration.rows.iter().filter(|row| row.left_out.is_none()).count();
    let title = format!("{injected} faults injected in {rows} ways, {counted} counted; {word}");
    let verdict = Part { subject: Subject::Whole, verdict: Some(verdict.into()), title, blocks: Vec::new() };
    Document { parts: [Some(cases), remarks, Some(verdict)].into_iter().flatten().collect(), ..Document::default() }
}

fn untitled(blocks: Vec<Block<'static>>) -> Part<'static> {
    Part { subject: Subject::Whole, verdict: None, title: String::new(), blocks }
}

fn name(row: &Row) -> String {
    format!("{} over {} on {} connections", row.fault, over(row), row.connections.name())
}

/// `tcp`; `http2 x 8`, `grpc tls` with protocols that have streams, which are over TCP.
fn over(row: &Row) -> String {
    let Some(protocol) = row.protocol.filter(|protocol| protocol.is_http2()) else {
        return row.transport.name().to_owned();
    };
    let protocol: &str = protocol.into();
    let tls = if row.tls { " tls" } else { "" };
    let streams = if row.streams > 1 { format!(" x {}", row.streams) } else { String::new() };
    format!("{protocol}{tls}{streams}")
}

fn classes(counts: &BTreeMap<FailureClass, u64>) -> String {
    counts.iter().map(|(class, n)| format!("{n} {class}")).collect::<Vec<_>>().join(", ")
}

fn left_out(rows: &[Row]) -> BTreeMap<&str, Vec<String>> {
    let mut reasons = BTreeMap::<_, Vec<_>>::new();
    for (row, reason) in rows.iter().filter_map(|row| Some((row, row.left_out.as_deref()?))) {
        reasons.entry(reason).or_default().push(name(row));
    }
    reasons
}

fn totals(rows: &[Row]) -> (u64, u64) {
    rows.iter().fold((0, 0), |(injected, counted), row| (injected + row.injected, counted + row.counted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::calibration::{Injection, Policy, SCHEMA};
    use crate::demo::server::{FaultKind, Transport};
    use crate::render::terminal;
    use crate::scenario::plan::Protocol;

    fn calibration(counted: u64, strays: BTreeMap<FailureClass, u64>) -> Calibration {
        let measured = Row {
            fault: Injection::Fault(FaultKind::CloseBefore),
            transport: Transport::Unix,
            connections: Policy::Reused,
            protocol: Some(Protocol::Http1),
            tls: false,
            streams: 1,
            class: Some(FailureClass::ClosedBeforeResponse),
            left_out: None,
            injected: 8,
            counted,
            strays,
        };
        let left_out = Row {
            fault: Injection::Fault(FaultKind::NoPermission),
            class: Some(FailureClass::Permission),
            left_out: Some("root may connect to any socket".to_owned()),
            injected: 0,
            counted: 0,
            strays: BTreeMap::new(),
            ..measured.clone()
        };
        let rows = vec![measured, left_out];
        Calibration { schema: SCHEMA, exact: rows.iter().all(Row::is_exact), rows }
    }

    fn lines(calibration: &Calibration) -> Vec<String> {
        let text = String::from_utf8(terminal::render_calibration(calibration, 100, false)).unwrap();
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn what_was_injected_stands_beside_what_was_counted() {
        let lines = lines(&calibration(8, BTreeMap::new()));
        assert_eq!(lines[1], "closed_before_response close-before unix reused 8 8 0");
        assert_eq!(lines[2], "permission no-permission unix reused - - left out");
        assert!(lines[4].starts_with("- left out: no-permission over unix on reused connections (root"));
        assert_eq!(lines[6], "PASSED 8 faults injected in 1 ways, 8 counted; all are exact");
    }

    #[test]
    fn a_protocol_with_streams_is_named_with_their_number() {
        let Calibration { rows, .. } = calibration(8, BTreeMap::new());
        let shown = |protocol, tls, streams| over(&Row { protocol, tls, streams, ..rows[0].clone() });
        assert_eq!(shown(Some(Protocol::Http1), true, 1), "unix");
        assert_eq!(shown(Some(Protocol::Http2), false, 1), "http2");
        assert_eq!(shown(Some(Protocol::Grpc), true, 8), "grpc tls x 8");
        assert_eq!(shown(None, false, 1), "unix");
    }

    #[test]
    fn a_difference_and_what_was_counted_instead_are_told() {
        let lines = lines(&calibration(7, [(FailureClass::Malformed, 1)].into()));
        assert_eq!(lines[1], "closed_before_response close-before unix reused 8 7 -1");
        assert_eq!(lines[4], "- close-before over unix on reused connections: also counted 1 malformed");
        assert!(lines.last().unwrap().starts_with("FAILED"), "{lines:?}");
    }
}
