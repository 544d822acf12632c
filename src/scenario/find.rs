//! Finds the scenario files that paths stand for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::mistake::ScenarioErrors;

/// How deep folders are searched: a library of scenarios has one level, a symbolic link to its own parent many.
const DEEPEST: usize = 4;

/// The files in the order of `paths`, those of a folder by name, each once.
pub(super) fn scenario_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ScenarioErrors> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut errors: Option<ScenarioErrors> = None;
    for path in paths {
        match files_of(path) {
            Ok(found) => {
                for file in found {
                    let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
                    if !seen.contains(&real) {
                        seen.push(real);
                        files.push(file);
                    }
                }
            }
            Err(more) => match &mut errors {
                Some(errors) => errors.append(more),
                none => *none = Some(more),
            },
        }
    }
    errors.map_or(Ok(files), Err)
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, ScenarioErrors> {
    let unreadable = |error: io::Error| ScenarioErrors::unreadable(path, &error);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = in_folder(path, DEEPEST).map_err(unreadable)?;
    if files.is_empty() {
        let message = format!("there is no scenario in {}", path.display());
        return Err(ScenarioErrors::one(message, "a scenario is a file that ends in .toml"));
    }
    Ok(files)
}

/// The `*.toml` files directly in `folder`; those of its subfolders if there are none.
fn in_folder(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    if files.is_empty() && depth > 0 {
        for folder in folders {
            files.extend(in_folder(&folder, depth - 1)?);
        }
    }
    Ok(files)
}
