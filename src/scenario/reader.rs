//! Reads the tables of a scenario key by key, noting every mistake and going on.

use super::keys::{Declared, Keys};
use super::mistake::Mistakes;
use super::source::Place;
use super::suggest;
use super::tree::{Entry, Node, Table, Value};

/// What a scenario says about one key, with what stands in for it: its declared default.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    Absent(Option<T>),
    /// Found to be a mistake, so that nothing will come of the scenario; where its key stands.
    Wrong(Place, Option<T>),
    /// Right in itself.
    Given(Given<T>),
}

/// A value that a scenario gives.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    /// Where its key stands.
    pub key: Place,
    /// Where it stands.
    pub place: Place,
    pub value: T,
}

impl<T> Field<T> {
    /// Neither right nor wrong.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(..))
    }

    /// The value with its places.
    pub(crate) fn given(&self) -> Option<&Given<T>> {
        match self {
            Self::Given(given) => Some(given),
            Self::Absent(_) | Self::Wrong(..) => None,
        }
    }

    /// The value, if it is given.
    pub(crate) fn value(&self) -> Option<&T> {
        self.given().map(|given| &given.value)
    }

    /// Where the key stands, even if its value is wrong.
    pub(crate) fn key(&self) -> Option<Place> {
        match self {
            Self::Absent(_) => None,
            Self::Wrong(key, _) => Some(*key),
            Self::Given(given) => Some(given.key),
        }
    }

    /// The one that is not absent, this one first.
    pub(crate) fn over<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.is_absent() { other } else { self }
    }

    /// The value, or what its declaration says holds without it.
    fn into_value(self) -> Option<T> {
        match self {
            Self::Given(given) => Some(given.value),
            Self::Absent(default) | Self::Wrong(_, default) => default,
        }
    }
}

impl<T: Clone> Field<T> {
    /// The value, or `default` where the declared one does not hold.
    pub(crate) fn or(&self, default: T) -> T {
        self.value().cloned().unwrap_or(default)
    }

    /// The value, or its declared default; that of the type where none is declared.
    pub(crate) fn or_default(&self) -> T
    where
        T: Default,
    {
        self.clone().into_value().unwrap_or_default()
    }
}

/// What a declared key is read into.
pub(crate) trait Slot<T> {
    fn fill(field: Field<T>) -> Self;
}

impl<T> Slot<T> for Field<T> {
    fn fill(field: Self) -> Self {
        field
    }
}

impl<T> Slot<T> for Option<T> {
    fn fill(field: Field<T>) -> Self {
        field.into_value()
    }
}

impl<T: Default> Slot<T> for T {
    fn fill(field: Field<T>) -> Self {
        field.into_value().unwrap_or_default()
    }
}

/// A table in which nothing is given.
pub(crate) fn of_nothing<T: Keys>() -> T {
    T::read(&mut Reader::new(T::NAME, Place::ROOT, &Table::default(), &mut Mistakes::default()))
}

/// Hands out the values of one table by key and at the end reports the keys that nobody asked for.
pub(crate) struct Reader<'a> {
    name: &'static str,
    /// Where the table stands: what it lacks is missing there.
    place: Place,
    table: &'a Table,
    known: Vec<&'a str>,
    mistakes: &'a mut Mistakes,
}

impl<'a> Reader<'a> {
    /// A reader of the table `name`; empty for the file itself.
    pub(crate) fn new(name: &'static str, place: Place, table: &'a Table, mistakes: &'a mut Mistakes) -> Self {
        Self { name, place, table, known: Vec::new(), mistakes }
    }

    /// As [`Self::new`], if `node` is a table; else that is a mistake.
    pub(crate) fn of(name: &'static str, node: &'a Node, mistakes: &'a mut Mistakes) -> Option<Self> {
        if let Value::Table(table) = &node.value {
            return Some(Self::new(name, node.place, table, mistakes));
        }
        let help = match &node.value {
            Value::Array(_) => format!("write [{name}] once, in single brackets"),
            _ => format!("`{name}` is a table: [{name}], or {name} = {{ .. }}"),
        };
        mistakes.add(node.place, format!("expected a table, found {}", node.value.kind())).help(help);
        None
    }

    /// Reads the keys of `T`, and reports every other.
    pub(crate) fn all<T: Keys>(mut self) -> T {
        let table = T::read(&mut self);
        self.finish();
        table
    }

    /// Reads the value of a key; what is wrong with it is noted.
    pub(crate) fn field<T: 'static>(&mut self, declared: &Declared<T>) -> Field<T> {
        self.known.push(declared.name);
        let default = || declared.kind.read(&Node::of_literal(declared.default.as_ref()?), &mut Mistakes::default());
        let Some(entry) = self.table.get(declared.name) else {
            if let Some((what, help)) = declared.missing {
                self.mistakes.add_missing(self.place, what).help(help);
            }
            return Field::Absent(default());
        };
        match declared.kind.read(&entry.node, self.mistakes) {
            Some(value) => Field::Given(Given { key: entry.key_place, place: entry.node.place, value }),
            None => Field::Wrong(entry.key_place, default()),
        }
    }

    /// Takes the entries that no field was asked for yet.
    pub(crate) fn take_others(&mut self) -> Vec<&'a Entry> {
        let others: Vec<_> =
            self.table.entries().iter().filter(|entry| !self.known.contains(&entry.key.as_str())).collect();
        self.known.extend(others.iter().map(|entry| entry.key.as_str()));
        others
    }

    /// The keys that were asked for.
    pub(crate) fn known(&self) -> Vec<&'a str> {
        self.known.clone()
    }

    /// The mistakes, to note one more.
    pub(crate) fn mistakes(&mut self) -> &mut Mistakes {
        self.mistakes
    }

    /// Reports every key that was not asked for.
    fn finish(mut self) {
        let known = self.known();
        for entry in self.take_others() {
            let place = match self.name {
                "" => "at the top of a scenario".to_owned(),
                "load" | "steps" => format!("in [[{}]]", self.name),
                name => format!("in [{name}]"),
            };
            self.mistakes
                .add(entry.key_place, format!("unknown key `{}` {place}", entry.key))
                .help(suggest::did_you_mean(&entry.key, &known));
        }
    }
}
