//! `report.md`: GitHub-flavoured Markdown.

use std::fmt::Write as _;

use super::document::blocks::Subject;
use super::document::{self, Block, Cause, Cell, Content, Document, Kind, Level, Part, Shown, Span, Table, Tone, bars};
use super::text::escape;
use crate::analysis::compare::Comparison;
use crate::result::{RunResult, Strategy};

/// The result for a file, a pull request or a job's summary: without images, which would not be there when it is pasted.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    Page::default().lay_out(&document::run::document(result, Level::Normal))
}

/// Two runs, compared.
#[must_use]
pub fn render_comparison(comparison: &Comparison, strategies: &[Strategy]) -> Vec<u8> {
    Page::default().lay_out(&document::other::comparison(comparison, strategies))
}

/// Several runs next to each other.
#[must_use]
pub fn render_strategies(strategies: &[Strategy]) -> Vec<u8> {
    Page::default().lay_out(&document::other::strategies(strategies))
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn lay_out(mut self, document: &Document<'_>) -> Vec<u8> {
        for part in &document.parts {
            self.title(part);
            part.blocks.iter().for_each(|block| self.block(block));
        }
        if !document.footer.is_empty() {
            self.push(&spans(&document.footer));
        }
        self.text.into_bytes()
    }

    fn title(&mut self, part: &Part<'_>) {
        let mark = if part.subject == Subject::Whole { "#" } else { "##" };
        match part.verdict {
            Some(verdict) => self.push(&format!("{mark} {}: {}", shout(verdict), text(&part.title))),
            None if part.title.is_empty() => {}
            None => self.push(&format!("{mark} {}", text(&part.title))),
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        match block {
            Block::Lead(sentence) | Block::Aside(sentence) => self.push(&text(sentence)),
            Block::Reasons(items) | Block::List(items) | Block::Asides(items) => self.list(items),
            Block::Tiles(tiles) => self.list(tiles.iter().map(|tile| format!("{}: {}", tile.name, tile.value))),
            Block::Heading(heading) => self.push(&format!("### {}", text(heading))),
            Block::Text(parts) => self.push(&spans(parts)),
            Block::Table(table) => self.table(table),
            // An image of a file would be broken wherever this is pasted.
            Block::Charts(_) => {}
            Block::Strategies(strategies) => self.strategies(strategies),
            Block::Causes(causes) => causes.iter().for_each(|cause| self.cause(cause)),
            Block::Facts(facts) => self.list(facts.iter().map(|(name, value)| format!("{name}: {value}"))),
            Block::Folded { summary, is_open, content } => {
                let open = if *is_open { " open" } else { "" };
                self.push(&format!("<details{open}><summary>{}</summary>", text(summary)));
                match content {
                    Content::Table(table) => self.table(table),
                    Content::File(lines) => self.fence("toml", lines),
                }
                self.push("</details>");
            }
        }
    }

    /// A block of its own.
    fn push(&mut self, block: &str) {
        self.text.push_str(block);
        self.text.push_str("\n\n");
    }

    fn list(&mut self, items: impl IntoIterator<Item = impl AsRef<str>>) {
        for item in items {
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "- {}", text(item.as_ref()));
        }
        self.text.push('\n');
    }

    fn table(&mut self, table: &Table) {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let rule = |kind| if kind == Kind::Number { "---:" } else { "---" };
        let rules: Vec<&str> = table.columns.iter().map(|column| rule(column.kind)).collect();
        let _ = writeln!(self.text, "| {} |\n| {} |", names.join(" | "), rules.join(" | "));
        for row in &table.rows {
            let _ = writeln!(self.text, "| {} |", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        self.text.push('\n');
    }

    fn cause(&mut self, cause: &Cause) {
        self.push(&format!("`{}`: {}. {}", cause.name, cause.count, text(&cause.meaning)));
        self.list(&cause.sentences);
        if let Some(more) = &cause.more {
            self.push(&text(more));
        }
        self.push(&format!("What helps: {}", text(&cause.remedy)));
    }

    /// The bars of a chart, as text: they are there wherever this is pasted.
    fn strategies(&mut self, strategies: &[Strategy]) {
        let lines = bars(strategies);
        self.fence("text", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Lines in a fence that nothing in it can close.
    fn fence(&mut self, language: &str, lines: &[&str]) {
        let lines: Vec<String> = lines.iter().map(|line| escape(&line.replace('\t', "    "))).collect();
        let fence = "`".repeat(longest_run(&lines, '`').max(2) + 1);
        let _ = writeln!(self.text, "{fence}{language}");
        for line in &lines {
            let _ = writeln!(self.text, "{line}");
        }
        self.push(&fence);
    }
}

fn cell(cell: &Cell) -> String {
    match cell.tone {
        // A dash alone means that there is no value; it is no list.
        Tone::Plain | Tone::Scenario(_) if cell.text == "-" => cell.text.clone(),
        Tone::Plain | Tone::Scenario(_) => text(&cell.text),
        Tone::Bad => format!("**{}**", text(&cell.text)),
        // Names that scripts use are ours: nothing in them ends the code.
        Tone::Code => format!("`{}`", cell.text),
        Tone::Verdict(verdict) => shout(verdict),
    }
}

fn spans(parts: &[Span]) -> String {
    let span = |span: &Span| match span {
        Span::Plain(plain) => text(plain),
        Span::Code(code) if code.chars().all(is_plain) => format!("`{code}`"),
        // Nothing is escaped in code, so what is not surely plain stands in text.
        Span::Code(code) => text(code),
    };
    parts.iter().map(span).collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || " -_./".contains(c)
}

fn shout(shown: Shown) -> String {
    format!("**{}**", shown.words().replacen(shown.verdict.name(), &shown.verdict.name().to_uppercase(), 1))
}

fn longest_run(lines: &[String], wanted: char) -> usize {
    let runs = lines.iter().flat_map(|line| line.split(move |c: char| c != wanted));
    runs.map(str::len).max().unwrap_or_default()
}

/// Text from anywhere: nothing in it is markup, ends a cell, or calls on people and issues.
fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (place, c) in escape(text).chars().enumerate() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // A comment in between: GitHub looks for these in text, whether escaped or not.
            '@' | '#' => {
                safe.push(c);
                safe.push_str("<!-- -->");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            '-' | '+' | '=' if place == 0 => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(text("a|b"), "a\\|b");
        assert_eq!(text("<img src=x>"), "&lt;img src=x&gt;");
        assert_eq!(text("![x](javascript:1)"), "\\!\\[x\\](javascript:1)");
        assert_eq!(text("- @team fixes #1"), "\\- @<!-- -->team fixes #<!-- -->1");
        assert_eq!(text("a\n# b"), "a\\\\n#<!-- --> b");
        assert_eq!(text("`code` **bold** _it_ $x$"), "\\`code\\` \\*\\*bold\\*\\* \\_it\\_ \\$x\\$");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_its_text() {
        let lines = ["a ``` b".to_owned(), "`````".to_owned()];
        assert_eq!(longest_run(&lines, '`'), 5);
    }
}
