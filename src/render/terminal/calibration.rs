//! The table of a calibration.

use std::collections::BTreeMap;

use super::page::{Column, Page, bad_cell, cell};
use crate::demo::calibration::{Calibration, Row};
use crate::model::{FailureClass, Verdict};

/// The calibration for a terminal of `width` columns, one line for each case. No colour without `color`.
#[must_use]
pub fn render(calibration: &Calibration, width: usize, color: bool) -> Vec<u8> {
    let mut page = Page::new(width, color);
    let columns = [
        Column::Words("class"),
        Column::Words("fault"),
        Column::Detail("over"),
        Column::Detail("connections"),
        Column::Number("injected"),
        Column::Number("counted"),
        Column::Number("difference"),
    ];
    page.table(&columns, calibration.rows.iter().map(row).collect());
    page.blank();
    for row in calibration.rows.iter().filter(|row| !row.strays.is_empty()) {
        page.paragraph("-", &format!("{}: also counted {}", name(row), classes(&row.strays)));
    }
    for (reason, rows) in left_out(&calibration.rows) {
        page.paragraph("-", &format!("left out: {} ({reason})", rows.join(", ")));
    }
    let (injected, counted) = totals(&calibration.rows);
    let (verdict, word) =
        if calibration.exact { (Verdict::Passed, "all are exact") } else { (Verdict::Failed, "not all are exact") };
    let rows = calibration.rows.iter().filter(|row| row.left_out.is_none()).count();
    page.verdict(verdict, &format!("{injected} faults injected in {rows} ways, {counted} counted; {word}"));
    page.into_bytes()
}

fn row(row: &Row) -> Vec<comfy_table::Cell> {
    let is_bad = !row.is_exact();
    let count = |count: u64| if row.left_out.is_some() { "-".to_owned() } else { count.to_string() };
    let difference = if row.left_out.is_some() { "left out".to_owned() } else { row.difference().to_string() };
    vec![
        cell(row.class.map_or("ok", FailureClass::name)),
        cell(row.fault.name()),
        cell(row.transport.name()),
        cell(row.connections.name()),
        cell(count(row.injected)),
        bad_cell(count(row.counted), is_bad),
        bad_cell(difference, is_bad),
    ]
}

fn name(row: &Row) -> String {
    format!("{} over {} on {} connections", row.fault, row.transport.name(), row.connections.name())
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

    fn calibration(counted: u64, strays: BTreeMap<FailureClass, u64>) -> Calibration {
        let measured = Row {
            fault: Injection::Fault(FaultKind::CloseBefore),
            transport: Transport::Unix,
            connections: Policy::Reused,
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
        let text = String::from_utf8(render(calibration, 100, false)).unwrap();
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn what_was_injected_stands_beside_what_was_counted() {
        let lines = lines(&calibration(8, BTreeMap::new()));
        assert_eq!(lines[1], "closed_before_response close-before unix reused 8 8 0");
        assert_eq!(lines[2], "permission no-permission unix reused - - left out");
        assert!(lines[4].starts_with("- left out: no-permission over unix on reused connections (root"));
        assert_eq!(lines[5], "PASSED 8 faults injected in 1 ways, 8 counted; all are exact");
    }

    #[test]
    fn a_difference_and_what_was_counted_instead_are_told() {
        let lines = lines(&calibration(7, [(FailureClass::Malformed, 1)].into()));
        assert_eq!(lines[1], "closed_before_response close-before unix reused 8 7 -1");
        assert_eq!(lines[4], "- close-before over unix on reused connections: also counted 1 malformed");
        assert!(lines.last().unwrap().starts_with("FAILED"), "{lines:?}");
    }
}
