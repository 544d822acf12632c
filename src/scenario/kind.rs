//! Kinds of values: how each is read, and what the schema says of it. A reader notes what is wrong and then gives none.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::keys::{Key, Keys, schema_of};
use super::mistake::Mistakes;
use super::plan::MOST_STEPS;
use super::reader::Reader;
use super::source::Spanned;
use super::tree::{Node, Value};
use super::{duration, suggest};

type Read<T> = dyn Fn(&Node, &mut Mistakes) -> Option<T>;

/// How a value is read, and what the schema says of it.
pub(crate) struct Kind<T> {
    read: Box<Read<T>>,
    schema: Box<dyn Fn() -> Json>,
    keys: fn() -> Vec<Key>,
}

impl<T: 'static> Kind<T> {
    pub(crate) fn new(
        schema: impl Fn() -> Json + 'static,
        read: impl Fn(&Node, &mut Mistakes) -> Option<T> + 'static,
    ) -> Self {
        Self { read: Box::new(read), schema: Box::new(schema), keys: Vec::new }
    }

    /// Reads the value of `node`.
    pub(crate) fn read(&self, node: &Node, mistakes: &mut Mistakes) -> Option<T> {
        (self.read)(node, mistakes)
    }

    pub(crate) fn schema(&self) -> Json {
        (self.schema)()
    }

    /// The keys of the table that such a value is.
    pub(crate) fn keys(&self) -> Vec<Key> {
        (self.keys)()
    }

    /// As this kind, and made into something else, or refused, by `then`.
    pub(crate) fn then<U: 'static>(self, then: impl Fn(T, &Node, &mut Mistakes) -> Option<U> + 'static) -> Kind<U> {
        let read = move |node: &Node, mistakes: &mut Mistakes| then((self.read)(node, mistakes)?, node, mistakes);
        Kind { read: Box::new(read), schema: self.schema, keys: self.keys }
    }

    pub(crate) fn map<U: 'static>(self, to: impl Fn(T) -> U + 'static) -> Kind<U> {
        self.then(move |value, _, _| Some(to(value)))
    }

    /// As this kind, or the word that stands for `value`.
    pub(crate) fn or_word(self, word: &'static str, value: T) -> Self
    where
        T: Clone,
    {
        let (read, schema) = (self.read, self.schema);
        let either = move |node: &Node, mistakes: &mut Mistakes| match &node.value {
            Value::String(text) if text == word => Some(value.clone()),
            _ => read(node, mistakes),
        };
        let schema = move || json!({ "anyOf": [{ "const": word }, schema()] });
        Self { read: Box::new(either), schema: Box::new(schema), keys: self.keys }
    }

    /// With one more word in its schema.
    pub(crate) fn with(self, word: &'static str, value: impl Into<Json>) -> Self {
        let (schema, value) = (self.schema, value.into());
        let amended = move || {
            let mut schema = schema();
            schema[word].clone_from(&value);
            schema
        };
        Self { read: self.read, schema: Box::new(amended), keys: self.keys }
    }

    /// With that schema instead.
    pub(crate) fn described(self, schema: impl Fn() -> Json + 'static) -> Self {
        Self { schema: Box::new(schema), ..self }
    }
}

/// Notes that `node` is of the wrong type.
pub(crate) fn wrong_type(node: &Node, expected: &str, mistakes: &mut Mistakes, help: &str) {
    mistakes.add(node.place, format!("expected {expected}, found {}", node.value.kind())).help(help);
}

/// A string.
pub(crate) fn text() -> Kind<String> {
    Kind::new(
        || json!({ "type": "string" }),
        |node, mistakes| {
            if let Value::String(text) = &node.value {
                return Some(text.clone());
            }
            wrong_type(node, "a string", mistakes, "put it in quotes");
            None
        },
    )
}

