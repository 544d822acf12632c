//! What the command line says otherwise than the file: `--times N` and `--set key=value`.

use super::mistake::Mistakes;
use super::source::{Place, Sources};
use super::suggest;
use super::tree::{self, Entry, Node, Table, Value};

/// What the command line says otherwise than the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `times` of every step; 1 to 100,000.
    pub times: Option<u32>,
    /// Each a dotted path into the file and a value: `run.warmup=0s`, `load.keep-alive.rate=500`, `steps.0.times=1`.
    /// An entry of an array goes by its name, or by its number from 0. The value is TOML, or else a string.
    pub set: Vec<String>,
}

/// The `--set` of an [`Overrides`], taken apart.
struct Assignment {
    path: Vec<Segment>,
    value: Node,
}

/// One key of a dotted path.
struct Segment {
    key: String,
    place: Place,
}

/// Puts the overrides into the tree of the file. Each becomes a text of its own in `sources`.
pub(crate) fn apply(overrides: &Overrides, root: &mut Table, sources: &mut Sources, mistakes: &mut Mistakes) {
    for text in &overrides.set {
        let source = sources.add("--set", text.clone());
        if let Some(assignment) = parse(text, source, mistakes) {
            assign(root, &assignment, mistakes);
        }
    }
    if let Some(times) = overrides.times {
        let source = sources.add("--times", times.to_string());
        set_times(root, times, source, mistakes);
    }
}

fn parse(text: &str, source: usize, mistakes: &mut Mistakes) -> Option<Assignment> {
    const HELP: &str = "write --set key=value, such as --set run.warmup=0s or --set load.keep-alive.rate=500";
    let whole = Place { source, start: 0, end: text.len() };
    let Some((key, value)) = text.split_once('=') else {
        mistakes.add(whole, "this override has no `=`").help(HELP);
        return None;
    };
    // The parser of keys is that of documents: a document of this one key.
    let (document, errors) = tree::parse_document(&format!("{key}=0"), source);
    let path = path(&document);
    if !errors.is_empty() || path.is_empty() || key.contains(['\n', '#']) {
        mistakes.add(Place { end: key.len(), ..whole }, format!("{key:?} is not a key")).help(HELP);
        return None;
    }
    let start = text.len() - value.trim_start().len();
    let value = value.trim();
    let value = tree::parse_value(value, source, start).unwrap_or_else(|| Node {
        place: Place { source, start, end: start + value.len() },
        value: Value::String(value.to_owned()),
    });
    Some(Assignment { path, value })
}

/// The path to the only value of a document.
fn path(document: &Table) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut table = document;
    while let [entry] = table.entries() {
        segments.push(Segment { key: entry.key.clone(), place: entry.key_place });
        match &entry.node.value {
            Value::Table(inner) => table = inner,
            _ => return segments,
        }
    }
    Vec::new()
}

fn assign(root: &mut Table, assignment: &Assignment, mistakes: &mut Mistakes) {
    let Some((last, parents)) = assignment.path.split_last() else { return };
    let mut table = root;
    let mut parents = parents.iter();
    while let Some(segment) = parents.next() {
        let node = entry(table, segment);
        let inner = match &mut node.value {
            Value::Array(nodes) => {
                let Some(index) = parents.next() else {
                    mistakes
                        .add(segment.place, format!("`{}` has several entries", segment.key))
                        .help(format!("say which: {}.0.{}, or its name instead of the number", segment.key, last.key));
                    return;
                };
                element(nodes, index, mistakes)
            }
            value => Some(value),
        };
        table = match inner {
            Some(Value::Table(inner)) => inner,
            Some(value) => {
                mistakes
                    .add(segment.place, format!("`{}` is {}: it has no keys", segment.key, value.kind()))
                    .help("a dotted path goes through tables");
                return;
            }
            None => return,
        };
    }
    let replaced = Entry { key: last.key.clone(), key_place: last.place, node: assignment.value.clone() };
    match table.get_mut(&last.key) {
        Some(known) => *known = replaced,
        None => {
            table.push(replaced);
        }
    }
}

/// The value of a key; a new table if there is none.
#[expect(clippy::expect_used, reason = "it was just found; the borrow checker refuses to hand out that first find")]
fn entry<'a>(table: &'a mut Table, segment: &Segment) -> &'a mut Node {
    if table.get(&segment.key).is_none() {
        let node = Node { place: segment.place, value: Value::Table(Table::default()) };
        return &mut table.push(Entry { key: segment.key.clone(), key_place: segment.place, node }).node;
    }
    let known = table.get_mut(&segment.key).expect("it was just found");
    &mut known.node
}

/// An element of an array, by its name or its number.
fn element<'a>(nodes: &'a mut [Node], index: &Segment, mistakes: &mut Mistakes) -> Option<&'a mut Value> {
    let names: Vec<Option<String>> = nodes.iter().map(|node| name(node).map(str::to_owned)).collect();
    let by_name = names.iter().position(|name| name.as_deref() == Some(&index.key));
    let position = by_name.or_else(|| index.key.parse().ok());
    if let Some(position) = position.filter(|position| *position < nodes.len()) {
        return Some(&mut nodes[position].value);
    }
    let known: Vec<_> = names.iter().flatten().map(String::as_str).collect();
    let help = if known.is_empty() {
        format!("entries go by their number from 0; there are {}", nodes.len())
    } else {
        suggest::did_you_mean(&index.key, &known)
    };
    mistakes.add(index.place, format!("there is no entry `{}`", index.key)).help(help);
    None
}

fn name(node: &Node) -> Option<&str> {
    let Value::Table(table) = &node.value else { return None };
    match &table.get("name")?.node.value {
        Value::String(name) => Some(name),
        _ => None,
    }
}

/// Gives every step its `times`.
fn set_times(root: &mut Table, times: u32, source: usize, mistakes: &mut Mistakes) {
    let place = Place { source, start: 0, end: times.to_string().len() };
    if !(1..=super::file::steps::MOST_TIMES).contains(&times) {
        mistakes
            .add(place, format!("{times} is out of range"))
            .help(format!("it can be 1 to {}", super::file::steps::MOST_TIMES));
        return;
    }
    let Some(Value::Array(steps)) = root.get_mut("steps").map(|entry| &mut entry.node.value) else { return };
    for step in steps {
        let Value::Table(step) = &mut step.value else { continue };
        let entry = Entry {
            key: "times".to_owned(),
            key_place: place,
            node: Node { place, value: Value::Integer(times.into()) },
        };
        match step.get_mut("times") {
            Some(known) => *known = entry,
            None => {
                step.push(entry);
            }
        }
    }
}
