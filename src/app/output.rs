//! Where words go: results to stdout, everything else to stderr, files into the run's folder.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Format;
use crate::render;
use crate::result::RunResult;
use crate::scenario::ScenarioErrors;

/// The width of tables where stdout is no terminal.
const WIDTH_ELSEWHERE: usize = 100;

/// A run's folder: `result.json` and the records.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder: `wanted`, which must be new or empty, or else a new one under `reports/` named after the
    /// time.
    ///
    /// # Errors
    /// When it cannot be made, or holds something.
    pub fn create(wanted: Option<&Path>) -> anyhow::Result<Self> {
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => unused(&PathBuf::from("reports").join(crate::app::stamp::folder_name())),
        };
        let what = || format!("cannot make the folder of this run, {}; use --out elsewhere", path.display());
        make_private(&path).with_context(what)?;
        let mut entries = fs::read_dir(&path).with_context(what)?;
        if entries.next().is_some() {
            anyhow::bail!("{} is not empty: a run never overwrites another; use a new --out", path.display());
        }
        make_private(&path.join("records")).with_context(what)?;
        Ok(Self(path))
    }

    /// The folder of a run that is over.
    #[must_use]
    pub fn existing(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The record of a scenario.
    #[must_use]
    pub fn record(&self, name: &str) -> PathBuf {
        self.0.join("records").join(format!("{name}.jsonl"))
    }

    /// The records in it, by name.
    ///
    /// # Errors
    /// When the folder cannot be read or holds none.
    pub fn records(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.0.join("records");
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}: is this the folder of a run?", folder.display()))?;
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                records.push(path);
            }
        }
        records.sort();
        anyhow::ensure!(!records.is_empty(), "{} holds no record", folder.display());
        Ok(records)
    }

    /// Writes every report of `result`, replacing older ones whole. One that cannot be rendered or written does
    /// not keep the others from being written.
    ///
    /// # Errors
    /// The first failure.
    pub fn write_reports(&self, result: &RunResult) -> anyhow::Result<()> {
        let rendered = super::reports::render(result);
        let mut first_error = None;
        for report in rendered {
            let written = report.and_then(|(name, bytes)| {
                let path = self.0.join(name);
                let what = || format!("cannot write {}", path.display());
                path.parent().map_or(Ok(()), make_private).with_context(what)?;
                replace(&path, &bytes).with_context(what)
            });
            if let Err(error) = written {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

/// `path`, or the first of `path-2`, `path-3`, ... that is not there.
fn unused(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{}-{n}", path.display())));
    std::iter::once(path.to_owned()).chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| path.to_owned())
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts `bytes` at `path` in one step: a reader sees the old file or the new one, never half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    // One that was left half-written goes. Should it be a link to elsewhere, it is the link that goes.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    fs::rename(&draft, path)
}

/// Prints `result` on stdout in the form asked for.
///
/// # Errors
/// When it cannot be rendered, or stdout cannot be written to.
pub fn print(result: &RunResult, format: Format) -> anyhow::Result<()> {
    let bytes = match format {
        Format::Table => render::terminal::render(result, width(), stdout_color()),
        Format::Json => render::json::render(result),
        Format::Markdown => render::markdown::summary(result),
        Format::Junit => render::junit::render(result)?,
    };
    write(&bytes)
}

/// Writes a document to stdout. A reader that went away (`| head`) is no error.
///
/// # Errors
/// When stdout cannot be written to for any other reason.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Says something on stderr. What cannot be said there cannot be said at all.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what is wrong with a scenario, each mistake at its place.
pub fn say_mistakes(mistakes: &ScenarioErrors) {
    say(mistakes.render(stderr_color(), stderr_width()).trim_end());
}

/// Says what went wrong, with everything that led to it.
pub fn complain(error: &anyhow::Error) {
    say(&format!("error: {error:#}"));
}

/// Whether to colour what goes to stdout.
#[must_use]
pub fn stdout_color() -> bool {
    color(io::stdout().is_terminal())
}

/// Whether to colour what goes to stderr.
#[must_use]
pub fn stderr_color() -> bool {
    color(io::stderr().is_terminal())
}

/// Whether to colour what goes to a stream; see <https://no-color.org>. A terminal that calls itself dumb shows escape
/// sequences as they are.
fn color(is_terminal: bool) -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_terminal && !is_dumb && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal on stdout.
#[must_use]
pub fn width() -> usize {
    width_of(io::stdout())
}

/// Columns of the terminal on stderr.
#[must_use]
pub fn stderr_width() -> usize {
    width_of(io::stderr())
}

fn width_of(stream: impl AsFd) -> usize {
    rustix::termios::tcgetwinsize(stream)
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|&columns| columns > 0)
        .unwrap_or(WIDTH_ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn a_runs_folder_and_files_are_its_owners_alone() {
        let place = tempfile::tempdir().expect("a place");
        let folder = Folder::create(Some(&place.path().join("out"))).expect("made");
        replace(&folder.path().join("result.json"), b"{}").expect("written");
        let modes = ["", "records", "result.json"].map(|name| mode(&folder.path().join(name)));
        assert_eq!(modes, [0o700, 0o700, 0o600]);
    }

    #[test]
    fn no_link_that_somebody_put_there_is_followed_out_of_the_folder() {
        let place = tempfile::tempdir().expect("a place");
        let (elsewhere, report) = (place.path().join("elsewhere"), place.path().join("report.md"));
        fs::write(&elsewhere, "somebody's work").expect("written");
        symlink(&elsewhere, &report).expect("made");
        symlink(&elsewhere, report.with_extension("draft")).expect("made");
        replace(&report, b"ours").expect("written");
        assert_eq!(fs::read_to_string(&elsewhere).expect("it is there"), "somebody's work");
        assert_eq!(fs::read_to_string(&report).expect("it is there"), "ours");
        assert!(!report.is_symlink());
    }
}
