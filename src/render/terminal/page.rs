//! The page that the sections are written on: width, colour and escaping in one place.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Row, TableStyle};

use crate::model::Verdict;
use crate::render::document::{self, Kind, Shown, Tone};
use crate::render::text::{escape, wrap};

/// Narrower than this, tables are no longer readable: they are cut by the terminal instead.
const NARROWEST: usize = 40;

/// A page of text.
pub(super) struct Page {
    text: String,
    width: usize,
    color: bool,
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
    pub(super) fn verdict(&mut self, shown: Shown, about: &str) {
        let word = shout(shown);
        let word = if self.color { format!("\u{1b}[1;{}m{word}\u{1b}[0m", ansi(shown)) } else { word };
        self.text.push_str(&word);
        let indent = shown.words().len() + 1;
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

    /// A line of a file, as it is but for what a terminal would act on.
    pub(super) fn line(&mut self, line: &str) {
        self.raw(&escape(&line.replace('\t', "    ")));
    }

    /// A table, fitted to the page: what is spare is left out where there is no room for it, then cells are wrapped.
    /// Prose stands below, after the first cell of its row.
    pub(super) fn table(&mut self, table: &document::Table) {
        let is_prose = |place: &usize| table.columns[*place].kind == Kind::Prose;
        let (prose, mut shown): (Vec<usize>, Vec<usize>) = (0..table.columns.len()).partition(is_prose);
        while natural_width(table, &shown) > self.width {
            let Some(spare) = shown.iter().rposition(|&place| table.columns[place].is_spare) else { break };
            shown.remove(spare);
        }
        self.grid(table, &shown);
        for row in table.rows.iter().filter(|row| row.len() > 1) {
            for text in prose.iter().map(|&place| &row[place].text).filter(|text| !text.is_empty()) {
                self.paragraph("", &format!("{}: {text}", row[0].text));
            }
        }
    }

    fn grid(&mut self, table: &document::Table, shown: &[usize]) {
        let mut grid = comfy_table::Table::new();
        // The output is bytes, whatever this process's own terminal is.
        grid.force_no_tty();
        if self.color {
            grid.enforce_styling();
        }
        grid.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
        // The gutter behind the last column is cut off again.
        grid.set_width(u16::try_from(self.width).unwrap_or(u16::MAX).saturating_add(GUTTER));
        grid.set_header(Row::from(shown.iter().map(|&place| Cell::new(table.columns[place].name)).collect::<Vec<_>>()));
        grid.add_rows(table.rows.iter().map(|row| shown.iter().map(|&place| cell(&row[place])).collect::<Vec<_>>()));
        for (&place, layout) in shown.iter().zip(grid.column_iter_mut()) {
            layout.set_padding((0, GUTTER));
            layout.set_cell_alignment(match table.columns[place].kind {
                Kind::Number => CellAlignment::Right,
                Kind::Words | Kind::Prose => CellAlignment::Left,
            });
        }
        for line in grid.lines() {
            self.raw(&line);
        }
    }
}

/// The width of these columns without any wrapping.
fn natural_width(table: &document::Table, shown: &[usize]) -> usize {
    let width_of = |&place: &usize| {
        let cells = table.rows.iter().map(|row| escape(&row[place].text).chars().count());
        cells.fold(table.columns[place].name.chars().count(), usize::max) + usize::from(GUTTER)
    };
    shown.iter().map(width_of).sum::<usize>().saturating_sub(usize::from(GUTTER))
}

fn cell(cell: &document::Cell) -> Cell {
    let text = Cell::new(escape(&cell.text));
    match cell.tone {
        Tone::Plain | Tone::Code | Tone::Scenario(_) => text,
        Tone::Bad => text.fg(Color::Red),
        Tone::Verdict(shown) => text.fg(color(shown)).add_attribute(Attribute::Bold),
    }
}

fn color(shown: Shown) -> Color {
    match shown.verdict {
        Verdict::Passed if shown.is_loss_expected => Color::Cyan,
        Verdict::Passed => Color::Green,
        Verdict::Inconclusive => Color::Yellow,
        Verdict::Failed => Color::Red,
    }
}

/// The verdict in capitals, and in small letters what qualifies it.
fn shout(shown: Shown) -> String {
    shown.words().replacen(shown.verdict.name(), &shown.verdict.name().to_uppercase(), 1)
}

/// The colour's number, ECMA-48 SGR.
fn ansi(shown: Shown) -> u8 {
    match shown.verdict {
        Verdict::Passed if shown.is_loss_expected => 36,
        Verdict::Passed => 32,
        Verdict::Inconclusive => 33,
        Verdict::Failed => 31,
    }
}
