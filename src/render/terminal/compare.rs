//! Two runs side by side.

use comfy_table::Cell;

use super::page::{Column, Page, bad_cell, cell};
use crate::analysis::compare::{Change, Comparison, FigureChange};

/// The comparison for a terminal of `width` columns.
#[must_use]
pub fn comparison(comparison: &Comparison, width: usize, color: bool) -> Vec<u8> {
    let mut page = Page::new(width, color);
    let columns = [
        Column::Words("figure"),
        Column::Number("before"),
        Column::Number("after"),
        Column::Number("ratio"),
        Column::Words("change"),
    ];
    page.paragraph("", &comparison.summary());
    for scenario in &comparison.scenarios {
        page.heading(&format!("{}: {}", scenario.name, scenario.verdicts()));
        if let Some(per_event) = &scenario.per_event {
            page.paragraph("", per_event);
        }
        if !scenario.figures.is_empty() {
            page.table(&columns, scenario.telling().map(row).collect());
        }
    }
    page.into_bytes()
}

fn row(figure: &FigureChange) -> Vec<Cell> {
    let [before, after, ratio] = figure.words();
    let is_bad = matches!(figure.change, Change::Worse | Change::New);
    vec![
        cell(figure.metric.to_string()),
        cell(before),
        cell(after),
        cell(ratio),
        bad_cell(figure.change.name(), is_bad),
    ]
}
