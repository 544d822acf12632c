//! Reads single values: each function notes what is wrong and then gives none.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::mistake::Mistakes;
use super::source::Spanned;
use super::tree::{Node, Value};
use super::{duration, suggest};

/// Notes that `node` is of the wrong type.
pub(crate) fn wrong_type(node: &Node, expected: &str, mistakes: &mut Mistakes, help: &str) {
    mistakes.add(node.place, format!("expected {expected}, found {}", node.value.kind())).help(help);
}

/// A string.
pub(crate) fn string(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    if let Value::String(text) = &node.value {
        return Some(text.clone());
    }
    wrong_type(node, "a string", mistakes, "put it in quotes");
    None
}

/// A string with something in it, and no NUL, which no path and no argument can hold.
pub(crate) fn word(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text = string(node, mistakes)?;
    if text.is_empty() {
        mistakes.add(node.place, "this is empty").help("say something, or leave the key out");
        return None;
    }
    if text.contains('\0') {
        mistakes.add(node.place, "this holds a NUL character").help("take it out: the system cannot pass it on");
        return None;
    }
    Some(text)
}

/// A path as it is written.
pub(crate) fn path(node: &Node, mistakes: &mut Mistakes) -> Option<PathBuf> {
    word(node, mistakes).map(PathBuf::from)
}

/// A name: `[A-Za-z0-9._-]`, since it becomes a file name and a part of dotted keys.
pub(crate) fn name(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    const LONGEST: usize = 100;
    let text = word(node, mistakes)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let problem = match text.chars().find(|&c| !allowed(c)) {
        Some(character) => format!("a name cannot hold {character:?}"),
        None if text.starts_with('.') => "a name cannot start with a dot".to_owned(),
        None if text.len() > LONGEST => format!("a name has at most {LONGEST} characters"),
        None => return Some(text),
    };
    mistakes.add(node.place, problem).help("use letters, digits, `.`, `_` and `-`");
    None
}

/// True or false.
pub(crate) fn boolean(node: &Node, mistakes: &mut Mistakes) -> Option<bool> {
    if let Value::Boolean(value) = node.value {
        return Some(value);
    }
    wrong_type(node, "a boolean", mistakes, "say true or false, without quotes");
    None
}

/// A whole number in `range`.
pub(crate) fn whole<T>(node: &Node, mistakes: &mut Mistakes, range: &RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    let Value::Integer(number) = node.value else {
        wrong_type(node, "an integer", mistakes, "write a whole number, without quotes");
        return None;
    };
    let value = T::try_from(number).ok().filter(|value| range.contains(value));
    if value.is_none() {
        mistakes.add(node.place, format!("{number} is out of range")).help(format!(
            "it can be {} to {}",
            range.start(),
            range.end()
        ));
    }
    value
}

/// A number, whole or not, more than 0 and at most `largest`.
pub(crate) fn positive(node: &Node, mistakes: &mut Mistakes, largest: f64) -> Option<f64> {
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
}

/// A duration in `range`.
pub(crate) fn span(node: &Node, mistakes: &mut Mistakes, range: &RangeInclusive<Duration>) -> Option<Duration> {
    let Value::String(text) = &node.value else {
        wrong_type(node, "a duration", mistakes, duration::HELP);
        return None;
    };
    let value = match duration::parse(text) {
        Ok(value) => value,
        Err(why) => {
            mistakes.add(node.place, format!("the duration {why}")).help(duration::HELP);
            return None;
        }
    };
    if !range.contains(&value) {
        let (least, most) = (duration::format(*range.start()), duration::format(*range.end()));
        mistakes.add(node.place, format!("{text} is out of range")).help(format!("it can be {least} to {most}"));
        return None;
    }
    Some(value)
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(node: &Node, mistakes: &mut Mistakes, words: &[(&'static str, T)]) -> Option<T> {
    let text = string(node, mistakes)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        mistakes.add(node.place, format!("unknown word \"{text}\"")).help(suggest::did_you_mean(&text, &known));
    }
    found
}

/// An array, each element read by `read`. What is wrong is left out, and then the whole is none.
pub(crate) fn list<T>(
    node: &Node,
    mistakes: &mut Mistakes,
    help: &str,
    mut read: impl FnMut(&Node, &mut Mistakes) -> Option<T>,
) -> Option<Vec<Spanned<T>>> {
    let Value::Array(nodes) = &node.value else {
        wrong_type(node, "an array", mistakes, help);
        return None;
    };
    let mut values = Vec::new();
    for each in nodes {
        values.extend(read(each, mistakes).map(|value| Spanned { place: each.place, value }));
    }
    (values.len() == nodes.len()).then_some(values)
}

/// A program and its arguments.
pub(crate) fn command(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    const HELP: &str = "a command is an array of strings, run without a shell: [\"./deploy.sh\", \"--now\"]";
    let words = list(node, mistakes, HELP, |each, mistakes| {
        let text = string(each, mistakes)?;
        if text.contains('\0') {
            mistakes.add(each.place, "an argument cannot hold a NUL character").help(HELP);
            return None;
        }
        Some(text)
    })?;
    if words.first().is_none_or(|program| program.value.is_empty()) {
        mistakes.add(node.place, "this command has no program").help(HELP);
        return None;
    }
    Some(words.into_iter().map(|word| word.value).collect())
}
