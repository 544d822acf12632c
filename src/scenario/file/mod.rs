//! A scenario file as it is written: types 1:1 with the TOML, each value right in itself.
//!
//! What the values mean together, and what holds where a key is absent, is the subject of `resolve`.

pub(crate) mod expect;
pub(crate) mod load;
pub(crate) mod run;
pub(crate) mod steps;
pub(crate) mod target;
pub(crate) mod units;

use super::mistake::Mistakes;
use super::plan::MOST_STEPS;
use super::reader::{Field, Reader};
use super::source::Place;
use super::tree::{Node, Table, Value};
use super::value;

pub(crate) use expect::{Expect, Key};
pub(crate) use load::Load;
pub(crate) use run::Run;
pub(crate) use steps::Step;
pub(crate) use target::{Request, Target};
pub(crate) use units::Units;

/// A scenario file.
#[derive(Debug)]
pub(crate) struct File {
    pub name: Field<String>,
    pub description: Field<String>,
    pub target: Field<Target>,
    /// Without the entries that are no tables, which were noted.
    pub load: Field<Vec<Load>>,
    pub units: Field<Units>,
    pub run: Field<Run>,
    pub steps: Field<Vec<Step>>,
    pub expect: Field<Expect>,
}

impl File {
    /// Reads every table, noting what is wrong.
    pub(crate) fn read(root: &Table, mistakes: &mut Mistakes) -> Self {
        let mut reader = Reader::new("", root, mistakes);
        let file = Self {
            name: reader.field("name", value::name),
            description: reader.field("description", value::string),
            target: reader.field("target", Target::read),
            load: reader.field("load", |node, mistakes| tables("load", node, mistakes, Load::read)),
            units: reader.field("units", Units::read),
            run: reader.field("run", Run::read),
            steps: reader.field("steps", |node, mistakes| tables("steps", node, mistakes, Step::read)),
            expect: reader.field("expect", Expect::read),
        };
        reader.finish();
        file
    }
}

/// Reads an array of tables, `[[name]]`.
fn tables<T>(
    name: &'static str,
    node: &Node,
    mistakes: &mut Mistakes,
    mut read: impl FnMut(Place, Reader<'_>) -> T,
) -> Option<Vec<T>> {
    let help = format!("`{name}` is an array of tables: write [[{name}]], in double brackets");
    let Value::Array(nodes) = &node.value else {
        value::wrong_type(node, "an array of tables", mistakes, &help);
        return None;
    };
    // Enough for any scenario, and bounds what a hostile file can make of one run.
    if nodes.len() > MOST_STEPS {
        mistakes.add(nodes[MOST_STEPS].place, format!("more than {MOST_STEPS} [[{name}]]")).help("split the scenario");
        return None;
    }
    let mut entries = Vec::new();
    for each in nodes {
        entries.extend(Reader::of(name, each, mistakes).map(|reader| read(each.place, reader)));
    }
    Some(entries)
}
