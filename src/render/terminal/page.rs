//! The page that the sections are written on: width, colour and escaping in one place.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Row, Table, TableStyle};

use crate::model::Verdict;
use crate::render::text::{escape, wrap};

/// Narrower than this, tables are no longer readable: they are cut by the terminal instead.
const NARROWEST: usize = 40;

/// A page of text.
pub(super) struct Page {
    text: String,
    width: usize,
    color: bool,
}

/// One column of a table.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Words, to the left.
    Words(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
    /// As a number, but left out where there is no room, the last one first.
    Detail(&'static str),
}

/// Between two columns.
const GUTTER: u16 = 2;

impl Page {
    pub(super) fn new(width: usize, color: bool) -> Self {
        Self { text: String::new(), width: width.max(NARROWEST), color }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A verdict in its colour, and what it is about.
    pub(super) fn verdict(&mut self, verdict: Verdict, about: &str) {
        let word = verdict.name().to_uppercase();
        let word = if self.color { format!("\u{1b}[1;{}m{word}\u{1b}[0m", ansi(verdict)) } else { word };
        self.text.push_str(&word);
        let indent = verdict.name().len() + 1;
        for (place, line) in wrap(&escape(about), self.width - indent).iter().enumerate() {
            self.text.push_str(if place == 0 { " " } else { "\n" });
            self.text.extend(std::iter::repeat_n(' ', if place == 0 { 0 } else { indent }));
            self.text.push_str(line);
        }
        self.blank();
    }

    /// A heading after an empty line.
    pub(super) fn heading(&mut self, heading: &str) {
        self.blank();
        self.paragraph("", heading);
    }

    /// Text, wrapped; its lines are indented by two, the first one after `mark`.
    pub(super) fn paragraph(&mut self, mark: &str, text: &str) {
        let indent = if mark.is_empty() { 0 } else { 2 };
        for (place, line) in wrap(&escape(text), self.width - indent).iter().enumerate() {
            let lead = if place == 0 { mark } else { "" };
            self.text.push_str(&format!("{lead:indent$}{line}").trim_end().replace('\u{a0}', " "));
            self.blank();
        }
    }

    /// A line that is laid out already and holds nothing from outside.
    pub(super) fn raw(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.blank();
    }

    /// A table, fitted to the page: details are left out where there is no room for them, then cells are wrapped.
    pub(super) fn table(&mut self, columns: &[Column], mut rows: Vec<Vec<Cell>>) {
        let mut columns = columns.to_vec();
        while natural_width(&columns, &rows) > self.width {
            let Some(detail) = columns.iter().rposition(|column| matches!(column, Column::Detail(_))) else { break };
            columns.remove(detail);
            for row in &mut rows {
                row.remove(detail);
            }
        }
        let mut table = Table::new();
        // The output is bytes, whatever this process's own terminal is.
        table.force_no_tty();
        if self.color {
            table.enforce_styling();
        }
        table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
        // The gutter behind the last column is cut off again.
        table.set_width(u16::try_from(self.width).unwrap_or(u16::MAX).saturating_add(GUTTER));
        table.set_header(Row::from(columns.iter().map(|column| Cell::new(column.name())).collect::<Vec<_>>()));
        table.add_rows(rows);
        for (column, layout) in columns.iter().zip(table.column_iter_mut()) {
            layout.set_padding((0, GUTTER));
            layout.set_cell_alignment(column.alignment());
        }
        for line in table.lines() {
            self.raw(&line);
        }
    }
}

/// The width of a table that needs no wrapping.
fn natural_width(columns: &[Column], rows: &[Vec<Cell>]) -> usize {
    let width_of = |(place, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.content().chars().count());
        cells.fold(column.name().chars().count(), usize::max) + usize::from(GUTTER)
    };
    columns.iter().enumerate().map(width_of).sum::<usize>().saturating_sub(usize::from(GUTTER))
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Words(name) | Self::Number(name) | Self::Detail(name) => name,
        }
    }

    fn alignment(self) -> CellAlignment {
        match self {
            Self::Words(_) => CellAlignment::Left,
            Self::Number(_) | Self::Detail(_) => CellAlignment::Right,
        }
    }
}

/// A cell of a table.
pub(super) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(escape(text.as_ref()))
}

/// A cell that stands out, for what was lost or is not as it should be; plain where `is_bad` is false.
pub(super) fn bad_cell(text: impl AsRef<str>, is_bad: bool) -> Cell {
    let cell = cell(text);
    if is_bad { cell.fg(Color::Red) } else { cell }
}

/// A verdict in its colour.
pub(super) fn verdict_cell(verdict: Verdict) -> Cell {
    let color = match verdict {
        Verdict::Passed => Color::Green,
        Verdict::Inconclusive => Color::Yellow,
        Verdict::Failed => Color::Red,
    };
    cell(verdict.name()).fg(color).add_attribute(Attribute::Bold)
}

/// The colour's number, ECMA-48 SGR.
fn ansi(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 32,
        Verdict::Inconclusive => 33,
        Verdict::Failed => 31,
    }
}
