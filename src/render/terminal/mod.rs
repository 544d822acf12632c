//! Reports on a terminal: the document at its briefest, in lines that fit.

mod page;
mod spark;

use self::page::Page;
use super::document::{self, Block, Cause, Content, Document, Level, Span};
use crate::analysis::compare::Comparison;
use crate::demo::calibration::Calibration;
use crate::render::text::ms;
use crate::result::{RunResult, ScenarioResult, Strategy};

/// The result for a terminal of `width` columns. Colour only where it means something, and none without `color`.
#[must_use]
pub fn render(result: &RunResult, width: usize, color: bool) -> Vec<u8> {
    lay_out(&document::run::document(result, Level::Brief), width, color)
}

/// One line for each scenario, and its description; for scenarios whose verdict did not pass, all that [`render`] has
/// to say of them.
#[must_use]
pub fn render_overview(result: &RunResult, width: usize, color: bool) -> Vec<u8> {
    lay_out(&document::run::overview(result), width, color)
}

/// Two runs, compared.
#[must_use]
pub fn render_comparison(comparison: &Comparison, width: usize, color: bool) -> Vec<u8> {
    lay_out(&document::other::comparison(comparison, &[]), width, color)
}

/// Several runs next to each other.
#[must_use]
pub fn render_strategies(strategies: &[Strategy], width: usize, color: bool) -> Vec<u8> {
    lay_out(&document::other::strategies(strategies), width, color)
}

/// A calibration, one line for each case.
#[must_use]
pub fn render_calibration(calibration: &Calibration, width: usize, color: bool) -> Vec<u8> {
    lay_out(&document::other::calibration(calibration), width, color)
}

fn lay_out(document: &Document<'_>, width: usize, color: bool) -> Vec<u8> {
    let mut page = Page::new(width, color);
    for (place, part) in document.parts.iter().enumerate() {
        if place > 0 {
            page.blank();
        }
        match part.verdict {
            Some(verdict) => page.verdict(verdict, &part.title),
            None if part.title.is_empty() => {}
            None => page.paragraph("", &part.title),
        }
        if part.verdict.is_some() && matches!(part.blocks.first(), Some(Block::Table(_))) {
            page.blank();
        }
        part.blocks.iter().for_each(|block| self::block(&mut page, block));
    }
    if !document.footer.is_empty() {
        page.blank();
        page.paragraph("", &plain(&document.footer));
    }
    page.into_bytes()
}

fn block(page: &mut Page, block: &Block<'_>) {
    match block {
        Block::Lead(text) | Block::Aside(text) => page.paragraph("", text),
        Block::Reasons(items) | Block::List(items) | Block::Asides(items) => {
            items.iter().for_each(|item| page.paragraph("-", item));
        }
        Block::Tiles(tiles) => {
            tiles.iter().for_each(|tile| page.paragraph("", &format!("{}: {}", tile.name, tile.value)));
        }
        Block::Heading(heading) => page.heading(heading),
        Block::Text(spans) => page.paragraph("", &plain(spans)),
        Block::Table(table) => page.table(table),
        Block::Charts(scenario) => spark(page, scenario),
        // The table before it has the figures, and no room for more.
        Block::Strategies(_) => {}
        Block::Causes(causes) => causes.iter().for_each(|cause| self::cause(page, cause)),
        Block::Facts(facts) => facts.iter().for_each(|(name, value)| page.paragraph("", &format!("{name}: {value}"))),
        Block::Folded { summary, content, .. } => {
            page.heading(summary);
            match content {
                Content::Table(table) => page.table(table),
                Content::File(lines) => lines.iter().for_each(|line| page.line(line)),
            }
        }
    }
}

fn cause(page: &mut Page, cause: &Cause) {
    page.paragraph("", &format!("{}: {}. {}", cause.name, cause.count, cause.meaning));
    cause.sentences.iter().chain(&cause.more).for_each(|sentence| page.paragraph("-", sentence));
    page.paragraph("", &format!("What helps: {}", cause.remedy));
}

fn spark(page: &mut Page, scenario: &ScenarioResult) {
    let Some(spark) = spark::spark(scenario, page.width()) else { return };
    let moment = match spark.moment_ms {
        ms if ms >= 1_000 && ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    };
    page.heading(&match spark.peak_ms {
        Some(peak_ms) => {
            format!("Slowest answer in each {moment}, up to {} ms (× lost, ↑ event)", ms(Some(peak_ms)))
        }
        None => format!("Nothing was answered; each mark is {moment} (× lost, ↑ event)"),
    });
    page.raw(&spark.latency);
    if !spark.events.is_empty() {
        page.raw(&spark.events);
    }
}

fn plain(spans: &[Span]) -> String {
    let text = |span: &Span| match span {
        Span::Plain(text) => text.clone(),
        Span::Code(text) => format!("`{text}`"),
    };
    spans.iter().map(text).collect()
}
