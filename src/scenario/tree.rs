//! A TOML document as a tree of values that know their places.
//!
//! Of our own, because values from the file and from `--set` stand in different texts.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue, Error};

use super::source::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where; of a table, its header.
    pub place: Place,
    pub value: Value,
}

/// A value of TOML.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// A number that no type of ours holds, or a date: no scenario has a use for either.
    Other(&'static str),
    Array(Vec<Node>),
    Table(Table),
}

impl Node {
    /// A value that stands nowhere: a declared default.
    pub(crate) fn of_literal(literal: &serde_json::Value) -> Self {
        let value = match literal {
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Bool(value) => Value::Boolean(*value),
            serde_json::Value::Number(number) => number
                .as_i128()
                .map(Value::Integer)
                .or_else(|| number.as_f64().map(Value::Float))
                .unwrap_or(Value::Other("a huge number")),
            serde_json::Value::Array(literals) => Value::Array(literals.iter().map(Self::of_literal).collect()),
            serde_json::Value::Null | serde_json::Value::Object(_) => Value::Table(Table::default()),
        };
        Self { place: Place::ROOT, value }
    }
}

impl Value {
    /// The type in words, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Other(kind) => kind,
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// A table, its keys in the order of the text, which is that of headers in a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(Vec<Entry>);

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub node: Node,
}

impl Table {
    /// The entry of that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// The entry of that key, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    /// Adds an entry whose key is not there yet.
    pub(crate) fn push(&mut self, entry: Entry) -> &mut Entry {
        self.0.push(entry);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.0
    }
}

/// Parses a document as far as it goes: what was understood, and every syntax error.
pub(crate) fn parse_document(text: &str, source: usize) -> (Table, Vec<Error>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    (table(document.get_ref(), Text { source, offset: 0 }), errors)
}

/// Parses one value that stands `offset` bytes into its text; none if it is not TOML.
pub(crate) fn parse_value(text: &str, source: usize, offset: usize) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(&value, Text { source, offset }))
}

/// Which text the spans of the parser are relative to.
#[derive(Clone, Copy)]
struct Text {
    source: usize,
    offset: usize,
}

impl Text {
    fn place(self, span: &Range<usize>) -> Place {
        Place { source: self.source, start: self.offset + span.start, end: self.offset + span.end }
    }
}

fn table(table: &DeTable<'_>, text: Text) -> Table {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        key_place: text.place(&key.span()),
        node: node(value, text),
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|entry| entry.key_place);
    Table(entries)
}

fn node(spanned: &Spanned<DeValue<'_>>, text: Text) -> Node {
    let value = match spanned.get_ref() {
        DeValue::String(string) => Value::String(string.to_string()),
        DeValue::Integer(number) => integer(number).map_or(Value::Other("a huge number"), Value::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("a huge number"), Value::Float),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(nodes) => Value::Array(nodes.iter().map(|each| node(each, text)).collect()),
        DeValue::Table(inner) => Value::Table(table(inner, text)),
    };
    Node { place: text.place(&spanned.span()), value }
}

fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}
