//! Writes HTML and SVG: every text and every attribute's value is escaped here and nowhere else.

use std::fmt::{Display, Write as _};

use super::text::escape;

/// Attributes of an element. Names are ours, values may come from anywhere.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// Markup in the making: well-formed at every moment between two calls.
#[derive(Debug, Default)]
pub(crate) struct Markup(String);

impl Markup {
    /// An element and what `fill` puts into it.
    pub(crate) fn nested(&mut self, tag: &'static str, attributes: Attributes<'_>, fill: impl FnOnce(&mut Self)) {
        self.start(tag, attributes);
        self.0.push('>');
        fill(self);
        self.end(tag);
    }

    /// An element with text in it.
    pub(crate) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: impl Display) {
        self.nested(tag, attributes, |inner| inner.text(text));
    }

    /// An element without content, in XML's form: for SVG.
    pub(crate) fn shape(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.start(tag, attributes);
        self.0.push_str("/>\n");
    }

    /// Text.
    pub(crate) fn text(&mut self, text: impl Display) {
        self.0.push_str(&escaped(&text.to_string()));
    }

    /// Text whose line breaks and tabs stay.
    pub(crate) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            let cells: Vec<String> = line.split('\t').map(escaped).collect();
            self.0.push_str(&cells.join("\t"));
            self.0.push('\n');
        }
    }

    /// Markup of our own, as it is: never anything from outside.
    pub(crate) fn constant(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Markup that was written the same way.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            // Writing to a String cannot fail.
            let _ = write!(self.0, " {name}=\"{}\"", escaped(&value.to_string()));
        }
    }

    fn end(&mut self, tag: &'static str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push_str(">\n");
    }
}

/// The five characters that mean something in HTML and XML, and control characters, which XML forbids.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Not characters in XML 1.0, section 2.2.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_text_or_attributes_can_end_them() {
        let mut markup = Markup::default();
        let evil = "\"'><script>&amp;\u{0}\u{1b}[31m";
        markup.nested("p", &[("title", &evil)], |p| p.text(evil));
        let text = String::from_utf8(markup.into_bytes()).expect("UTF-8");
        let safe = "&quot;&#39;&gt;&lt;script&gt;&amp;amp;\\u{0}\\u{1b}[31m";
        assert_eq!(text, format!("<p title=\"{safe}\">{safe}</p>\n"));
    }

    #[test]
    fn lines_and_tabs_of_a_file_stay() {
        let mut markup = Markup::default();
        markup.lines("a\t<b>\r\nc");
        assert_eq!(String::from_utf8(markup.into_bytes()).expect("UTF-8"), "a\t&lt;b&gt;\nc\n");
    }
}
