//! `[units]`: roles, and the unit files to install.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::target::{cannot_read, read_file};
use crate::model::{UnitKind, UnitName};
use crate::scenario::file::steps::UnitRef;
use crate::scenario::file::units::not_a_template;
use crate::scenario::file::{self, File};
use crate::scenario::mistake::Mistakes;
use crate::scenario::placeholder::{self, PLACEHOLDER};
use crate::scenario::plan::{UnitFile, Units};
use crate::scenario::reader::Field;
use crate::scenario::source::{Place, Spanned};
use crate::scenario::suggest;

const LARGEST_UNIT_FILE_BYTES: u64 = 1 << 20;

/// Who plays which role.
pub(super) struct Roles<'a> {
    written: &'a Field<file::Units>,
    /// `[units]` as the plan has it; none if the scenario has none.
    pub units: Option<Units>,
}

/// Reads `[units]` and the unit files it names.
pub(super) fn roles<'a>(file: &'a File, directory: &Path, mistakes: &mut Mistakes) -> Roles<'a> {
    let units = file.units.given().map(|given| {
        let written = &given.value;
        let files = files(written, directory, mistakes);
        let mut units = Units {
            service: written.service.value().cloned(),
            socket: written.socket.value().cloned(),
            prepare: written.prepare.value().into_iter().flatten().map(|command| command.value.clone()).collect(),
            files,
        };
        if written.service.is_absent() && written.socket.is_absent() {
            units.service = only_one(&units.files, UnitKind::Service);
            units.socket = only_one(&units.files, UnitKind::Socket);
        }
        if written.service.is_absent() && written.socket.is_absent() && written.files.is_absent() {
            mistakes
                .add(given.place, "[units] names no unit")
                .help("add service = \"app.service\", and socket = \"app.socket\" if it has one");
        }
        units
    });
    Roles { written: &file.units, units }
}

/// The unit of that kind, if the files hold just one that can run.
fn only_one(files: &[UnitFile], kind: UnitKind) -> Option<UnitName> {
    let mut fitting = files.iter().filter(|file| file.unit.kind() == kind && !file.unit.stem().ends_with('@'));
    match (fitting.next(), fitting.next()) {
        (Some(file), None) => Some(file.unit.clone()),
        _ => None,
    }
}

fn files(units: &file::Units, directory: &Path, mistakes: &mut Mistakes) -> Vec<UnitFile> {
    let mut files: Vec<UnitFile> = Vec::new();
    for path in units.files.value().into_iter().flatten() {
        let Some(unit) = unit_of(path, mistakes) else { continue };
        if files.iter().any(|file| file.unit == unit) {
            mistakes.add(path.place, format!("a second file is called {unit}")).help("each unit has one file");
            continue;
        }
        let text = text(path, directory, mistakes).unwrap_or_default();
        let is_private = is_private(&directory.join(&path.value));
        files.push(UnitFile { unit, text, is_private });
    }
    files
}

/// Whether the file lies elsewhere than it seems to, behind a link, and its owner does not let everybody read it.
fn tells_what_is_private(path: &Path, directory: &Path) -> bool {
    let written = directory.join(path);
    let folder = written.parent().and_then(|folder| std::path::absolute(folder).ok());
    let (Ok(real), Some(folder)) = (fs::canonicalize(&written), folder) else { return false };
    let is_link = written.is_symlink() || real.parent() != Some(&folder);
    is_link && is_private(&real)
}

/// Whether its owner does not let everybody read it.
fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 == 0)
}

/// The unit that a file defines.
fn unit_of(path: &Spanned<std::path::PathBuf>, mistakes: &mut Mistakes) -> Option<UnitName> {
    let name = path.value.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let unit = UnitName::new(&name);
    if unit.is_err() {
        mistakes
            .add(path.place, format!("no unit is called {name:?}, as this file is"))
            .help("a unit file has the name of its unit: units/app.service");
    }
    unit.ok()
}

fn text(path: &Spanned<std::path::PathBuf>, directory: &Path, mistakes: &mut Mistakes) -> Option<String> {
    if tells_what_is_private(&path.value, directory) {
        mistakes
            .add(path.place, format!("{} is a link to a file that not everybody may read", path.value.display()))
            .help("the target of a link may belong to another user: put a copy of the file in the scenario's folder");
        return None;
    }
    let bytes = read_file(&directory.join(&path.value), LARGEST_UNIT_FILE_BYTES)
        .map_err(|error| cannot_read(path.place, &path.value, &error, mistakes))
        .ok()?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        mistakes.add(path.place, "this unit file is not UTF-8 text").help("systemd.syntax(7) allows UTF-8 only");
        return None;
    };
    if text.contains(PLACEHOLDER) && placeholder::as_word(directory).is_none() {
        mistakes
            .add(path.place, format!("{PLACEHOLDER} stands for a path that a unit file cannot hold as it is"))
            .help(format!("move the scenario out of {}: no spaces, quotes or control characters", directory.display()));
    }
    Some(text)
}

impl Roles<'_> {
    /// The unit that a step names; none if that cannot be said, which was noted.
    pub(super) fn unit(&self, reference: &UnitRef, mistakes: &mut Mistakes) -> Option<UnitName> {
        let Some(units) = &self.units else {
            if self.written.is_absent() {
                mistakes
                    .add(reference.place, "this step acts on a unit, but the scenario has no [units]")
                    .help("add [units] with service = \"app.service\", and socket = \"app.socket\" if it has one");
            }
            return None;
        };
        match reference.word.as_str() {
            "service" => self.role(reference.place, "service", units.service.as_ref(), mistakes),
            "socket" => self.role(reference.place, "socket", units.socket.as_ref(), mistakes),
            name => by_name(name, reference.place, mistakes),
        }
    }

    /// The unit of a role, or a mistake at `place` unless the role's own line was one.
    pub(super) fn role(
        &self,
        place: Place,
        role: &str,
        unit: Option<&UnitName>,
        mistakes: &mut Mistakes,
    ) -> Option<UnitName> {
        let is_mistaken = match self.written {
            Field::Given(units) => {
                let written = if role == "service" { &units.value.service } else { &units.value.socket };
                written.is_wrong() || units.value.files.is_wrong()
            }
            Field::Wrong(..) => true,
            Field::Absent(_) => false,
        };
        if unit.is_none() && !is_mistaken {
            mistakes
                .add(place, format!("no unit has the role `{role}`"))
                .help(format!("add {role} = \"app.{role}\" to [units]"));
        }
        unit.cloned()
    }
}

fn by_name(name: &str, place: Place, mistakes: &mut Mistakes) -> Option<UnitName> {
    const ROLES: &[&str] = &["service", "socket"];
    match UnitName::new(name) {
        Ok(unit) => not_a_template(unit, place, mistakes),
        Err(_) if !name.contains('.') => {
            let help = match suggest::nearest(name, ROLES.iter().copied()) {
                Some(role) => format!("did you mean `{role}`?"),
                None => {
                    "the roles are `service` and `socket`; a unit has its full name, such as \"app.service\"".to_owned()
                }
            };
            mistakes.add(place, format!("no role or unit is called \"{name}\"")).help(help);
            None
        }
        Err(error) => {
            mistakes.add(place, error.to_string()).help("see systemd.unit(5) for what a unit can be called");
            None
        }
    }
}
