//! The files of a run's folder: which there are, and what is in each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::analysis::RunResult;
use crate::render;

/// A file's name, relative to the folder, and its bytes.
type Report = (String, Vec<u8>);

/// A renderer: the files it makes of a result.
type Renderer = fn(&RunResult) -> anyhow::Result<Vec<Report>>;

const RENDERERS: [(&str, Renderer); 3] = [
    ("result.json", |result| Ok(one("result.json", render::json::render(result)))),
    ("report.html", |result| Ok(one("report.html", render::html::render(result)))),
    ("charts", |result| Ok(charts(result))),
];

/// Every report of `result`. A renderer that fails or panics is an error of its own and takes no other with it.
pub(super) fn render(result: &RunResult) -> Vec<anyhow::Result<Report>> {
    RENDERERS.iter().flat_map(|&(name, renderer)| guarded(name, renderer, result)).collect()
}

fn guarded(name: &str, renderer: Renderer, result: &RunResult) -> Vec<anyhow::Result<Report>> {
    match catch_unwind(AssertUnwindSafe(|| renderer(result))) {
        Ok(Ok(reports)) => reports.into_iter().map(Ok).collect(),
        Ok(Err(error)) => vec![Err(error.context(format!("cannot render {name}")))],
        Err(_) => vec![Err(anyhow::anyhow!("cannot render {name}: this is a defect of gapless; the record is safe"))],
    }
}

fn one(name: &str, bytes: Vec<u8>) -> Vec<Report> {
    vec![(name.to_owned(), bytes)]
}

/// Every chart as a file of its own: `charts/NAME-timeline.svg`, `charts/NAME-percentiles.svg`.
fn charts(result: &RunResult) -> Vec<Report> {
    let of_scenario = |scenario: &crate::analysis::ScenarioResult| {
        let name = file_name(&scenario.name);
        render::svg::files(scenario).into_iter().map(move |(chart, svg)| (format!("charts/{name}-{chart}.svg"), svg))
    };
    result.scenarios.iter().flat_map(of_scenario).collect()
}

/// Scenario names are file names, but a record may come from anywhere: nothing may lead out of the folder.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(safe).take(200).collect()
}
