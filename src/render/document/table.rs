//! Tables, whose columns are declared once each.

use super::{Level, Shown};

/// A column as it is declared: what it is called, from which level on it is shown, and what it says of a row.
pub(crate) struct Column<T> {
    name: &'static str,
    kind: Kind,
    from: Level,
    room: Room,
    cell: fn(&T) -> Cell,
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Words,
    Number,
    /// Words that may need more room than a table has: then they stand below it.
    Prose,
}

/// Whether a column may be left out where there is no room for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Always,
    /// The last one goes first.
    Spare,
    /// Spare, and shown from its level on, unless it has a bad cell: then it is always there.
    UnlessBad,
}

/// A table, ready to be laid out.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Head>,
    /// Each row has a cell for each column.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The head of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// It may be left out where there is no room for it.
    pub(crate) is_spare: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// How a cell stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// What was lost, or is not as it should be.
    Bad,
    /// A name that scripts use.
    Code,
    Verdict(Shown),
    /// The scenario of that number has a part of its own.
    Scenario(usize),
}

impl<T> Column<T> {
    pub(crate) const fn words(name: &'static str, from: Level, cell: fn(&T) -> Cell) -> Self {
        Self { name, kind: Kind::Words, from, room: Room::Always, cell }
    }

    pub(crate) const fn number(name: &'static str, from: Level, cell: fn(&T) -> Cell) -> Self {
        Self { name, kind: Kind::Number, from, room: Room::Always, cell }
    }

    pub(crate) const fn prose(name: &'static str, from: Level, cell: fn(&T) -> Cell) -> Self {
        Self { name, kind: Kind::Prose, from, room: Room::Always, cell }
    }

    /// Its head and its cells; none below its level.
    fn fill(&self, level: Level, items: &[&T]) -> Option<(Head, Vec<Cell>)> {
        let cells: Vec<Cell> = items.iter().map(|item| (self.cell)(item)).collect();
        let is_bad = self.room == Room::UnlessBad && cells.iter().any(|cell| cell.tone == Tone::Bad);
        let head = Head { name: self.name, kind: self.kind, is_spare: self.room != Room::Always && !is_bad };
        (level >= self.from || is_bad).then_some((head, cells))
    }
}

/// The column may be left out where there is no room for it.
pub(crate) const fn spare<T>(mut column: Column<T>) -> Column<T> {
    column.room = Room::Spare;
    column
}

/// The column may be left out, unless something in it is bad: then it is shown on every level.
pub(crate) const fn unless_bad<T>(mut column: Column<T>) -> Column<T> {
    column.room = Room::UnlessBad;
    column
}

impl Table {
    /// A row for each item, with the columns of that level.
    pub(crate) fn of<'a, T: 'a>(
        columns: impl IntoIterator<Item = &'a Column<T>>,
        level: Level,
        items: impl IntoIterator<Item = &'a T>,
    ) -> Self {
        let items: Vec<&T> = items.into_iter().collect();
        let mut table = Self { columns: Vec::new(), rows: vec![Vec::new(); items.len()] };
        for (head, cells) in columns.into_iter().filter_map(|column| column.fill(level, &items)) {
            table.columns.push(head);
            table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        }
        table
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers have numbers as well as texts")]
impl Cell {
    pub(crate) fn plain(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }

    /// Bad where `is_bad` holds.
    pub(crate) fn judged(text: impl ToString, is_bad: bool) -> Self {
        Self { text: text.to_string(), tone: if is_bad { Tone::Bad } else { Tone::Plain } }
    }

    /// A count that should be zero.
    pub(crate) fn loss(count: u64) -> Self {
        Self::judged(count, count > 0)
    }

    pub(crate) fn code(name: impl ToString) -> Self {
        Self { text: name.to_string(), tone: Tone::Code }
    }

    pub(crate) fn verdict(verdict: impl Into<Shown>) -> Self {
        let shown = verdict.into();
        Self { text: shown.words().to_owned(), tone: Tone::Verdict(shown) }
    }

    /// A value; `-` for none.
    pub(crate) fn value(value: Option<impl ToString>) -> Self {
        Self::plain(value.map_or_else(|| "-".to_owned(), |value| value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column<u64>; 3] = [
        Column::words("name", Level::Brief, |n| Cell::plain(n)),
        unless_bad(Column::number("wrong", Level::Normal, |&n| Cell::loss(n))),
        spare(Column::number("more", Level::Full, |n| Cell::plain(n))),
    ];

    fn names(level: Level, items: &[u64]) -> Vec<(&'static str, bool)> {
        let table = Table::of(&COLUMNS, level, items);
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        table.columns.iter().map(|head| (head.name, head.is_spare)).collect()
    }

    #[test]
    fn each_level_has_the_columns_of_the_one_before() {
        assert_eq!(names(Level::Brief, &[0]), [("name", false)]);
        assert_eq!(names(Level::Normal, &[0]), [("name", false), ("wrong", true)]);
        assert_eq!(names(Level::Full, &[0]), [("name", false), ("wrong", true), ("more", true)]);
    }

    #[test]
    fn what_is_bad_is_shown_on_every_level_and_never_left_out() {
        assert_eq!(names(Level::Brief, &[0, 1]), [("name", false), ("wrong", false)]);
    }
}
