//! Where words go: results to stdout, everything else to stderr. No secret, and nothing that a terminal would obey.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use anyhow::Context as _;

use super::exit::Exit;
use crate::cli::{ColorArg, Format, OutputArgs};
use crate::render;
use crate::result::RunResult;
use crate::scenario::ScenarioErrors;
use crate::secrets::Secrets;
use crate::visible;

/// The width of tables where stdout is no terminal.
const WIDTH_ELSEWHERE: usize = 100;

/// What is shown: `--quiet` and `--color`.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    quiet: bool,
    color: ColorArg,
}

static SHOWN: OnceLock<Shown> = OnceLock::new();

/// Settles, once for this process, what is shown.
pub fn settle(quiet: bool, color: ColorArg) {
    let _ = SHOWN.set(Shown { quiet, color });
}

fn shown() -> Shown {
    SHOWN.get().copied().unwrap_or_default()
}

/// Whether only results and errors are shown.
#[must_use]
pub fn is_quiet() -> bool {
    shown().quiet
}

/// Says on stderr what is neither a result nor an error.
pub fn inform(text: &str) {
    if !is_quiet() {
        say(text);
    }
}

/// Opens a report in the user's browser, as the desktop does; where that cannot be, it is said.
pub fn open(report: &Path) {
    let opener =
        Command::new("xdg-open").arg(report).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let why = match opener {
        Ok(status) if status.success() => return,
        Ok(status) => format!("xdg-open: {status}"),
        Err(error) => format!("xdg-open: {error}"),
    };
    say(&format!("cannot open {}: {why}", report.display()));
}

/// Prints `result` on stdout in the form asked for.
///
/// # Errors
/// When it cannot be rendered, or stdout cannot be written to.
pub fn print(result: &RunResult, format: Format, summary: bool) -> anyhow::Result<()> {
    let bytes = match format {
        Format::Table if summary => render::terminal::render_overview(result, width(), stdout_color()),
        Format::Table => render::terminal::render(result, width(), stdout_color()),
        Format::Json => render::json::render(result),
        Format::Markdown => render::markdown::render(result),
        Format::Junit => render::junit::render(result)?,
    };
    write(&bytes)
}

/// Prints `result`. Where stdout takes it not, that is said, and the verdict with it: the exit code must not tell that
/// all is well to somebody who holds half a document.
#[must_use]
pub fn print_result(result: &RunResult, args: &OutputArgs) -> Exit {
    let Err(error) = print(result, args.format, args.summary) else { return Exit::Passed };
    complain(&error);
    say(&format!("verdict: {}", result.verdict));
    Exit::Harness
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

/// What is secret in this process, known from its own arguments on: nothing of it is shown.
#[must_use]
pub fn secrets() -> &'static Secrets {
    static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
        let secrets = Secrets::default();
        let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        secrets.learn_arguments(&arguments);
        secrets
    });
    &SECRETS
}

/// Says something on stderr. What cannot be said there cannot be said at all.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", visible::escape_lines(&secrets().hide_known(text)));
}

/// Says something that has colours of ours, where stderr has colours.
pub fn say_coloured(text: &str) {
    if !stderr_color() {
        return say(text);
    }
    let _ = writeln!(io::stderr(), "{}", visible::escape_all_but_colours(&secrets().hide_known(text)));
}

/// Says what is wrong with a scenario, each mistake at its place.
pub fn say_mistakes(mistakes: &ScenarioErrors) {
    say_coloured(mistakes.render(stderr_color(), stderr_width()).trim_end());
}

/// Says what went wrong, with everything that led to it, on one line.
pub fn complain(error: &anyhow::Error) {
    say(&format!("error: {}", visible::escape(&secrets().hide(&format!("{error:#}")))));
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
    match shown().color {
        ColorArg::Always => return true,
        ColorArg::Never => return false,
        ColorArg::Auto => {}
    }
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
