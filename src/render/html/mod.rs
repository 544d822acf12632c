//! `report.html`: one file that needs no network, no script and no other file.

mod page;
mod scenario;

use self::page::{Column, badge, table};
use super::markup::Markup;
use super::svg;
use super::text::{latency, ms};
use crate::analysis::{RunResult, ScenarioResult};

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded and nothing run, whatever gets into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The result as a page: the verdict and its reasons first.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    let mut page = Markup::default();
    page.constant("<!doctype html>\n");
    page.nested("html", &[("lang", &"en")], |html| {
        html.nested("head", &[], |head| self::head(head, result));
        html.nested("body", &[], |body| {
            body.nested("main", &[], |main| {
                if result.scenarios.len() > 1 {
                    comparison(main, result);
                }
                for (place, scenario) in result.scenarios.iter().enumerate() {
                    scenario::write(main, result, scenario, place);
                }
                foot(main, result);
            });
        });
    });
    page.into_bytes()
}

fn head(head: &mut Markup, result: &RunResult) {
    head.constant(
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    head.constant("<meta name=\"color-scheme\" content=\"light dark\">\n");
    head.constant("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    head.text(POLICY);
    head.constant("\">\n");
    let names: Vec<&str> = result.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    head.element("title", &[], format!("{}: {}", result.verdict.name(), names.join(", ")));
    head.nested("style", &[], |style| {
        style.constant(STYLE);
        style.constant(svg::STYLE);
    });
}

/// One line for each scenario.
fn comparison(main: &mut Markup, result: &RunResult) {
    main.nested("section", &[("class", &"scenario")], |section| comparison_card(section, result));
}

fn comparison_card(main: &mut Markup, result: &RunResult) {
    let alike = result.scenarios.iter().filter(|scenario| scenario.verdict == result.verdict).count();
    main.nested("header", &[], |header| {
        header.nested("h1", &[], |title| {
            badge(title, result.verdict);
            title.text(format!(" {alike} of {} scenarios {}", result.scenarios.len(), result.verdict));
        });
    });
    let columns = [
        Column::Words("scenario"),
        Column::Words("verdict"),
        Column::Number("dropped"),
        Column::Number("000"),
        Column::Number("p50 ms"),
        Column::Number("p99 ms"),
        Column::Number("stall ms"),
        Column::Number("outage ms"),
        Column::Number("due"),
    ];
    table(main, &columns, result.scenarios.iter().enumerate(), |row, (place, scenario)| {
        row.markup(|cell| cell.element("a", &[("href", &format!("#{}", anchor(place)))], &scenario.name));
        row.markup(|cell| badge(cell, scenario.verdict));
        row.loss(scenario.dropped);
        row.loss(scenario.http_000);
        row.text(latency(scenario.latency_ms.all.p50, scenario.requests.due));
        row.text(latency(scenario.latency_ms.all.p99, scenario.requests.due));
        row.text(ms(scenario.stall_ms));
        row.text(outage(scenario));
        row.text(scenario.requests.due);
    });
}

/// An outage that never ended is null, as one that was not measured: what failed tells them apart.
fn outage(scenario: &ScenarioResult) -> String {
    latency(scenario.outage_ms, scenario.requests.failed)
}

/// Where a scenario stands in the page. A number, not its name: names may hold anything.
fn anchor(place: usize) -> String {
    format!("scenario-{}", place + 1)
}

fn foot(main: &mut Markup, result: &RunResult) {
    let (tool, host) = (&result.tool, &result.host);
    main.nested("footer", &[], |foot| {
        foot.text(format!(
            "{} {} on {}, Linux {} {}, {} CPUs",
            tool.name, tool.version, host.name, host.kernel, host.arch, host.cpus
        ));
        if let Some(manager) = &host.manager_version {
            foot.text(format!(", {manager}"));
        }
        foot.text(". Every figure is computed from the records beside this page; ");
        foot.element("code", &[], "gapless report DIR");
        foot.text(" renders it again, byte for byte.");
    });
}
