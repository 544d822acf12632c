//! Loads scenarios: reads the file, parses it, and says everything that is wrong with it at once.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::file::File;
use super::keys::Keys as _;
use super::mask::{Places, learn_plan};
use super::mistake::{Mistakes, ScenarioErrors};
use super::overrides::{self, Overrides};
use super::plan::Plan;
use super::reader::Reader;
use super::source::{Place, Sources};
use super::{env, find, resolve, suggest, tree};
use crate::secrets::Secrets;

/// A scenario without a mistake.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it means. Secrets are in it: [`super::masked`] takes them out for the record.
    pub plan: Plan,
    /// The text of the file with secrets and bodies masked, and the overrides as comments behind it.
    pub text: String,
    /// The same with the bodies of its requests.
    pub text_with_bodies: String,
    /// The secrets in it.
    pub secrets: Secrets,
    /// The file, as it was named.
    pub path: PathBuf,
}

/// Loads one scenario file.
///
/// # Errors
/// Every mistake that can be found in it.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Scenario, ScenarioErrors> {
    load_named(path, overrides).map_err(|broken| broken.errors)
}

/// Loads the scenario that `text` is, as if it lay in `directory`; mistakes in it are said to be in `name`.
///
/// # Errors
/// Every mistake that can be found in it.
pub fn load_text(name: &str, text: &str, directory: &Path) -> Result<Scenario, ScenarioErrors> {
    parse(Path::new(name), text, directory, &Overrides::default()).map_err(|broken| broken.errors)
}

/// Loads the scenarios of files, and of the `*.toml` files in folders (of their subfolders, if a folder has none
/// itself), in the order given and within a folder by name; each file once. With `only`, those of these names.
///
/// # Errors
/// Every mistake that can be found in them; two scenarios of one name; a name in `only` that none has; a path that
/// cannot be read, or a folder without scenarios.
pub fn load_all(paths: &[PathBuf], only: &[String], overrides: &Overrides) -> Result<Vec<Scenario>, ScenarioErrors> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut errors: Option<ScenarioErrors> = None;
    let mut fail = |more: ScenarioErrors| match &mut errors {
        Some(errors) => errors.append(more),
        none => *none = Some(more),
    };
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    for path in find::scenario_files(paths)? {
        match load_named(&path, overrides) {
            Ok(scenario) => {
                names.push(scenario.plan.name.clone());
                if let Some(twin) = scenarios.iter().find(|known| known.plan.name == scenario.plan.name) {
                    fail(same_name(twin, &scenario));
                } else if is_wanted(&scenario.plan.name) {
                    scenarios.push(scenario);
                }
            }
            Err(Broken { name, errors }) => {
                // What is not to be run may be broken, if it is sure that it is not meant.
                if name.as_deref().is_none_or(is_wanted) {
                    fail(errors);
                }
                names.extend(name);
            }
        }
    }
    for wanted in only.iter().filter(|wanted| !names.contains(wanted)) {
        fail(no_such_name(wanted, &names));
    }
    errors.map_or(Ok(scenarios), Err)
}

/// Why a file is no scenario, and the name it gives, as far as it was readable.
struct Broken {
    name: Option<String>,
    errors: ScenarioErrors,
}

fn load_named(path: &Path, overrides: &Overrides) -> Result<Scenario, Broken> {
    let nameless = |errors| Broken { name: None, errors };
    let text = read(path).map_err(nameless)?;
    let directory = directory(path).map_err(|error| nameless(ScenarioErrors::unreadable(path, &error)))?;
    parse(path, &text, &directory, overrides)
}