/// A string with something in it, and no NUL, which no path and no argument can hold.
pub(crate) fn word() -> Kind<String> {
    let word = text().then(|text, node, mistakes| {
        if text.is_empty() {
            mistakes.add(node.place, "this is empty").help("say something, or leave the key out");
            return None;
        }
        if text.contains('\0') {
            mistakes.add(node.place, "this holds a NUL character").help("take it out: the system cannot pass it on");
            return None;
        }
        Some(text)
    });
    word.with("minLength", 1)
}

/// A path as it is written.
pub(crate) fn path() -> Kind<PathBuf> {
    word().map(PathBuf::from)
}

/// A name: `[A-Za-z0-9._-]`, since it becomes a file name and a part of dotted keys.
pub(crate) fn name() -> Kind<String> {
    const LONGEST: usize = 100;
    let name = word().then(|text, node, mistakes| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let problem = match text.chars().find(|&c| !allowed(c)) {
            Some(character) => format!("a name cannot hold {character:?}"),
            None if text.starts_with('.') => "a name cannot start with a dot".to_owned(),
            None if text.len() > LONGEST => format!("a name has at most {LONGEST} characters"),
            None => return Some(text),
        };
        mistakes.add(node.place, problem).help("use letters, digits, `.`, `_` and `-`");
        None
    });
    name.described(|| json!({ "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$", "maxLength": LONGEST }))
}

/// True or false.
pub(crate) fn boolean() -> Kind<bool> {
    Kind::new(
        || json!({ "type": "boolean" }),
        |node, mistakes| {
            if let Value::Boolean(value) = node.value {
                return Some(value);
            }
            wrong_type(node, "a boolean", mistakes, "say true or false, without quotes");
            None
        },
    )
}

/// A whole number in `range`. The schema names no upper limit that only the type sets.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> Kind<T>
where
    T: TryFrom<i128> + Into<u64> + Copy + PartialOrd + std::fmt::Display + 'static,
{
    let (least, most): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
    let schema = move || {
        let mut schema = json!({ "type": "integer", "minimum": least });
        if most < u64::MAX {
            schema["maximum"] = json!(most);
        }
        schema
    };
    Kind::new(schema, move |node, mistakes| {
        let Value::Integer(number) = node.value else {
            wrong_type(node, "an integer", mistakes, "write a whole number, without quotes");
            return None;
        };
        let value = T::try_from(number).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let help = format!("it can be {least} to {most}");
            mistakes.add(node.place, format!("{number} is out of range")).help(help);
        }
        value
    })
}

/// A number, whole or not, more than 0 and at most `largest`.
pub(crate) fn positive(largest: f64) -> Kind<f64> {
    let schema = move || json!({ "type": "number", "exclusiveMinimum": 0, "maximum": largest });
    Kind::new(schema, move |node, mistakes| {
        let number = match node.value {
            Value::Float(number) => number,
            #[expect(clippy::cast_precision_loss, reason = "what loses precision here is far out of range")]
            Value::Integer(number) => number as f64,
            _ => {
                wrong_type(node, "a number", mistakes, "write a number, without quotes");
                return None;
            }
        };
        if number > 0.0 && number <= largest {
            return Some(number);
        }
        mistakes.add(node.place, format!("{number} is out of range")).help(format!("more than 0, at most {largest}"));
        None
    })
}

/// A duration in `range`.
pub(crate) fn span(range: RangeInclusive<Duration>) -> Kind<Duration> {
    let schema = || json!({ "type": "string", "pattern": duration::PATTERN, "minLength": 2 });
    Kind::new(schema, move |node, mistakes| {
        let Value::String(text) = &node.value else {
            wrong_type(node, "a duration", mistakes, duration::HELP);
            return None;
        };
        let value = match duration::parse(text) {
            Ok(value) => value,
            Err(why) => {
                mistakes.add(node.place, why).help(duration::HELP);
                return None;
            }
        };
        if !range.contains(&value) {
            let (least, most) = (duration::format(*range.start()), duration::format(*range.end()));
            mistakes.add(node.place, format!("{text} is out of range")).help(format!("it can be {least} to {most}"));
            return None;
        }
        Some(value)
    })
}

