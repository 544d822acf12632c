//! `[units]`.

use std::path::PathBuf;

use crate::model::UnitName;
use crate::model::unit::UnitNameError;
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::source::Spanned;
use crate::scenario::tree::Node;
use crate::scenario::value;

/// `[units]`.
#[derive(Debug)]
pub(crate) struct Units {
    pub service: Field<UnitName>,
    pub socket: Field<UnitName>,
    pub files: Field<Vec<Spanned<PathBuf>>>,
    pub prepare: Field<Vec<Spanned<Vec<String>>>>,
}

impl Units {
    pub(crate) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        const FILES: &str = "files are an array of paths: [\"units/app.socket\", \"units/app.service\"]";
        const PREPARE: &str = "`prepare` is an array of commands: [[\"make\", \"app\"]]";
        let mut reader = Reader::of("units", node, mistakes)?;
        let units = Self {
            service: reader.field("service", |node, mistakes| role(node, mistakes, "service")),
            socket: reader.field("socket", |node, mistakes| role(node, mistakes, "socket")),
            files: reader.field("files", |node, mistakes| value::list(node, mistakes, FILES, value::path)),
            prepare: reader.field("prepare", |node, mistakes| value::list(node, mistakes, PREPARE, value::command)),
        };
        reader.finish();
        Some(units)
    }
}

/// A unit of type `suffix`.
fn role(node: &Node, mistakes: &mut Mistakes, suffix: &str) -> Option<UnitName> {
    let text = value::word(node, mistakes)?;
    let unit = match UnitName::new(&text) {
        Ok(unit) => unit,
        Err(UnitNameError::Suffix(_)) => {
            mistakes
                .add(node.place, format!("{text:?} is no unit: it has no unit type"))
                .help(format!("write \"{}.{suffix}\"", text.trim_end_matches('.')));
            return None;
        }
        Err(error) => {
            mistakes.add(node.place, format!("{error}")).help("see systemd.unit(5) for what a unit can be called");
            return None;
        }
    };
    if unit.suffix() != suffix {
        mistakes
            .add(node.place, format!("{unit} is no {suffix}"))
            .help(format!("`{suffix}` names a unit that ends in .{suffix}"));
        return None;
    }
    not_a_template(unit, node, mistakes)
}

/// Refuses a template: only its instances can be acted on.
pub(crate) fn not_a_template(unit: UnitName, node: &Node, mistakes: &mut Mistakes) -> Option<UnitName> {
    if !unit.stem().ends_with('@') {
        return Some(unit);
    }
    mistakes.add(node.place, format!("{unit} is a template, which cannot run")).help(format!(
        "name an instance: \"{}1.{}\"",
        unit.stem(),
        unit.suffix()
    ));
    None
}
