//! The files of a run's folder: which there are, and what is in each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::render;
use crate::result::RunResult;

/// A file's name, relative to the folder, and its bytes.
type Report = (String, Vec<u8>);

/// A renderer: the files it makes of a result.
type Renderer = fn(&RunResult) -> anyhow::Result<Vec<Report>>;

const RENDERERS: [(&str, Renderer); 6] = [
    ("result.json", |result| Ok(one("result.json", render::json::render(result)))),
    ("report.html", |result| Ok(one("report.html", render::html::render(result)))),
    ("report.md", |result| Ok(one("report.md", render::markdown::render(result)))),
    ("junit.xml", |result| Ok(one("junit.xml", render::junit::render(result)?))),
    ("metrics.prom", |result| Ok(one("metrics.prom", render::metrics::render(result)?))),
    ("the charts", |result| {
        let of_scenarios = result.scenarios.iter().flat_map(render::svg::files);
        Ok(of_scenarios.chain(render::svg::comparison_file(result)).collect())
    }),
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
