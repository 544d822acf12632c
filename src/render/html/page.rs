//! Tables, badges and other parts of a page.

use std::fmt::Display;

use super::anchor;
use crate::render::document::{Cell, Kind, Shown, Table, Tile, Tone, glossary};
use crate::render::markup::{Attributes, Markup};

/// A table that scrolls by itself where the page is too narrow for it.
pub(super) fn table(page: &mut Markup, table: &Table) {
    page.nested("div", &[("class", &"wide")], |wide| {
        wide.nested("table", &[], |grid| {
            grid.nested("thead", &[], |head| {
                head.nested("tr", &[], |row| {
                    for column in &table.columns {
                        let kind = class(column.kind);
                        match glossary::meaning(column.name) {
                            Some(meaning) => {
                                let attributes: Attributes<'_> =
                                    &[("class", &kind), ("scope", &"col"), ("title", &meaning)];
                                row.element("th", attributes, column.name);
                            }
                            None => row.element("th", &[("class", &kind), ("scope", &"col")], column.name),
                        }
                    }
                });
            });
            grid.nested("tbody", &[], |body| {
                for row in &table.rows {
                    body.nested("tr", &[], |tr| {
                        table.columns.iter().zip(row).for_each(|(column, cell)| self::cell(tr, column.kind, cell));
                    });
                }
            });
        });
    });
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Words | Kind::Prose => "words",
        Kind::Number => "number",
    }
}

fn cell(row: &mut Markup, kind: Kind, cell: &Cell) {
    let bad = if cell.tone == Tone::Bad { " bad" } else { "" };
    row.nested("td", &[("class", &format!("{}{bad}", class(kind)))], |td| match cell.tone {
        Tone::Plain | Tone::Bad => td.text(&cell.text),
        Tone::Code => td.element("code", &[], &cell.text),
        Tone::Verdict(verdict) => badge(td, verdict),
        Tone::Scenario(number) => td.element("a", &[("href", &format!("#{}", anchor(number)))], &cell.text),
    });
}

/// A verdict in its colour.
pub(super) fn badge(page: &mut Markup, shown: Shown) {
    let class = format!("badge {}", if shown.is_loss_expected { "expected" } else { shown.verdict.name() });
    page.element("span", &[("class", &class)], shown.words());
}

/// A figure with its name under it.
pub(super) fn tile(page: &mut Markup, figure: &Tile) {
    page.nested("div", &[("class", &if figure.is_bad { "tile bad" } else { "tile" })], |tile| {
        tile.element("b", &[], &figure.value);
        tile.element("span", &[], figure.name);
    });
}

/// A list of sentences.
pub(super) fn list<T: Display>(page: &mut Markup, items: impl IntoIterator<Item = T>) {
    page.nested("ul", &[], |list| items.into_iter().for_each(|item| list.element("li", &[], item)));
}
