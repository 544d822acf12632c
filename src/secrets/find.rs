//! Finds the secrets in a text by the places they stand in.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::name::{Named, is_secret_header, is_secret_parameter, named};
use super::piece::Piece;
use super::{MASK, shape};

/// Scripts within scripts are followed so deep.
const DEEPEST: usize = 8;

/// A longer name is none.
const LONGEST_NAME_BYTES: usize = 100;

/// What a secret was found as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The secret itself.
    Value,
    /// `user:password`, or a token in its place.
    User,
    /// The value of a header: a scheme and credentials, or several pairs.
    Header,
}

/// Collects secrets: where they stand, and what they are.
#[derive(Debug, Default)]
pub(super) struct Finder {
    spans: Vec<Range<usize>>,
    values: BTreeSet<(Kind, String)>,
}

/// `text` without the secrets in it.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut finder = Finder::default();
    finder.in_text(text);
    with_masks(text, &finder.spans(), |_| MASK.to_owned())
}

/// `text` with each character of a secret in it blotted out, so that everything keeps its line and column.
pub(crate) fn blotted(text: &str) -> String {
    let mut finder = Finder::default();
    finder.in_text(text);
    with_masks(text, &finder.spans(), blot)
}

pub(super) fn blot(secret: &str) -> String {
    secret.chars().map(|c| if c == '\n' { c } else { '*' }).collect()
}

/// The value of a header as it is shown.
pub(crate) fn masked_header(name: &str, value: &str) -> String {
    if is_secret_value_of(name, value) { MASK.to_owned() } else { masked(value) }
}

/// `text` with something else at `spans`, which ascend and do not overlap.
pub(super) fn with_masks(text: &str, spans: &[Range<usize>], mask: impl Fn(&str) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let (Some(before), Some(secret)) = (text.get(done..span.start), text.get(span.clone())) else { continue };
        shown.push_str(before);
        shown.push_str(&mask(secret));
        done = span.end;
    }
    shown + text.get(done..).unwrap_or_default()
}

/// Whether a header's value is a secret, by its name or by its shape.
pub(super) fn is_secret_value_of(name: &str, value: &str) -> bool {
    const PUBLIC: &[&str] = &[
        "accept",
        "user-agent",
        "host",
        "etag",
        "if-none-match",
        "if-match",
        "traceparent",
        "tracestate",
        "date",
        "x-request-id",
        "x-correlation-id",
        "content-type",
        "digest",
        "content-digest",
        "accept-encoding",
    ];
    let value = value.trim();
    let looks_random = || shape::looks_random(value) || shape::is_long_hex(value);
    let is_public = PUBLIC.contains(&name.to_ascii_lowercase().as_str());
    is_secret_header(name)
        || (!is_public
            && (looks_random() || shape::of_scheme(value).next().is_some_and(|found| found.end == value.len())))
        || shape::made(value).next().is_some()
}

static USER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // The second form is that of a password with a slash in it, which is not a port.
    let plain = r#"[A-Za-z][A-Za-z0-9+.-]*://([^\s/?#"'<>]*)@"#;
    let slashed = r#"://([^\s/?#:@\["'<>]+:[0-9]*[^\s/?#@"'<>0-9][^\s"'<>@]*)@"#;
    Regex::new(&format!("{plain}|{slashed}")).ok()
});
static PARAMETER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"[?&;]([A-Za-z0-9_.\[\]%-]{1,100})=([^\s&#"'<>;\\)]+)"#).ok());
static ELEMENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"<([A-Za-z][A-Za-z0-9_.:-]{0,99})(?:\s[^<>]*)?>([^<>]+)</").ok());
static PART: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)form-data;[^\n]*\bname="?([A-Za-z0-9_.\[\]-]{1,100})"?[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]+)"#)
        .ok()
});

