//! The text of a unit file as sections and entries, systemd.syntax(7).

use super::finding::Finding;

/// The longest logical line systemd reads, in bytes (`LONG_LINE_MAX`).
const LINE_MAX_BYTES: usize = 1 << 20;

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What stands before the first `=`, trimmed.
    pub key: String,
    /// What stands behind it, trimmed, continuation lines joined by spaces; quotes and specifiers as written.
    pub value: String,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// `[NAME]` and the assignments under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Without brackets.
    pub name: String,
    /// The line of its header, from 1.
    pub line: u32,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

/// A unit file: its sections in order. One name may come more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFile {
    /// In the order of the file.
    pub sections: Vec<Section>,
}

impl UnitFile {
    /// Reads a text. What cannot be read is left out and told in the findings; an error among them means
    /// that systemd would not load the unit.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<Finding>) {
        let mut parser = Parser::default();
        for (line, text) in logical_lines(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            parser.line(line, &text);
        }
        (parser.file, parser.findings)
    }

    /// The entries of every section of that name, in order.
    #[must_use]
    pub fn section<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Entry> {
        self.sections.iter().filter(move |section| section.name == name).flat_map(|section| &section.entries)
    }

    /// The assignments of `key` in `section`, in order.
    #[must_use]
    pub fn entries<'a>(&'a self, section: &'a str, key: &'a str) -> impl DoubleEndedIterator<Item = &'a Entry> {
        self.section(section).filter(move |entry| entry.key == key)
    }

    /// The assignment of `key` in `section` that counts where only one can: the last.
    #[must_use]
    pub fn last<'a>(&'a self, section: &'a str, key: &'a str) -> Option<&'a Entry> {
        self.entries(section, key).next_back()
    }

    /// Whether nothing is assigned at all: systemd calls such a unit masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }
}

/// Joins continued lines: number of the first line, and the text. A comment between two continued lines is
/// left out; a comment never continues.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((number, String::new()));
        joined.push_str(line);
        if ends_in_backslash(&joined) {
            joined.pop();
            joined.push(' ');
            open = Some((start, joined));
        } else {
            lines.push((start, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Whether the last character is a backslash that is not itself escaped.
fn ends_in_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

#[derive(Default)]
struct Parser {
    file: UnitFile,
    findings: Vec<Finding>,
}

impl Parser {
    fn line(&mut self, line: u32, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if text.len() > LINE_MAX_BYTES {
            self.findings.push(Finding::error(line, "the line is longer than 1 MiB"));
        } else if text.starts_with('[') {
            self.header(line, text);
        } else {
            self.assignment(line, text);
        }
    }

    fn header(&mut self, line: u32, text: &str) {
        match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => {
                self.file.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
            }
            None => self.findings.push(Finding::error(line, format!("section header {text:?} has no closing bracket"))),
        }
    }

    fn assignment(&mut self, line: u32, text: &str) {
        let Some((key, value)) = text.split_once('=') else {
            self.findings.push(Finding::warning(line, format!("no `=` in {text:?}; the line is ignored")));
            return;
        };
        let key = key.trim_end();
        if key.is_empty() {
            self.findings.push(Finding::warning(line, "no key before the `=`; the line is ignored"));
            return;
        }
        if let Some(section) = self.file.sections.last_mut() {
            section.entries.push(Entry { key: key.to_owned(), value: value.trim_start().to_owned(), line });
        } else {
            let message = format!("{key}= stands before the first section; the line is ignored");
            self.findings.push(Finding::warning(line, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::finding::Severity;
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String, u32)> {
        let (file, findings) = UnitFile::parse(text);
        assert_eq!(findings, []);
        let entries = file.sections.into_iter().flat_map(|section| section.entries);
        entries.map(|entry| (entry.key, entry.value, entry.line)).collect()
    }

    #[test]
    fn the_example_of_the_man_page_reads_as_it_says() {
        let text = "[Section A]\nKeyOne=value 1\nKeyTwo=value 2\n\n# a comment\n\n\
                    [Section B]\nSetting=\"something\" \"some thing\" \"...\"\nKeyTwo=value 2 \\\n       value 2 continued\n\n\
                    [Section C]\nKeyThree=value 3\\\n# this line is ignored\n; this line is ignored too\n       value 3 continued\n";
        let expected = [
            ("KeyOne", "value 1", 2),
            ("KeyTwo", "value 2", 3),
            ("Setting", r#""something" "some thing" "...""#, 8),
            ("KeyTwo", "value 2         value 2 continued", 9),
            ("KeyThree", "value 3        value 3 continued", 13),
        ];
        assert_eq!(parsed(text), expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line)));
    }

    #[test]
    fn an_escaped_backslash_at_the_end_does_not_continue() {
        assert_eq!(parsed("[S]\nA=x\\\\\nB=y").len(), 2);
    }

    #[test]
    fn a_comment_behind_a_value_is_part_of_it() {
        assert_eq!(parsed("[Socket]\nBacklog=128  # x\n")[0].1, "128  # x");
    }

    #[test]
    fn a_key_may_come_twice_and_a_section_too() {
        let (file, _) = UnitFile::parse("[S]\nA=1\n[T]\nA=9\n[S]\nA=2\n");
        let values: Vec<_> = file.entries("S", "A").map(|entry| entry.value.as_str()).collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(file.last("S", "A").map(|entry| entry.line), Some(6));
    }

    #[test]
    fn what_systemd_warns_about_is_told_with_its_line() {
        for (text, line) in [("A=1\n", 1), ("[S]\n\nnonsense\n", 3), ("[S]\n = x\n", 2)] {
            let (_, findings) = UnitFile::parse(text);
            assert_eq!(findings.len(), 1, "{text}");
            assert_eq!((findings[0].severity, findings[0].line), (Severity::Warning, line), "{text}");
        }
    }

    #[test]
    fn a_broken_header_is_an_error() {
        let (_, findings) = UnitFile::parse("[Service\nA=1\n");
        assert_eq!((findings[0].severity, findings[0].line), (Severity::Error, 1));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\n\\\\\\[\\]=#; ])*") {
            let _ = UnitFile::parse(&text);
        }

        #[test]
        fn what_is_written_line_by_line_comes_back(
            entries in prop::collection::vec(("[A-Za-z]{1,9}", "([a-z0-9=\"'%$][a-z0-9 =\"'%$]{0,19})?"), 0..20)
        ) {
            let text = entries.iter().fold("[S]\n".to_owned(), |text, (key, value)| text + key + "=" + value + "\n");
            let (file, findings) = UnitFile::parse(&text);
            prop_assert!(findings.is_empty());
            let read: Vec<_> = file.section("S").map(|entry| (entry.key.clone(), entry.value.clone())).collect();
            let written: Vec<_> = entries.into_iter().map(|(key, value)| (key, value.trim().to_owned())).collect();
            prop_assert_eq!(read, written);
        }
    }
}
