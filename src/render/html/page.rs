//! Tables, badges and other parts of a page.

use std::fmt::Display;

use crate::model::Verdict;
use crate::render::markup::Markup;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Set left.
    Words(&'static str),
    /// Set right.
    Number(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Words(name) | Self::Number(name) => name,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Words(_) => "words",
            Self::Number(_) => "number",
        }
    }
}

/// A row of a table: its cells are filled from left to right.
pub(super) struct Row<'a> {
    markup: &'a mut Markup,
    columns: std::slice::Iter<'a, Column>,
}

impl Row<'_> {
    fn class(&mut self) -> &'static str {
        self.columns.next().map_or("words", |column| column.class())
    }

    /// A cell with text.
    pub(super) fn text(&mut self, text: impl Display) {
        let class = self.class();
        self.markup.element("td", &[("class", &class)], text);
    }

    /// A cell with a count that is bad unless it is zero.
    pub(super) fn loss(&mut self, count: u64) {
        let class = if count > 0 { format!("{} bad", self.class()) } else { self.class().to_owned() };
        self.markup.element("td", &[("class", &class)], count);
    }

    /// A cell with more than text.
    pub(super) fn markup(&mut self, fill: impl FnOnce(&mut Markup)) {
        let class = self.class();
        self.markup.nested("td", &[("class", &class)], fill);
    }
}

/// A table that scrolls by itself where the page is too narrow for it.
pub(super) fn table<T>(
    page: &mut Markup,
    columns: &[Column],
    items: impl IntoIterator<Item = T>,
    mut fill: impl FnMut(&mut Row<'_>, T),
) {
    page.nested("div", &[("class", &"wide")], |wide| {
        wide.nested("table", &[], |table| {
            table.nested("thead", &[], |head| {
                head.nested("tr", &[], |row| {
                    for column in columns {
                        row.element("th", &[("class", &column.class()), ("scope", &"col")], column.name());
                    }
                });
            });
            table.nested("tbody", &[], |body| {
                for item in items {
                    body.nested("tr", &[], |markup| fill(&mut Row { markup, columns: columns.iter() }, item));
                }
            });
        });
    });
}

/// A verdict in its colour.
pub(super) fn badge(page: &mut Markup, verdict: Verdict) {
    let class = format!("badge {}", verdict.name());
    page.element("span", &[("class", &class)], verdict.name());
}

/// A figure with its name under it.
pub(super) fn tile(page: &mut Markup, value: impl Display, name: &str, is_bad: bool) {
    page.nested("div", &[("class", &if is_bad { "tile bad" } else { "tile" })], |tile| {
        tile.element("b", &[], value);
        tile.element("span", &[], name);
    });
}

/// A list of sentences.
pub(super) fn list<T: Display>(page: &mut Markup, items: impl IntoIterator<Item = T>) {
    page.nested("ul", &[], |list| items.into_iter().for_each(|item| list.element("li", &[], item)));
}