impl Finder {
    /// Where secrets stand: ascending, none over another.
    pub(super) fn spans(&self) -> Vec<Range<usize>> {
        let mut spans: Vec<_> = self.spans.iter().filter(|span| !span.is_empty()).cloned().collect();
        spans.sort_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut().filter(|last| span.start < last.end) {
                Some(last) => last.end = last.end.max(span.end),
                None => merged.push(span),
            }
        }
        merged
    }

    /// What they are, without quotes and escapes.
    pub(super) fn values(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.values.iter().map(|(kind, value)| (*kind, value.as_str()))
    }

    /// Finds those of any text.
    pub(super) fn in_text(&mut self, text: &str) {
        self.in_piece(&Piece::new(text, 0), 0);
    }

    pub(super) fn in_piece(&mut self, piece: &Piece, depth: usize) {
        self.by_shape(piece);
        self.assignments(piece);
        let is_single = !piece.text().contains(|c: char| c.is_whitespace() || "\"';|&`".contains(c));
        if depth < DEEPEST && !is_single {
            for command in piece.commands() {
                // A text that is one word holds nothing new.
                if command.len() > 1 || command.iter().any(|word| word.text().len() < piece.text().len()) {
                    self.in_words(&command, depth + 1);
                }
            }
        }
    }

    fn by_shape(&mut self, piece: &Piece) {
        let text = piece.text();
        shape::made(text).chain(shape::of_scheme(text)).for_each(|span| self.add(piece, span, Kind::Value));
        if text.contains("://") {
            for captures in USER.iter().flat_map(|user| user.captures_iter(text)) {
                if let Some(user) = captures.get(1).or_else(|| captures.get(2)) {
                    self.add(piece, user.range(), Kind::User);
                }
            }
        }
        for captures in [&PARAMETER, &ELEMENT, &PART]
            .iter()
            .flat_map(|found| found.iter())
            .flat_map(|found| found.captures_iter(text))
        {
            let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
            if is_secret_parameter(name.as_str()) {
                self.add(piece, value.range(), Kind::Value);
            }
        }
    }

    /// `name=value`, `name = "value"`, `"name": "value"`, `Name: value`.
    fn assignments(&mut self, piece: &Piece) {
        for (at, separator) in piece.text().match_indices(['=', ':']) {
            if let Some((span, kind)) = assigned(piece.text(), at, separator == "=") {
                self.add(piece, span, kind);
            }
        }
    }

    /// Notes a secret that stands there in a piece.
    pub(super) fn add(&mut self, piece: &Piece, span: Range<usize>, kind: Kind) {
        let Some(value) = piece.text().get(span.clone()).filter(|value| !value.is_empty()) else { return };
        self.spans.push(piece.origin(&span));
        self.values.insert((kind, value.to_owned()));
    }

    /// Notes `user:password` without a place of its own.
    pub(super) fn know_user(&mut self, user: &str) {
        self.values.insert((Kind::User, user.to_owned()));
    }
}

/// The secret that is assigned at the separator there; none if it is none.
fn assigned(text: &str, at: usize, is_equals: bool) -> Option<(Range<usize>, Kind)> {
    let after = &text[at + 1..];
    if after.starts_with(['=', ':', '~']) || after.starts_with("//") || text[..at].ends_with(['=', '!', '<', '>', ':'])
    {
        return None;
    }
    let name = Name::before(text, at)?;
    if name.is_parameter {
        return None;
    }
    let after = after.strip_prefix('>').filter(|_| is_equals).unwrap_or(after);
    let value = after.trim_start_matches([' ', '\t']);
    let is_spaced = value.len() < after.len();
    let start = text.len() - value.len();
    let (open, quoted) = quoted(value);
    let how = named(name.text);
    if !is_equals && quoted.is_none() && name.quote.is_none() && is_header(name.text) {
        let length = header_length(value, &name);
        return (length > 0).then_some((start..start + length, Kind::Header));
    }
    let span = match quoted {
        Some(length) => start + open..start + open + length,
        // `TOKEN= command` assigns nothing.
        None if is_equals && is_spaced && !name.is_spaced => return None,
        None => start..start + bare_length(value),
    };
    let shown = &text[span.clone()];
    let is_wordlike = shape::is_wordlike(shown);
    let is_prose = !is_equals && quoted.is_none() && name.quote.is_none();
    if is_prose {
        let ends_line = text[span.end..].trim_start_matches([' ', '\t', '\r']).is_empty()
            || text[span.end..].trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        if name.text.contains('.') || shown.len() < 4 || (is_wordlike && !(ends_line && how == Named::Surely)) {
            return None;
        }
    }
    let is_secret = match how {
        Named::Surely => true,
        Named::Perhaps => !is_wordlike && !shape::is_place(shown),
        Named::Not => false,
    };
    (is_secret && !span.is_empty()).then_some((span, if is_header(name.text) { Kind::Header } else { Kind::Value }))
}

