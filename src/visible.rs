//! Makes visible what a terminal would obey: nothing from a file, a unit, a journal or a server may move its cursor,
//! change its colours or title, or pretend to be another line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` on one line: control characters, and those that reorder or hide text, as escapes.
#[must_use]
pub fn escape(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same with its line breaks and tabs.
#[must_use]
pub fn escape_lines(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

/// The same with colours, which our own texts have: Select Graphic Rendition, ECMA-48 8.3.117, and nothing else that
/// begins with ESC.
#[must_use]
pub fn escape_all_but_colours(text: &str) -> String {
    let mut pieces = text.split('\u{1b}');
    let mut safe = escape_lines(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.strip_prefix('[').and_then(|rest| rest.find(|c: char| !c.is_ascii_digit() && c != ';'));
        match end.map(|end| piece.split_at(end + 1)).filter(|(_, rest)| rest.starts_with('m')) {
            Some((sequence, rest)) => {
                safe.push('\u{1b}');
                safe.push_str(sequence);
                safe.push_str(&escape_lines(rest));
            }
            None => safe.push_str(&escape_lines(&format!("\u{1b}{piece}"))),
        }
    }
    safe
}

/// `text` with one visible character for each that is not, so that each character keeps its column.
#[must_use]
pub fn in_place(text: &str) -> String {
    let picture = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", " \n").chars().map(picture).collect()
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) && !stays(c) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Control characters, C0 and C1; zero-width and bidirectional formatting characters (Unicode TR 36, section 3.5); and
/// the tags of plane 14, which nothing shows; and the two of plane 0 that XML forbids.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON with all that [`is_unsafe`] as the escapes of JSON: it means the same, and a terminal obeys none of it.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| is_unsafe(c) && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) && c != '\n' && c != '\t' {
            let mut units = [0; 2];
            // Writing to a String cannot fail.
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        let evil = "a\u{1b}[31mred\r\n\u{202e}b\u{7}\u{9b}\u{7f}\u{61c}";
        assert_eq!(escape(evil), r"a\u{1b}[31mred\r\n\u{202e}b\u{7}\u{9b}\u{7f}\u{61c}");
        assert_eq!(escape("Grüße, 世界"), "Grüße, 世界");
    }

    #[test]
    fn of_all_sequences_only_colours_pass_and_only_where_they_may() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J \u{1b}[";
        let safe = "\u{1b}[1;31mred\u{1b}[0m \\u{1b}]0;title\\u{7} \\u{1b}[2J \\u{1b}[";
        assert_eq!(escape_all_but_colours(text), safe);
    }

    #[test]
    fn json_means_the_same_and_is_seen() {
        let text = serde_json::to_string("a\u{9b}\u{202e}\u{7f}\u{1b}\u{e0041}b").expect("JSON");
        let safe = json(&text);
        assert_eq!(safe, r#""a\u009b\u202e\u007f\u001b\udb40\udc41b""#);
        assert_eq!(
            serde_json::from_str::<String>(&safe).expect("JSON"),
            serde_json::from_str::<String>(&text).expect("JSON")
        );
    }

    proptest! {
        #[test]
        fn each_character_keeps_its_column(text in "[a-z\u{0}-\u{a0}\u{2028}\r\n]{0,40}") {
            let shown = in_place(&text);
            prop_assert_eq!(shown.chars().count(), text.chars().count());
            prop_assert!(!shown.contains(|c: char| is_unsafe(c) && c != '\n' && c != '\t'));
        }
    }
}
