//! `[units]`.

use std::path::PathBuf;

use serde_json::json;

use crate::model::UnitName;
use crate::model::unit::UnitNameError;
use crate::scenario::keys::keys;
use crate::scenario::kind::{self, Kind};
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::Field;
use crate::scenario::source::{Place, Spanned};

const FILES: &str = "files are an array of paths: [\"units/app.socket\", \"units/app.service\"]";
const PREPARE: &str = "`prepare` is an array of commands: [[\"make\", \"app\"]]";

keys! {
    /// The units that steps act on.
    #[derive(Debug)]
    pub(crate) struct Units = "units" {
        /// The role `service`; `app` means app.service.
        service: Field<UnitName> = role("service");
        /// The role `socket`; `app` means app.socket.
        socket: Field<UnitName> = role("socket");
        /// Unit files to install for this run only; {scenario_dir} in them is replaced.
        files: Field<Vec<Spanned<PathBuf>>> = kind::list(FILES, kind::path());
        /// Commands that run before anything starts; skipped while nothing they depend on changed.
        prepare: Field<Vec<Spanned<Vec<String>>>> = kind::list(PREPARE, kind::command());
    }
}

/// A unit of type `suffix`.
fn role(suffix: &'static str) -> Kind<UnitName> {
    let role = kind::word().then(move |text, node, mistakes| {
        let named = UnitName::new(&text).or_else(|error| match error {
            // As systemctl(1) takes a name without a type.
            UnitNameError::Suffix(_) if !text.ends_with('.') => UnitName::new(format!("{text}.{suffix}")),
            error => Err(error),
        });
        let unit = match named {
            Ok(unit) => unit,
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
        not_a_template(unit, node.place, mistakes)
    });
    let pattern = format!(r"^([A-Za-z0-9:_\\@-]+|[A-Za-z0-9:_.\\@-]+\.{suffix})$");
    role.described(move || json!({ "type": "string", "pattern": pattern }))
}

/// Refuses a template: only its instances can be acted on.
pub(crate) fn not_a_template(unit: UnitName, place: Place, mistakes: &mut Mistakes) -> Option<UnitName> {
    if !unit.stem().ends_with('@') {
        return Some(unit);
    }
    mistakes.add(place, format!("{unit} is a template, which cannot run")).help(format!(
        "name an instance: \"{}1.{}\"",
        unit.stem(),
        unit.suffix()
    ));
    None
}
