//! Which unit files were brought, and where they go.

use std::path::PathBuf;

use crate::manager::ledger::EntryId;
use crate::model::UnitName;

/// A unit file that we brought.
#[derive(Clone, Debug)]
pub(super) struct InstalledUnit {
    pub(super) unit: UnitName,
    pub(super) path: PathBuf,
    pub(super) entry: EntryId,
}

/// The files of this run.
#[derive(Debug)]
pub(super) struct Installed {
    /// Where they go.
    pub(super) directory: PathBuf,
    pub(super) files: Vec<InstalledUnit>,
}

impl Installed {
    pub(super) fn none_in(directory: PathBuf) -> Self {
        Self { directory, files: Vec::new() }
    }

    /// Whether the unit, or the template it is made from, is one of them.
    pub(super) fn defines(&self, unit: &UnitName) -> bool {
        let template = unit.template();
        let defines = |file: &UnitName| file == unit || Some(file.as_str()) == template.as_deref();
        self.files.iter().any(|installed| defines(&installed.unit))
    }
}
