//! `{scenario_dir}` in unit files: the folder of the scenario, put in only when they are installed.
//!
//! The plan, and with it the record, keeps what was written: a report must not tell where a scenario lay.

use std::path::Path;

use super::plan::UnitFile;

/// What unit files write for the folder of the scenario.
pub const PLACEHOLDER: &str = "{scenario_dir}";

/// A unit file as it is installed for a scenario in `directory`. A folder that cannot stand in a unit file was
/// refused when the scenario was loaded.
#[must_use]
pub fn placed(file: &UnitFile, directory: &Path) -> UnitFile {
    let text = match as_word(directory) {
        Some(folder) => file.text.replace(PLACEHOLDER, &folder),
        None => file.text.clone(),
    };
    UnitFile { unit: file.unit.clone(), text, is_private: file.is_private }
}

/// A path as a word of a unit file: `%` would be a specifier. None for one that a unit file would split or unquote.
pub(super) fn as_word(directory: &Path) -> Option<String> {
    let path = directory.to_str()?;
    let breaks_words = |c: char| c.is_whitespace() || c.is_control() || "\"'\\;$".contains(c);
    (!path.contains(breaks_words)).then(|| path.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnitName;

    #[test]
    fn a_unit_file_is_installed_with_the_folder_of_its_scenario() {
        let file = UnitFile {
            unit: UnitName::new("a.service").expect("valid"),
            text: "[Service]\nExecStart={scenario_dir}/run {scenario_dir}\n".to_owned(),
            is_private: false,
        };
        assert_eq!(placed(&file, Path::new("/srv/50%")).text, "[Service]\nExecStart=/srv/50%%/run /srv/50%%\n");
        assert_eq!(as_word(Path::new("/srv/two words")), None);
    }
}
