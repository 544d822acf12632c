//! `--with`: unit files and drop-ins that a twin has, and the machine has not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::app::output::secrets;
use crate::model::{UnitKind, UnitName};

/// The files, by their names below a folder of units.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) files: BTreeMap<String, String>,
}

impl Brought {
    /// Reads them.
    ///
    /// # Errors
    /// When a file cannot be read, or its name is neither that of a unit nor that of a drop-in in a unit's folder.
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for path in paths {
            let name = name(path).with_context(|| {
                format!(
                    "--with {}: give a unit file such as app.socket, or a drop-in such as app.service.d/x.conf",
                    path.display()
                )
            })?;
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read --with {}", path.display()))?;
            secrets().learn_unit(&text);
            files.insert(name, text);
        }
        Ok(Self { files })
    }

    /// The sockets among them.
    pub(super) fn sockets(&self) -> Vec<UnitName> {
        let units = self.files.keys().filter_map(|name| UnitName::new(name.as_str()).ok());
        units.filter(|unit| unit.kind() == UnitKind::Socket && !unit.stem().ends_with('@')).collect()
    }

    /// What reports say of them; nothing where there are none.
    pub(super) fn note(&self) -> Option<String> {
        let names: Vec<&str> = self.files.keys().map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            format!("The twin has these unit files, which the machine has not or has otherwise: {}.", names.join(", "))
        })
    }
}

/// The name below a folder of units: that of a unit, or of a drop-in with its folder.
fn name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    match folder.and_then(|folder| Some((folder, folder.strip_suffix(".d")?))) {
        Some((folder, _)) if Path::new(file).extension()? == "conf" => Some(format!("{folder}/{file}")),
        Some(_) => None,
        None => UnitName::new(file).ok().map(|unit| unit.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_goes_by_its_name_and_a_drop_in_by_its_folder_too() {
        let named = |path: &str| name(Path::new(path));
        assert_eq!(named("try/app.socket").as_deref(), Some("app.socket"));
        assert_eq!(named("/etc/x/app.service.d/10-try.conf").as_deref(), Some("app.service.d/10-try.conf"));
        assert_eq!(named("app@.service").as_deref(), Some("app@.service"));
        for neither in ["app.conf", "app.service.d/app.service", "app", ".."] {
            assert_eq!(named(neither), None, "{neither}");
        }
    }

    #[test]
    fn only_sockets_that_can_be_started_are_counted_as_listening() {
        let files = ["app.socket", "app@.socket", "app.service", "app.socket.d/x.conf"];
        let brought = Brought { files: files.map(|name| (name.to_owned(), String::new())).into() };
        assert_eq!(brought.sockets(), [UnitName::new("app.socket").unwrap()]);
    }
}