/// A name before a separator.
struct Name<'a> {
    text: &'a str,
    /// The quote that closes it.
    quote: Option<char>,
    /// The quote right before it, where none closes it: it opened what the whole stands in.
    within: Option<char>,
    /// There is space between it and the separator.
    is_spaced: bool,
    /// It is that of a parameter of a URL, which ends otherwise.
    is_parameter: bool,
    /// It begins its line.
    begins_line: bool,
}

impl<'a> Name<'a> {
    fn before(text: &'a str, at: usize) -> Option<Self> {
        let trimmed = text[..at].trim_end_matches([' ', '\t']);
        let unquoted = trimmed.trim_end_matches(['"', '\'', '\\']);
        let quote = trimmed.chars().next_back().filter(|_| unquoted.len() < trimmed.len());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let length = unquoted.bytes().rev().take(LONGEST_NAME_BYTES).take_while(|&byte| is_name(byte)).count();
        let start = unquoted.len() - length;
        let name = unquoted[start..].trim_start_matches(['-', '.']);
        let before = &text[..unquoted.len() - name.len()];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let within = before.chars().next_back().filter(|c| quote.is_none() && "\"'".contains(*c));
        (!name.is_empty()).then_some(Self {
            text: name,
            quote,
            within,
            is_spaced: trimmed.len() < at,
            is_parameter: before.ends_with(['?', '&']),
            begins_line: line.trim_matches([' ', '\t', '>', '<', '*', '|', '+', '#', ';']).is_empty(),
        })
    }
}

/// A header's name, and that of a secret.
fn is_header(name: &str) -> bool {
    let is_known = ["authorization", "cookie"].iter().any(|known| name.eq_ignore_ascii_case(known));
    !name.contains('.') && (is_known || name.contains('-')) && is_secret_header(name)
}

/// The opening quote with what escapes it, and how long the text in quotes is; none where there is no quote.
fn quoted(value: &str) -> (usize, Option<usize>) {
    let escapes = value.len() - value.trim_start_matches('\\').len();
    let Some(quote) = value[escapes..].chars().next().filter(|c| "\"'`".contains(*c)) else { return (0, None) };
    let triple = escapes == 0 && value.starts_with(&quote.to_string().repeat(3));
    let open = if triple { 3 } else { escapes + 1 };
    let close = if triple { quote.to_string().repeat(3) } else { format!("{}{quote}", &value[..escapes]) };
    let rest = &value[open..];
    let is_close =
        |&(at, _): &(usize, &str)| escapes > 0 || rest[..at].bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 0;
    let closed = rest.match_indices(close.as_str()).find(is_close).map(|(at, _)| at);
    let end_of_line = || rest.find('\n').unwrap_or(rest.len());
    (open, Some(closed.unwrap_or_else(end_of_line)))
}

fn bare_length(value: &str) -> usize {
    value.find(|c: char| c.is_whitespace() || ",;&|\"'<>(){}[]`".contains(c)).unwrap_or(value.len())
}

