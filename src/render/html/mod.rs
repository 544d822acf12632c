//! `report.html`: one file that needs no network, no script and no other file.

mod page;

use self::page::{badge, list, table, tile};
use super::document::blocks::Subject;
use super::document::{self, Block, Cause, Content, Document, Level, Part, Span};
use super::markup::{Attributes, Markup};
use super::svg;
use crate::analysis::compare::Comparison;
use crate::result::{RunResult, ScenarioResult, Strategy};

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded and nothing run, whatever gets into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The result as a page: the verdict and its reasons first.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    lay_out(&document::run::document(result, Level::Full))
}

/// Two runs, compared, as a page.
#[must_use]
pub fn render_comparison(comparison: &Comparison, strategies: &[Strategy]) -> Vec<u8> {
    lay_out(&document::other::comparison(comparison, strategies))
}

/// Several runs next to each other, as a page.
#[must_use]
pub fn render_strategies(strategies: &[Strategy]) -> Vec<u8> {
    lay_out(&document::other::strategies(strategies))
}

fn lay_out(document: &Document<'_>) -> Vec<u8> {
    let mut page = Markup::default();
    page.constant("<!doctype html>\n");
    page.nested("html", &[("lang", &"en")], |html| {
        html.nested("head", &[], |head| self::head(head, document));
        html.nested("body", &[], |body| {
            body.nested("main", &[], |main| {
                for (place, part) in document.parts.iter().enumerate() {
                    self::part(main, part, place == 0);
                }
                main.nested("footer", &[], |foot| spans(foot, &document.footer));
            });
        });
    });
    page.into_bytes()
}

fn head(head: &mut Markup, document: &Document<'_>) {
    head.constant(
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    head.constant("<meta name=\"color-scheme\" content=\"light dark\">\n");
    head.constant("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    head.text(POLICY);
    head.constant("\">\n");
    head.element("title", &[], &document.title);
    head.nested("style", &[], |style| {
        style.constant(STYLE);
        style.constant(svg::STYLE);
    });
}

fn part(main: &mut Markup, part: &Part<'_>, is_first: bool) {
    let fill = |section: &mut Markup| {
        section.nested(if is_first { "h1" } else { "h2" }, &[], |title| {
            part.verdict.iter().for_each(|&verdict| badge(title, verdict));
            title.text(format!(" {}", part.title));
        });
        part.blocks.iter().for_each(|block| self::block(section, block));
    };
    match part.subject {
        Subject::Whole => main.nested("section", &[("class", &"scenario overview")], fill),
        Subject::Scenario(number) => {
            main.nested("section", &[("id", &anchor(number)), ("class", &"scenario")], fill);
        }
    }
}

/// Where a scenario stands in the page. A number, not its name: names may hold anything.
fn anchor(number: usize) -> String {
    format!("scenario-{number}")
}

fn block(section: &mut Markup, block: &Block<'_>) {
    match block {
        Block::Lead(text) => section.element("p", &[("class", &"lead")], text),
        Block::Reasons(reasons) => section.nested("div", &[("class", &"reasons")], |div| list(div, reasons)),
        Block::Tiles(tiles) => {
            section.nested("div", &[("class", &"tiles")], |div| tiles.iter().for_each(|figure| tile(div, figure)));
        }
        Block::Heading(heading) => section.element("h3", &[], heading),
        Block::Text(parts) => section.nested("p", &[], |text| spans(text, parts)),
        Block::Aside(text) => section.element("p", &[("class", &"quiet")], text),
        Block::List(items) => list(section, items),
        Block::Asides(items) => section.nested("div", &[("class", &"quiet")], |quiet| list(quiet, items)),
        Block::Table(rows) => table(section, rows),
        Block::Charts(scenario) => charts(section, scenario),
        Block::Strategies(strategies) => svg::inline_comparison(section, strategies),
        Block::Causes(causes) => {
            section.nested("dl", &[], |list| causes.iter().for_each(|cause| self::cause(list, cause)));
        }
        Block::Facts(facts) => self::facts(section, facts),
        Block::Folded { summary, is_open, content } => {
            let attributes: Attributes<'_> = if *is_open { &[("open", &"")] } else { &[] };
            section.nested("details", attributes, |details| {
                details.element("summary", &[], summary);
                match content {
                    Content::Table(rows) => table(details, rows),
                    Content::File(lines) => details.nested("pre", &[], |pre| pre.lines(&lines.join("\n"))),
                }
            });
        }
    }
}

fn spans(to: &mut Markup, parts: &[Span]) {
    for part in parts {
        match part {
            Span::Plain(text) => to.text(text),
            Span::Code(code) => to.element("code", &[], code),
        }
    }
}

fn charts(section: &mut Markup, scenario: &ScenarioResult) {
    for chart in svg::charts(scenario) {
        section.element("h3", &[], chart.title);
        section.nested("div", &[("class", &"wide figure")], |figure| chart.inline(figure, &scenario.name));
    }
}

fn cause(to: &mut Markup, cause: &Cause) {
    to.nested("dt", &[], |term| {
        term.element("b", &[], cause.count);
        term.text(" ");
        term.element("code", &[], cause.name);
        term.text(format!(" {}", cause.meaning));
    });
    to.nested("dd", &[], |details| {
        list(details, &cause.sentences);
        cause.more.iter().for_each(|more| details.element("p", &[("class", &"quiet")], more));
        details.nested("p", &[("class", &"remedy")], |remedy| {
            remedy.element("b", &[], "What helps");
            remedy.text(format!(" {}", cause.remedy));
        });
    });
}

fn facts(section: &mut Markup, facts: &[(&'static str, String)]) {
    section.nested("table", &[("class", &"facts")], |table| {
        for (name, value) in facts {
            table.nested("tr", &[], |row| {
                row.element("th", &[("scope", &"row")], name);
                row.element("td", &[], value);
            });
        }
    });
}
