//! Words of a value: quoting and C-style escapes, systemd.syntax(7) "Quoting".

use super::finding::ValueError;

/// What ends a word.
const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Splits `text` into words at unquoted whitespace, removes quotes, and replaces C-style escapes. An escape
/// that C does not know stays as it is written.
///
/// # Errors
/// When a quote is not closed, or a backslash ends the text.
pub fn split(text: &str) -> Result<Vec<String>, ValueError> {
    let mut rest = text;
    let mut words = Vec::new();
    while let Some((word, behind)) = first(rest)? {
        words.push(word);
        rest = behind;
    }
    Ok(words)
}

/// The first word of `text` and what stands behind it; none when there is no word.
///
/// # Errors
/// As [`split`].
pub fn first(text: &str) -> Result<Option<(String, &str)>, ValueError> {
    let text = text.trim_start_matches(WHITESPACE);
    if text.is_empty() {
        return Ok(None);
    }
    let unbalanced = || ValueError::Quoting(text.to_owned());
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (c, quote) {
            ('\\', _) => {
                let (escaped, behind) = unescape(rest).ok_or_else(unbalanced)?;
                word.push_str(&escaped);
                rest = behind;
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, None) if WHITESPACE.contains(&c) => return Ok(Some((word, rest))),
            (c, _) => word.push(c),
        }
    }
    if quote.is_some() { Err(unbalanced()) } else { Ok(Some((word, rest))) }
}

/// A text with its C-style escapes replaced, and its quotes kept.
#[must_use]
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        if let Some((escaped, behind)) = unescape(behind) {
            out.push_str(&escaped);
            rest = behind;
        } else {
            out.push('\\');
            rest = behind;
        }
    }
    out + rest
}

/// What the escape means whose backslash stands before `text`, and the text behind it; none at the end.
fn unescape(text: &str) -> Option<(String, &str)> {
    let letter = text.chars().next()?;
    let behind = &text[letter.len_utf8()..];
    let single = match letter {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        '\\' | '"' | '\'' => letter,
        'x' => return Some(numeric(text, 1, 2, 16)),
        'u' => return Some(numeric(text, 1, 4, 16)),
        'U' => return Some(numeric(text, 1, 8, 16)),
        '0'..='7' => return Some(numeric(text, 0, 3, 8)),
        _ => return Some((format!("\\{letter}"), behind)),
    };
    Some((single.to_string(), behind))
}

/// An escape of exactly `digits` digits behind `skip` letters; as written where it is no character.
fn numeric(text: &str, skip: usize, digits: usize, radix: u32) -> (String, &str) {
    let as_written = || (format!("\\{}", &text[..1]), &text[1..]);
    let Some(number) = text.get(skip..skip + digits) else { return as_written() };
    // from_str_radix takes a sign as well.
    let all_digits = number.chars().all(|c| c.is_digit(radix));
    match u32::from_str_radix(number, radix).ok().filter(|_| all_digits).and_then(char::from_u32) {
        Some(c) if c != '\0' => (c.to_string(), &text[skip + digits..]),
        _ => as_written(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_hold_a_word_together_and_vanish() {
        for (text, words) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#""some thing" 'an "other"'"#, vec!["some thing", "an \"other\""]),
            (r#"a"b c"d"#, vec!["ab cd"]),
            (r#""" x"#, vec!["", "x"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text).expect("balanced"), words, "{text}");
        }
    }

    #[test]
    fn escapes_are_those_of_c() {
        for (text, word) in [
            (r"one\x20two", "one two"),
            (r"a\sb", "a b"),
            (r"\101\u00e9\U0001f600", "A\u{e9}\u{1f600}"),
            (r"'it\'s' ", "it's"),
            (r"\q\xzz\x4", r"\q\xzz\x4"),
            (r"\+12", r"\+12"),
        ] {
            assert_eq!(split(text).expect("balanced"), [word], "{text}");
        }
    }

    #[test]
    fn an_open_quote_or_a_lone_backslash_is_an_error() {
        for text in ["\"a", "a'", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\\\\"' xuU0-7])*") {
            let _ = split(&text);
        }
    }
}
