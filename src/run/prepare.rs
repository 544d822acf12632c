//! The `prepare` commands: downloads and builds, before anything starts.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::exec::{LAST_WORDS, resolve};
use super::interrupt::Interrupt;
use crate::scenario::plan::Plan;
use crate::secrets::{Secrets, masked_arguments};
use crate::visible;

/// Files whose change means that a preparation is stale, beside the commands themselves.
const LOCK_FILES: &[&str] =
    &["requirements.txt", "uv.lock", "poetry.lock", "package-lock.json", "Cargo.lock", "go.sum", "pyproject.toml"];

/// The stamp's name, in the scenario's folder.
const STAMP: &str = ".gapless-prepared";

/// Why a preparation failed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The program could not be run.
    #[error("cannot prepare {name}: cannot run `{command}`: {error}")]
    Spawn {
        /// The scenario.
        name: String,
        /// The command.
        command: String,
        /// Why.
        error: io::Error,
    },
    /// The program failed.
    #[error("cannot prepare {name}: `{command}` ended with {status}; run it in {directory} to see why")]
    Failed {
        /// The scenario.
        name: String,
        /// The command.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Where it ran.
        directory: PathBuf,
    },
    /// The user interrupted it.
    #[error("interrupted while preparing {name}")]
    Interrupted {
        /// The scenario.
        name: String,
    },
    /// The stamp could not be written.
    #[error("cannot note that {name} is prepared in {path}: {error}")]
    Stamp {
        /// The scenario.
        name: String,
        /// The stamp.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Runs the scenario's `prepare` commands in its folder, unless its stamp says that nothing changed since they
/// last did. Their output goes to our stderr, but for `secrets`.
///
/// # Errors
/// When a command cannot be run or fails; the rest is not run then.
pub async fn prepare(plan: &Plan, interrupt: &Interrupt, secrets: &Secrets) -> Result<bool, PrepareError> {
    let Some(units) = plan.units.as_ref().filter(|units| !units.prepare.is_empty()) else { return Ok(false) };
    let stamp = plan.directory.join(STAMP);
    let wanted = stamp_text(&units.prepare, &plan.directory);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(false);
    }
    for argv in &units.prepare {
        run(plan, argv, interrupt, secrets).await?;
    }
    fs::write(&stamp, wanted).map_err(|error| PrepareError::Stamp { name: plan.name.clone(), path: stamp, error })?;
    Ok(true)
}

async fn run(plan: &Plan, argv: &[String], interrupt: &Interrupt, secrets: &Secrets) -> Result<(), PrepareError> {
    let (name, command) = (plan.name.clone(), masked_arguments(argv).join(" "));
    let [program, arguments @ ..] = argv else { return Ok(()) };
    let spawned = Command::new(resolve(program, &plan.directory))
        .args(arguments)
        .current_dir(&plan.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Err(PrepareError::Spawn { name, command, error }),
    };
    let readers = [
        child.stdout.take().map(|stdout| tokio::spawn(show(stdout, secrets.clone()))),
        child.stderr.take().map(|stderr| tokio::spawn(show(stderr, secrets.clone()))),
    ];
    let ended = interrupt.unless_raised(child.wait()).await;
    // What it leaves running may hold the pipes open for ever.
    let _ = timeout(LAST_WORDS, join_all(readers.into_iter().flatten())).await;
    match ended {
        None => Err(PrepareError::Interrupted { name }),
        Some(Err(error)) => Err(PrepareError::Spawn { name, command, error }),
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => Err(PrepareError::Failed { name, command, status, directory: plan.directory.clone() }),
    }
}

/// Shows on stderr what a command prints, line by line.
async fn show(from: impl AsyncRead + Unpin, secrets: Secrets) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        let shown = visible::escape_lines(&secrets.hide(line.trim_end_matches('\r')));
        // What cannot be said there cannot be said at all.
        let _ = writeln!(io::stderr(), "{shown}");
    }
}

/// What the stamp holds: the folder (a venv does not survive a move), the commands and the lock files, so that a
/// change of any shows.
fn stamp_text(commands: &[Vec<String>], directory: &Path) -> String {
    let mut text = format!("in {}\n", directory.display());
    for argv in commands {
        let _ = writeln!(text, "ran crc32 {:08x}", crc32fast::hash(format!("{argv:?}").as_bytes()));
    }
    for name in LOCK_FILES {
        if let Ok(bytes) = fs::read(directory.join(name)) {
            let _ = writeln!(text, "with {name} crc32 {:08x}", crc32fast::hash(&bytes));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::plan_with_prepare;

    #[tokio::test]
    async fn a_preparation_runs_once_and_again_when_a_lock_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan_with_prepare(folder.path(), &["sh", "-c", "echo x >> runs"]);
        let (_source, interrupt) = Interrupt::pair();
        assert!(prepare(&plan, &interrupt, &Secrets::default()).await.unwrap());
        assert!(!prepare(&plan, &interrupt, &Secrets::default()).await.unwrap());
        fs::write(folder.path().join("requirements.txt"), "fastapi==1\n").unwrap();
        assert!(prepare(&plan, &interrupt, &Secrets::default()).await.unwrap());
        assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), "x\nx\n");
    }

    #[tokio::test]
    async fn a_preparation_that_fails_names_its_command_and_leaves_no_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan_with_prepare(folder.path(), &["sh", "-c", "exit 3"]);
        let (_source, interrupt) = Interrupt::pair();
        let error = prepare(&plan, &interrupt, &Secrets::default()).await.unwrap_err().to_string();
        assert!(error.contains("`sh -c exit 3` ended with exit status: 3"), "{error}");
        assert!(!folder.path().join(STAMP).exists());
    }
}
