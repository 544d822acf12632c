//! Reads the tables of a scenario key by key, noting every mistake and going on.

use super::mistake::Mistakes;
use super::source::Place;
use super::suggest;
use super::tree::{Entry, Node, Table, Value};

/// What a scenario says about one key.
#[derive(Clone, Debug, Default)]
pub(crate) enum Field<T> {
    /// Nothing: its default holds.
    #[default]
    Absent,
    /// Something that was found to be a mistake; where its key stands.
    Wrong(Place),
    /// A value that is right in itself.
    Given(Given<T>),
}

/// A value that a scenario gives.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    /// Where its key stands.
    pub key: Place,
    /// Where it stands.
    pub place: Place,
    /// The value.
    pub value: T,
}

impl<T> Field<T> {
    /// Neither right nor wrong.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value with its places.
    pub(crate) fn given(&self) -> Option<&Given<T>> {
        match self {
            Self::Given(given) => Some(given),
            _ => None,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&T> {
        self.given().map(|given| &given.value)
    }

    /// Where the key stands, even if its value is wrong.
    pub(crate) fn key(&self) -> Option<Place> {
        match self {
            Self::Absent => None,
            Self::Wrong(key) => Some(*key),
            Self::Given(given) => Some(given.key),
        }
    }

    /// The one that is not absent, this one first.
    pub(crate) fn over<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.is_absent() { other } else { self }
    }
}

impl<T: Clone> Field<T> {
    /// The value or its default. A wrong value has been noted, so what stands in for it will not be used.
    pub(crate) fn or(&self, default: T) -> T {
        self.value().cloned().unwrap_or(default)
    }
}

/// Hands out the values of one table by key and at the end reports the keys that nobody asked for.
pub(crate) struct Reader<'a> {
    name: &'static str,
    table: &'a Table,
    known: Vec<&'static str>,
    mistakes: &'a mut Mistakes,
}

impl<'a> Reader<'a> {
    /// A reader of the table `name`; empty for the file itself.
    pub(crate) fn new(name: &'static str, table: &'a Table, mistakes: &'a mut Mistakes) -> Self {
        Self { name, table, known: Vec::new(), mistakes }
    }

    /// As [`Self::new`], if `node` is a table; else that is a mistake.
    pub(crate) fn of(name: &'static str, node: &'a Node, mistakes: &'a mut Mistakes) -> Option<Self> {
        if let Value::Table(table) = &node.value {
            return Some(Self::new(name, table, mistakes));
        }
        let help = match &node.value {
            Value::Array(_) => format!("write [{name}] once, in single brackets"),
            _ => format!("`{name}` is a table: [{name}], or {name} = {{ .. }}"),
        };
        mistakes.add(node.place, format!("expected a table, found {}", node.value.kind())).help(help);
        None
    }

    /// Reads the value of `key` with `read`, which notes what is wrong with it and then gives none.
    pub(crate) fn field<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Node, &mut Mistakes) -> Option<T>,
    ) -> Field<T> {
        self.known.push(key);
        let Some(entry) = self.table.get(key) else { return Field::Absent };
        match read(&entry.node, self.mistakes) {
            Some(value) => Field::Given(Given { key: entry.key_place, place: entry.node.place, value }),
            None => Field::Wrong(entry.key_place),
        }
    }

    /// The entries that no field was asked for yet.
    pub(crate) fn others(&self) -> Vec<&'a Entry> {
        self.table.entries().iter().filter(|entry| !self.known.contains(&entry.key.as_str())).collect()
    }

    /// The mistakes, to note one more.
    pub(crate) fn mistakes(&mut self) -> &mut Mistakes {
        self.mistakes
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self) {
        for entry in self.others() {
            let place = match self.name {
                "" => "at the top of a scenario".to_owned(),
                "load" | "steps" => format!("in [[{}]]", self.name),
                name => format!("in [{name}]"),
            };
            self.mistakes
                .add(entry.key_place, format!("unknown key `{}` {place}", entry.key))
                .help(suggest::did_you_mean(&entry.key, &self.known));
        }
    }
}
