//! Charts as SVG: inline in the report, or files of their own.

mod axis;
mod percentiles;
mod strategies;
mod timeline;
mod waits;

use super::markup::{Attributes, Markup};
use crate::result::{RunResult, ScenarioResult, Strategy};

/// The colours and fonts of charts, for the page that holds them.
pub(crate) const STYLE: &str = include_str!("chart.css");

/// The width of every chart, in its own units: pixels at full size.
const WIDTH: f64 = 1000.0;

/// Where the plots begin and end; scales stand to the left of that.
const LEFT: f64 = 68.0;
const RIGHT: f64 = WIDTH - 16.0;

/// A chart of a scenario.
#[derive(Debug)]
pub(crate) struct Chart {
    /// As part of a file's name.
    name: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    height: f64,
    drawing: Markup,
}

/// The charts of a scenario that there is anything to draw for.
pub(crate) fn charts(scenario: &ScenarioResult) -> Vec<Chart> {
    [timeline::draw(scenario), percentiles::draw(scenario), waits::draw(scenario)].into_iter().flatten().collect()
}

/// The charts of a scenario as files of their own: `charts/NAME-timeline.svg`, `-percentiles` and `-waits`, by path
/// from the report.
#[must_use]
pub fn files(scenario: &ScenarioResult) -> Vec<(String, Vec<u8>)> {
    charts(scenario).into_iter().map(|chart| (path(scenario, chart.name), chart.file(&scenario.name))).collect()
}

/// The scenarios of a run next to each other; none of a single one.
#[must_use]
pub fn comparison_file(result: &RunResult) -> Option<(String, Vec<u8>)> {
    Some(("charts/comparison.svg".to_owned(), comparison(&Strategy::of_run(result))?))
}

/// The same for any of them, as a file of its own.
#[must_use]
pub fn comparison(strategies: &[Strategy]) -> Option<Vec<u8>> {
    strategies::draw(strategies).map(|chart| chart.file(COMPARED))
}

/// As part of a page that has [`STYLE`].
pub(crate) fn inline_comparison(page: &mut Markup, strategies: &[Strategy]) {
    if let Some(chart) = strategies::draw(strategies) {
        page.element("h3", &[], chart.title);
        page.nested("div", &[("class", &"wide figure")], |figure| chart.inline(figure, COMPARED));
    }
}

/// What a chart of several scenarios is about.
const COMPARED: &str = "comparison";

/// Scenario names are file names, but a record may come from anywhere: nothing may lead out of the folder, or
/// out of a link.
fn path(scenario: &ScenarioResult, chart: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = scenario.name.chars().map(safe).take(200).collect();
    format!("charts/{name}-{chart}.svg")
}

impl Chart {
    /// The chart as part of a page that has [`STYLE`].
    pub(crate) fn inline(&self, page: &mut Markup, scenario: &str) {
        let view = format!("0 0 {} {}", px(WIDTH), px(self.height));
        page.nested("svg", &[("class", &"chart"), ("role", &"img"), ("viewBox", &view)], |svg| {
            svg.element("title", &[], self.full_title(scenario));
            svg.append(&self.drawing);
        });
    }

    fn full_title(&self, scenario: &str) -> String {
        format!("{scenario}: {}", self.title)
    }

    fn file(&self, scenario: &str) -> Vec<u8> {
        let mut file = Markup::default();
        let (width, height) = (px(WIDTH), px(self.height));
        let view = format!("0 0 {width} {height}");
        let attributes: Attributes<'_> = &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("class", &"chart paper"),
            ("role", &"img"),
            ("width", &width),
            ("height", &height),
            ("viewBox", &view),
        ];
        file.nested("svg", attributes, |svg| {
            svg.element("title", &[], self.full_title(scenario));
            svg.nested("style", &[], |style| style.constant(STYLE));
            svg.shape("rect", &[("class", &"ground"), ("width", &width), ("height", &height)]);
            svg.append(&self.drawing);
        });
        file.into_bytes()
    }
}

/// A coordinate: a tenth of a pixel is as fine as anybody sees.
pub(super) fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded}")
}

/// A number of things to lay out.
#[expect(clippy::cast_precision_loss, reason = "nothing is laid out 2^53 times")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

/// Text at a place; `class` says how it looks and where its anchor is.
pub(super) fn label(to: &mut Markup, class: &'static str, (x, y): (f64, f64), text: impl std::fmt::Display) {
    to.element("text", &[("class", &class), ("x", &px(x)), ("y", &px(y))], text);
}

/// The name of a scale, up along it, in the middle of its panel.
pub(super) fn scale_name(to: &mut Markup, (top, bottom): (f64, f64), name: &str) {
    let turned = format!("translate(11 {}) rotate(-90)", px(f64::midpoint(top, bottom)));
    to.element("text", &[("class", &"middle soft"), ("transform", &turned)], name);
}

/// A straight line.
pub(super) fn line(to: &mut Markup, class: &'static str, from: (f64, f64), until: (f64, f64)) {
    let (x1, y1, x2, y2) = (px(from.0), px(from.1), px(until.0), px(until.1));
    to.shape("line", &[("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
}

/// A rectangle from its corner; what it stands for shows when pointed at.
pub(super) fn bar(to: &mut Markup, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) {
    let (x, y, width, height) = (px(x), px(y), px(width), px(height));
    let attributes: Attributes<'_> = &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    if tip.is_empty() {
        to.shape("rect", attributes);
    } else {
        to.nested("rect", attributes, |rect| rect.element("title", &[], tip));
    }
}
