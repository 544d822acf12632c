//! What a run tells GitHub Actions: a summary of the job, and annotations.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::output::{complain, say};
use crate::render;
use crate::result::RunResult;

/// Appends the Markdown to the job's summary (GITHUB_STEP_SUMMARY), and annotates what did not pass where
/// GITHUB_ACTIONS says that a runner reads along. A summary that cannot be written changes no verdict.
///
/// The figures that later steps of the job ask for go to GITHUB_OUTPUT.
pub fn publish(result: &RunResult, report: &Path) {
    if let Some(path) = std::env::var_os("GITHUB_OUTPUT").filter(|path| !path.is_empty())
        && let Err(error) = append(&path, render::github::outputs(result, report).as_bytes())
    {
        complain(&error);
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())
        && let Err(error) = append(&path, &render::markdown::render(result))
    {
        complain(&error);
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        // On stderr, which the runner reads as well: stdout holds the result in the form that was asked for.
        let annotations = render::github::annotations(result);
        annotations.lines().for_each(say);
    }
}

fn append(path: &OsStr, bytes: &[u8]) -> anyhow::Result<()> {
    let what = || format!("cannot write to {}", path.display());
    let mut file = OpenOptions::new().append(true).create(true).open(path).with_context(what)?;
    file.write_all(bytes).with_context(what)
}
