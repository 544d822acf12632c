//! What one level or format says, the others do not contradict.

use super::{Block, Cause, Content, Document, Kind, Level, Part, Span, Table, glossary, run};
use crate::analysis::combine;
use crate::analysis::simulator::stories;
use crate::model::Verdict;
use crate::render::{html, markdown, terminal};
use crate::result::RunResult;

fn result() -> RunResult {
    let stories = [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()];
    combine(&stories.map(|story| story.record())).expect("there are records")
}

/// Every text of a document in its order, but for headings.
fn texts(document: &Document<'_>) -> Vec<String> {
    let part = |part: &Part<'_>| {
        let blocks = part.blocks.iter().flat_map(block);
        std::iter::once(part.title.clone()).chain(blocks).collect::<Vec<_>>()
    };
    document.parts.iter().flat_map(part).collect()
}

fn block(block: &Block<'_>) -> Vec<String> {
    let table = |table: &Table| table.rows.iter().flatten().map(|cell| cell.text.clone()).collect();
    let cause = |cause: &Cause| {
        let sentences = cause.sentences.iter().chain(&cause.more).cloned();
        sentences.chain([cause.name.to_owned(), cause.count.to_string(), cause.remedy.clone()]).collect::<Vec<_>>()
    };
    match block {
        Block::Heading(_) | Block::Charts(_) | Block::Strategies(_) => Vec::new(),
        Block::Lead(text) | Block::Aside(text) => vec![text.clone()],
        Block::Reasons(items) | Block::List(items) | Block::Asides(items) => items.clone(),
        Block::Tiles(tiles) => tiles.iter().map(|tile| tile.value.clone()).collect(),
        Block::Text(spans) => spans.iter().map(|(Span::Plain(text) | Span::Code(text))| text.clone()).collect(),
        Block::Table(rows) | Block::Folded { content: Content::Table(rows), .. } => table(rows),
        Block::Causes(causes) => causes.iter().flat_map(cause).collect(),
        Block::Facts(facts) => facts.iter().map(|(_, value)| value.clone()).collect(),
        Block::Folded { content: Content::File(lines), .. } => lines.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_level_says_what_the_one_before_says_in_the_same_order_and_more() {
    let result = result();
    let levels = [Level::Brief, Level::Normal, Level::Full].map(|level| texts(&run::document(&result, level)));
    for pair in levels.windows(2) {
        let (less, more) = (&pair[0], &pair[1]);
        let mut rest = more.iter();
        for text in less {
            assert!(rest.any(|other| other == text), "{text:?} is missing, or elsewhere");
        }
        assert!(more.len() > less.len());
    }
}

#[test]
fn every_figure_of_a_table_has_a_definition() {
    let result = result();
    let document = run::document(&result, Level::Full);
    let tables = document.parts.iter().flat_map(|part| &part.blocks).filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    // What a count of a class or of a cause is, is said with it.
    let figures =
        tables.flat_map(|table| &table.columns).filter(|head| head.kind == Kind::Number && head.name != "requests");
    let mut undefined: Vec<&str> =
        figures.map(|head| head.name).filter(|name| glossary::meaning(name).is_none()).collect();
    undefined.dedup();
    assert_eq!(undefined, Vec::<&str>::new());
}

#[test]
fn a_loss_that_is_allowed_is_never_a_plain_pass() {
    let mut result = combine(&[stories::plain_restart().record()]).expect("there is a record");
    result.verdict = Verdict::Passed;
    result.scenarios[0].verdict = Verdict::Passed;
    for shown in [terminal::render(&result, 200, false), markdown::render(&result), html::render(&result)] {
        assert!(seen(shown).contains("passed (loss expected)"));
    }
    let clean = combine(&[stories::socket_restart().record()]).expect("there is a record");
    assert!(!seen(html::render(&clean)).contains("(loss expected)"));
}

/// What a reader sees of it: without the marks of the format, in lines of any length.
fn seen(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).expect("renderers write UTF-8");
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&quot;", "\""), ("<!-- -->", ""), ("\\", "")];
    let plain = marks.iter().fold(text, |text, (mark, plain)| text.replace(mark, plain)).replace("&amp;", "&");
    spaced(&plain)
}

#[test]
fn no_format_leaves_out_what_its_document_says() {
    let result = result();
    for (level, shown) in [
        (Level::Brief, terminal::render(&result, 1_000, false)),
        (Level::Normal, markdown::render(&result)),
        (Level::Full, html::render(&result)),
    ] {
        let shown = seen(shown);
        for text in texts(&run::document(&result, level)) {
            let text = spaced(&text);
            assert!(shown.contains(&text), "{level:?} leaves out {text:?}");
        }
    }
}

/// In small letters, since some formats shout a verdict.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