/// How much of what follows `Name:` is the header's value: to the quote that it stands in, to the end of a line of its
/// own, or else one word, or a scheme and one.
fn header_length(value: &str, name: &Name<'_>) -> usize {
    const SCHEMES: &[&str] = &["bearer", "basic", "digest", "token", "negotiate", "apikey"];
    let line = value.split(['\n', '\r']).next().unwrap_or_default();
    if let Some(quote) = name.within {
        return line.find(quote).unwrap_or(line.len());
    }
    if name.begins_line {
        return line.trim_end().len();
    }
    let word = |text: &str| text.find(|c: char| c.is_whitespace() || "\"'".contains(c)).unwrap_or(text.len());
    let first = word(line);
    let rest = line[first..].trim_start_matches([' ', '\\']);
    if SCHEMES.contains(&line[..first].trim_end_matches('\\').to_ascii_lowercase().as_str()) {
        return line.len() - rest.len() + word(rest);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_a_text_and_the_rest_of_it_stays() {
        for (text, shown) in [
            ("http://h/a?token=x1&page=2", "http://h/a?token=***&page=2"),
            ("/a?page=2&API-Key=x1&Access_Token=x2#token", "/a?page=2&API-Key=***&Access_Token=***#token"),
            ("/?sig=x1%20&key=x2&keyword=shoes", "/?sig=***&key=***&keyword=shoes"),
            (
                "/?X-Amz-Signature=q5&access=q&passphrase=z&pw=y",
                "/?X-Amz-Signature=***&access=***&passphrase=***&pw=***",
            ),
            ("postgres://u:pa/ss@db/x", "postgres://***@db/x"),
            ("amqp://user:p%40ss@mq:5672/", "amqp://***@mq:5672/"),
            ("> Authorization: Bearer hunter2\n> Host: h", "> Authorization: ***\n> Host: h"),
            ("Set-Cookie: sid=hunter2; Path=/", "Set-Cookie: ***"),
            ("{\"user\":\"a\",\"password\" : \"hunter2\"}", "{\"user\":\"a\",\"password\" : \"***\"}"),
            ("{\\\"password\\\":\\\"hunter2\\\"}", "{\\\"password\\\":\\\"***\\\"}"),
            ("password = 'hunter2'", "password = '***'"),
            ("headers = { X-Auth = \"hunter2\", bad = 1 }", "headers = { X-Auth = \"***\", bad = 1 }"),
            ("password: opensesame\nuser: a", "password: ***\nuser: a"),
            ("DB_PASSWORD=hunter2, retrying", "DB_PASSWORD=***, retrying"),
            ("Server=db;User Id=sa;Password=hunter2;Timeout=3", "Server=db;User Id=sa;Password=***;Timeout=3"),
            ("host=db password=hunter2 user=u", "host=db password=*** user=u"),
            ("<password>hunter2</password><user>a</user>", "<password>***</password><user>a</user>"),
            ("+ curl -u admin:hunter2 http://h/", "+ curl -u admin:*** http://h/"),
            ("got Bearer hunter2-x from client", "got Bearer *** from client"),
            ("token = \"unclosed hunter2\nnext = 1", "token = \"***\nnext = 1"),
            ("form-data; name=\"password\"\r\n\r\nhunter2\r\n--x", "form-data; name=\"password\"\r\n\r\n***\r\n--x"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(shown), shown, "masked twice");
            assert_eq!(blotted(text).chars().count(), text.chars().count());
        }
    }

    #[test]
    fn sentences_stay() {
        for text in [
            "auth-api.service: Main process exited, code=exited, status=203/EXEC",
            "auth.service: Failed with result 'exit-code'.",
            "cannot read the password: permission denied",
            "session-3.scope: Deactivated successfully.",
            "token.py:12: SyntaxError",
            "basic authentication, bearer token: none given",
            "key = \"up\"\nsession = \"websocket\"\nsessions = 100\nexpect.sessions.torn = 0",
            "InvocationID 0123456789abcdef0123456789abcdef",
            "GET http://127.0.0.1:8008/health?page=2 at [::1]:80",
            "listening at 127.0.0.1:8000, PID 12, it doesn't stop; it's up",
            "TOKEN= command",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn what_is_masked_is_known_without_its_quotes() {
        let mut finder = Finder::default();
        finder.in_text("x --secret 'a b' T_TOKEN=c http://u:d@h/?key=e");
        let values: Vec<_> = finder.values().map(|(_, value)| value).collect();
        for value in ["a b", "c", "u:d", "e"] {
            assert!(values.contains(&value), "{value} in {values:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z=:\"' \\\\&?/@<>{}\n\u{e9}-]{0,80}") {
            let _ = (masked(&text), blotted(&text));
        }
    }
}
