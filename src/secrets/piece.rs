//! Words taken out of a text, which know where in it they stood: through quotes, escapes and scripts within scripts.

use std::ops::Range;

/// A text, and for each of its bytes where it came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    text: String,
    from: Vec<Range<usize>>,
}

impl Piece {
    /// A text that stands at `offset` as it is.
    pub(super) fn new(text: &str, offset: usize) -> Self {
        Self { text: text.to_owned(), from: (offset..offset + text.len()).map(|at| at..at + 1).collect() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where that part of it came from.
    pub(super) fn origin(&self, part: &Range<usize>) -> Range<usize> {
        let empty = self.from.get(part.start).map_or(0, |first| first.start);
        self.from
            .get(part.clone())
            .and_then(|bytes| Some(bytes.first()?.start..bytes.last()?.end))
            .unwrap_or(empty..empty)
    }

    fn push(&mut self, c: char, from: Range<usize>) {
        self.text.push(c);
        self.from.extend(std::iter::repeat_n(from, c.len_utf8()));
    }

    /// The commands in it, each as its words, as a shell or systemd.syntax(7) takes them apart. What is neither is
    /// split at its spaces.
    pub(super) fn commands(&self) -> Vec<Vec<Self>> {
        let mut lexer = Lexer { of: self, commands: vec![Vec::new()], word: None };
        lexer.run();
        lexer.commands
    }
}

struct Lexer<'a> {
    of: &'a Piece,
    commands: Vec<Vec<Piece>>,
    word: Option<Piece>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        let text = self.of.text.as_str();
        // A quote that is not closed is an apostrophe.
        let last_quotes = ['"', '\''].map(|quote| text.rfind(quote));
        let mut quote = None;
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            match (c, quote) {
                ('\\', Some('"') | None) => match rest.next() {
                    Some((at_next, next)) => self.escape((at, at_next), next, &mut rest),
                    None => self.push(c, at..at + 1),
                },
                ('\\', Some(_)) if rest.peek().is_some_and(|&(_, next)| "\\'\"".contains(next)) => {
                    if let Some((at_next, next)) = rest.next() {
                        self.push(next, at..at_next + 1);
                    }
                }
                (c, Some(open)) if c == open => quote = None,
                ('"' | '\'', None) if last_quotes[usize::from(c == '\'')].is_some_and(|last| last > at) => {
                    quote = Some(c);
                    self.word.get_or_insert_default();
                }
                (c, None) if c.is_whitespace() && c != '\n' => self.end_word(),
                ('&', None) if is_in_word(text, at) => self.push(c, at..at + 1),
                (';' | '|' | '&' | '(' | ')' | '`' | '\n', None) => self.end_command(),
                ('<' | '>', None) => self.end_word(),
                (c, _) => self.push(c, at..at + c.len_utf8()),
            }
        }
        self.end_word();
    }

    /// `\x20` and the like; of any other escape, the character.
    fn escape(
        &mut self,
        (at, at_next): (usize, usize),
        next: char,
        rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    ) {
        let end = at_next + next.len_utf8();
        let hex = (next == 'x').then(|| self.of.text.get(end..end + 2)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                rest.nth(1);
                self.push(char::from(byte), at..end + 2);
            }
            // A line that goes on.
            None if next == '\n' => {}
            None => self.push(next, at..end),
        }
    }

    fn push(&mut self, c: char, at: Range<usize>) {
        let from = self.of.origin(&at);
        self.word.get_or_insert_default().push(c, from);
    }

    fn end_word(&mut self) {
        if let (Some(word), Some(command)) = (self.word.take(), self.commands.last_mut()) {
            command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        if self.commands.last().is_some_and(|command| !command.is_empty()) {
            self.commands.push(Vec::new());
        }
    }
}

/// An `&` between parameters of a URL, rather than between commands.
fn is_in_word(text: &str, at: usize) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| c == '&' || c.is_whitespace());
    !is_end(text[..at].chars().next_back()) && !is_end(text[at + 1..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        let commands = Piece::new(text, 0).commands();
        commands.iter().map(|words| words.iter().map(|word| word.text().to_owned()).collect()).collect()
    }

    #[test]
    fn commands_are_taken_apart_as_a_shell_does() {
        assert_eq!(words("a 'b c' \"d\\\"e\" f\\ g; h | i"), [vec!["a", "b c", "d\"e", "f g"], vec!["h"], vec!["i"]]);
        assert_eq!(words("x --h=A:\\x20b"), [["x", "--h=A: b"]]);
        assert_eq!(words("don't stop"), [["don't", "stop"]]);
    }

    #[test]
    fn a_part_of_a_word_knows_where_it_stood_through_any_nesting() {
        let text = r#"sh -c "x 'y \"z\" secret'""#;
        let outer = &Piece::new(text, 0).commands()[0];
        let inner = &outer[2].commands()[0];
        let word = &inner[1];
        let at = word.text().find("secret").expect("it is there");
        assert_eq!(&text[word.origin(&(at..at + 6))], "secret");
    }
}
