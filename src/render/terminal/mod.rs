//! The report on a terminal: the verdict first, then the sentences that explain it, then the figures.

mod calibration;
mod compare;
mod page;
mod scenario;
mod spark;

pub use self::calibration::render as render_calibration;
pub use self::compare::comparison as render_comparison;

use self::page::{Column, Page, bad_cell, cell, verdict_cell};
use super::text::{latency, ms};
use crate::analysis::RunResult;
use crate::model::Verdict;

/// The result for a terminal of `width` columns. Colour only where it means something, and none without `color`.
#[must_use]
pub fn render(result: &RunResult, width: usize, color: bool) -> Vec<u8> {
    let mut page = Page::new(width, color);
    if result.scenarios.len() > 1 {
        comparison(&mut page, result);
    }
    for (place, scenario) in result.scenarios.iter().enumerate() {
        if place > 0 || result.scenarios.len() > 1 {
            page.blank();
        }
        scenario::write(&mut page, scenario);
    }
    page.into_bytes()
}

/// One line for each scenario, and its description; for scenarios whose verdict did not pass, all that
/// [`render`] has to say of them.
#[must_use]
pub fn render_overview(result: &RunResult, width: usize, color: bool) -> Vec<u8> {
    let mut page = Page::new(width, color);
    comparison(&mut page, result);
    page.blank();
    for scenario in &result.scenarios {
        page.paragraph("-", &format!("{}: {}", scenario.name, scenario.description));
    }
    for scenario in result.scenarios.iter().filter(|scenario| scenario.verdict != Verdict::Passed) {
        page.blank();
        scenario::write(&mut page, scenario);
    }
    page.into_bytes()
}

/// One line for each scenario.
fn comparison(page: &mut Page, result: &RunResult) {
    let passed = result.scenarios.iter().filter(|scenario| scenario.verdict == result.verdict).count();
    page.verdict(result.verdict, &format!("{passed} of {} scenarios {}", result.scenarios.len(), result.verdict));
    page.blank();
    let columns = [
        Column::Words("scenario"),
        Column::Words("verdict"),
        Column::Number("dropped"),
        Column::Detail("000"),
        Column::Detail("p50 ms"),
        Column::Number("p99 ms"),
        Column::Number("stall ms"),
    ];
    let row = |scenario: &crate::analysis::ScenarioResult| {
        vec![
            cell(&scenario.name),
            verdict_cell(scenario.verdict),
            bad_cell(scenario.dropped.to_string(), scenario.dropped > 0),
            cell(scenario.http_000.to_string()),
            cell(latency(scenario.latency_ms.all.p50, scenario.requests.due)),
            cell(latency(scenario.latency_ms.all.p99, scenario.requests.due)),
            cell(ms(scenario.stall_ms)),
        ]
    };
    page.table(&columns, result.scenarios.iter().map(row).collect());
}