fn parse(path: &Path, text: &str, directory: &Path, overrides: &Overrides) -> Result<Scenario, Broken> {
    let mut sources = Sources::default();
    let mut mistakes = Mistakes::default();
    let mut places = Places::default();
    let file_source = sources.add(&path.display().to_string(), text.to_owned());

    let (mut root, syntax_errors) = tree::parse_document(text, file_source);
    places.secrets().learn_text(text);
    places.find(&root);
    overrides::apply(overrides, &mut root, &mut sources, &mut mistakes);
    env::replace(&mut root, places.secrets(), &mut mistakes);
    places.find(&root);
    let file: File = Reader::new(File::NAME, Place::ROOT, &root, &mut mistakes).all();
    let plan = if syntax_errors.is_empty() {
        resolve::plan(&file, directory, &mut mistakes)
    } else {
        add_syntax_errors(&syntax_errors, text, file_source, &mut mistakes);
        None
    };
    match plan {
        Some(plan) if mistakes.is_empty() => {
            learn_plan(places.secrets(), &plan);
            let [text, text_with_bodies] = [false, true].map(|show| recorded_text(&sources, &places, show));
            let secrets = places.secrets().clone();
            Ok(Scenario { plan, text, text_with_bodies, secrets, path: path.to_owned() })
        }
        _ => Err(Broken { name: file.name.value().cloned(), errors: mistakes.into_errors(&sources, &places) }),
    }
}

/// Adds what is no TOML. What follows from it on the same line would only confuse, and is dropped; if most lines are
/// none, the file is something else, and its first line says enough.
fn add_syntax_errors(errors: &[toml::de::Error], text: &str, source: usize, mistakes: &mut Mistakes) {
    let breaks: Vec<usize> = text.match_indices('\n').map(|(byte, _)| byte).collect();
    let line_of = |byte: usize| breaks.partition_point(|line_break| *line_break < byte);
    let span = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let broken_lines: HashSet<_> = errors.iter().map(|error| line_of(span(error).start)).collect();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    if let Some(first) = errors.first().filter(|_| broken_lines.len() > 5 && broken_lines.len() * 2 > lines) {
        mistakes.retain(|place| place.source != source);
        let what = format!("this file is not a scenario: {} of its {lines} lines are not TOML", broken_lines.len());
        let span = span(first);
        mistakes
            .add(Place { source, start: span.start, end: span.end }, what)
            .help("give the scenario's .toml file; `gapless init UNIT` writes one");
        return;
    }
    mistakes.forget_missing();
    mistakes.retain(|place| place.source != source || !broken_lines.contains(&line_of(place.start)));
    for error in errors {
        let span = span(error);
        mistakes
            .add(Place { source, start: span.start, end: span.end }, format!("this is not TOML: {}", error.message()))
            .help("https://toml.io/en/v1.0.0 has the whole syntax on one page");
    }
}

fn read(path: &Path) -> Result<String, ScenarioErrors> {
    const LARGEST_BYTES: u64 = 1 << 20;
    let unreadable = |error: std::io::Error| ScenarioErrors::unreadable(path, &error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > LARGEST_BYTES {
        let message = format!("{} is not a scenario: it is not a regular file of at most 1 MiB", path.display());
        return Err(ScenarioErrors::one(message, "give a scenario file, or a folder of them"));
    }
    String::from_utf8(fs::read(path).map_err(unreadable)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        ScenarioErrors::one(
            format!("{}:{line}: this is not UTF-8", path.display()),
            "TOML is UTF-8 text: save it as such",
        )
    })
}

/// The folder of a scenario, absolute and without symbolic links, so that unit files can name it.
fn directory(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    fs::canonicalize(absolute.parent().unwrap_or(&absolute))
}

/// What the record keeps: the file, and what the command line said otherwise.
fn recorded_text(sources: &Sources, places: &Places, show_bodies: bool) -> String {
    let mut text = places.mask(0, sources.text(0), show_bodies);
    for source in 1..sources.len() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let masked = places.mask(source, sources.text(source), show_bodies).replace(char::is_control, " ");
        text.extend(["# ", sources.get(source).name(), " ", &masked, "\n"]);
    }
    text
}

fn same_name(first: &Scenario, second: &Scenario) -> ScenarioErrors {
    ScenarioErrors::one(
        format!(
            "two scenarios are called \"{}\": {} and {}",
            first.plan.name,
            first.path.display(),
            second.path.display()
        ),
        "a name is unique in a run, since its record is called by it: rename one",
    )
}

fn no_such_name(wanted: &str, names: &[String]) -> ScenarioErrors {
    let known: Vec<_> = names.iter().map(String::as_str).collect();
    let help = match suggest::nearest(wanted, known.iter().copied()) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    ScenarioErrors::one(format!("no scenario is called \"{wanted}\" (--only)"), help)
}