/// One of the words of an enum.
pub(crate) fn one_of<T>(all: impl IntoIterator<Item = T>) -> Kind<T>
where
    T: Into<&'static str> + Clone + 'static,
{
    let words: Vec<(&'static str, T)> = all.into_iter().map(|value| (value.clone().into(), value)).collect();
    let known: Vec<&'static str> = words.iter().map(|(word, _)| *word).collect();
    let schema = {
        let known = known.clone();
        move || json!({ "enum": known })
    };
    let read = move |text: String, node: &Node, mistakes: &mut Mistakes| {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        if found.is_none() {
            mistakes.add(node.place, format!("unknown word \"{text}\"")).help(suggest::did_you_mean(&text, &known));
        }
        found
    };
    text().then(read).described(schema)
}

/// An array of `item`. What is wrong is left out, and then the whole is none.
pub(crate) fn list<T: 'static>(help: &'static str, item: Kind<T>) -> Kind<Vec<Spanned<T>>> {
    let items = item.schema;
    let schema = move || json!({ "type": "array", "items": items() });
    Kind::new(schema, move |node, mistakes| {
        let Value::Array(nodes) = &node.value else {
            wrong_type(node, "an array", mistakes, help);
            return None;
        };
        let mut values = Vec::new();
        for each in nodes {
            values.extend((item.read)(each, mistakes).map(|value| Spanned { place: each.place, value }));
        }
        (values.len() == nodes.len()).then_some(values)
    })
}

/// A program and its arguments.
pub(crate) fn command() -> Kind<Vec<String>> {
    const HELP: &str = "a command is an array of strings, run without a shell: [\"./deploy.sh\", \"--now\"]";
    let argument = text().then(|text, node, mistakes| {
        if text.contains('\0') {
            mistakes.add(node.place, "an argument cannot hold a NUL character").help(HELP);
            return None;
        }
        Some(text)
    });
    let command = list(HELP, argument).then(|words, node, mistakes| {
        if words.first().is_none_or(|program| program.value.is_empty()) {
            mistakes.add(node.place, "this command has no program").help(HELP);
            return None;
        }
        Some(words.into_iter().map(|word| word.value).collect())
    });
    command.described(|| json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }))
}

/// A table with declared keys.
pub(crate) fn table<T: Keys + 'static>() -> Kind<T> {
    let read = |node: &Node, mistakes: &mut Mistakes| Some(Reader::of(T::NAME, node, mistakes)?.all());
    Kind { read: Box::new(read), schema: Box::new(schema_of::<T>), keys: T::keys }
}

/// An array of tables, `[[name]]`. Entries that are no tables are noted and left out.
pub(crate) fn tables<T: Keys + 'static>() -> Kind<Vec<Spanned<T>>> {
    let schema = || json!({ "type": "array", "items": schema_of::<T>(), "maxItems": MOST_STEPS });
    let read = |node: &Node, mistakes: &mut Mistakes| {
        let name = T::NAME;
        let help = format!("`{name}` is an array of tables: write [[{name}]], in double brackets");
        let Value::Array(nodes) = &node.value else {
            wrong_type(node, "an array of tables", mistakes, &help);
            return None;
        };
        // Enough for any scenario, and bounds what a hostile file can make of one run.
        if let Some(first) = nodes.get(MOST_STEPS) {
            mistakes.add(first.place, format!("more than {MOST_STEPS} [[{name}]]")).help("split the scenario");
            return None;
        }
        let read = |node: &Node| Some(Spanned { place: node.place, value: Reader::of(name, node, mistakes)?.all() });
        Some(nodes.iter().filter_map(read).collect())
    };
    Kind { read: Box::new(read), schema: Box::new(schema), keys: T::keys }
}
