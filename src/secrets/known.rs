//! The secrets that are known, so that each is masked wherever it turns up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::arguments::pieces;
use super::find::{Finder, Kind, blot, masked};
use super::{MASK, shape};

/// The maximum number of known secrets: a list that is longer is not a list of secrets.
const MOST: usize = 4096;

/// A longer value is a text, not a secret.
const LONGEST_BYTES: usize = 16 << 10;

/// What is known to be secret. A handle: clones know the same, whenever one of them learns it.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    /// The longest first, so that no part of one is left over.
    values: BTreeMap<(Reverse<usize>, String), Within>,
    /// Words that the report is made of, and that are not masked though they be somebody's password.
    spared: BTreeSet<String>,
}

/// Where a known secret is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Anywhere.
    Anything,
    /// Only by itself: it is short, or could be a part of a word.
    NoWord,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Keeps that value secret from now on, in each form that it is written in: as it is, percent-encoded, in base64, as
    /// a string of JSON. One that says too little to be told, such as `true`, is not looked for.
    pub fn keep(&self, value: &str) {
        let value = value.trim();
        if value.len() > LONGEST_BYTES || shape::is_ordinary(value) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms(value) {
            known.add(form);
        }
    }

    /// The same for a value that its owner says is one, be it an ordinary word. A port, an address or a path is none, and
    /// what is shorter than a word would be found in every other.
    pub fn keep_declared(&self, value: &str) {
        let value = value.trim();
        self.keep(value);
        if shape::is_telling(value) && value.len() <= LONGEST_BYTES {
            self.0.write().unwrap_or_else(PoisonError::into_inner).add(value.to_owned());
        }
    }

    /// The same for a value that nothing calls a secret, if it looks like one.
    pub fn suspect(&self, value: &str) {
        if shape::looks_secret(value.trim()) {
            self.keep(value);
        }
    }

    /// Learns the secrets in a text from anywhere.
    pub fn learn_text(&self, text: &str) {
        let mut finder = Finder::default();
        finder.in_text(text);
        self.learn(&finder);
    }

    /// Learns the secrets in a command.
    pub fn learn_arguments(&self, argv: &[String]) {
        let mut finder = Finder::default();
        finder.in_words(&pieces(argv).0, 0);
        self.learn(&finder);
    }

    /// Learns the value of a header that is a secret.
    pub fn learn_header(&self, name: &str, value: &str) {
        if super::find::is_secret_value_of(name, value) {
            self.keep_header(value);
        }
    }

    pub(super) fn learn(&self, finder: &Finder) {
        for (kind, value) in finder.values() {
            match kind {
                Kind::Value => self.keep(value),
                Kind::User => self.keep_user(value),
                Kind::Header => self.keep_header(value),
            }
        }
    }

    /// `user:password`, as it stands in a URL or an option.
    fn keep_user(&self, user: &str) {
        let decoded = percent_decoded(user);
        for user in [user, decoded.as_str()] {
            match user.split_once(':') {
                Some((_, password)) if !password.is_empty() => self.keep(password),
                Some((name, _)) => self.keep(name),
                None => self.keep(user),
            }
            // What Basic makes of it.
            let pair = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
            self.keep(&STANDARD.encode(&pair));
            self.keep(&URL_SAFE_NO_PAD.encode(&pair));
        }
    }

    /// A scheme and its credentials, the pairs of a cookie, or one value.
    fn keep_header(&self, value: &str) {
        self.keep(value);
        let value = value.trim().trim_matches(['"', '\'']);
        if let Some((_, credentials)) = value.split_once(' ').filter(|(scheme, _)| scheme.len() < 20) {
            let credentials = credentials.trim();
            self.keep(credentials);
            if let Ok(Ok(user)) = STANDARD.decode(credentials).map(String::from_utf8) {
                self.keep_user(&user);
            }
        }
        for part in value.split([';', ',', ' ']) {
            let (_, part) = part.split_once('=').unwrap_or(("", part));
            self.suspect(part.trim_matches('"'));
        }
    }

    /// Does not mask that word wherever it turns up: a unit or a cohort is called so.
    pub fn spare(&self, word: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).spared.insert(word.to_owned());
    }

    /// Learns all that others know.
    pub fn learn_from(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let theirs = other.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut ours = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ours.values.extend(theirs.values.iter().map(|(value, within)| (value.clone(), *within)));
        ours.spared.extend(theirs.spared.iter().cloned());
    }

    /// A text from elsewhere without the secrets in it: those that stand where secrets stand, and those that are known.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.hide_known(&masked(text))
    }

    /// Our own words without the secrets that are known: what they quote may hold some.
    #[must_use]
    pub fn hide_known(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut hidden = text.to_owned();
        for ((_, value), within) in &known.values {
            if hidden.contains(value.as_str()) && !known.spared.contains(value) {
                hidden = replaced(&hidden, value, *within, MASK);
            }
        }
        hidden
    }

    /// As [`Self::hide_known`], with each character of a secret blotted out, so that everything keeps its line and column.
    #[must_use]
    pub(crate) fn blot_known(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut hidden = text.to_owned();
        for ((_, value), within) in &known.values {
            if hidden.contains(value.as_str()) && !known.spared.contains(value) {
                hidden = replaced(&hidden, value, *within, &blot(value));
            }
        }
        hidden
    }
}

impl Known {
    fn add(&mut self, value: String) {
        let is_plain = value.chars().all(|c| c.is_ascii_lowercase()) || value.chars().all(|c| c.is_ascii_digit());
        let within = if is_plain || value.len() < 8 { Within::NoWord } else { Within::Anything };
        if self.values.len() < MOST {
            self.values.insert((Reverse(value.len()), value), within);
        }
    }
}

/// `text` with `by` for each `value` in it.
fn replaced(text: &str, value: &str, within: Within, by: &str) -> String {
    if within == Within::Anything {
        return text.replace(value, by);
    }
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for (at, found) in text.match_indices(value) {
        let end = at + found.len();
        let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if !is_part(text[..at].chars().next_back()) && !is_part(text[end..].chars().next()) {
            shown.push_str(&text[done..at]);
            shown.push_str(by);
            done = end;
        }
    }
    shown + &text[done..]
}

/// The forms that a value is written in.
fn forms(value: &str) -> BTreeSet<String> {
    let decoded = percent_decoded(value);
    let mut forms = BTreeSet::new();
    for value in [value, decoded.as_str()].into_iter().filter(|value| !shape::is_ordinary(value)) {
        let upper = percent_encoded(value);
        forms.extend([value.to_owned(), in_lower_case(&upper), upper.replace("%20", "+"), upper]);
        forms.extend([STANDARD.encode(value), STANDARD_NO_PAD.encode(value)]);
        forms.extend([URL_SAFE.encode(value), URL_SAFE_NO_PAD.encode(value)]);
        let json = serde_json::Value::from(value).to_string();
        forms.insert(json.trim_matches('"').to_owned());
        forms.insert(value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    }
    forms.retain(|form| !shape::is_ordinary(form));
    forms
}

/// RFC 3986, 2.1: everything but what is unreserved.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The same text with the digits of its escapes in lower case: `%2f`.
fn in_lower_case(encoded: &str) -> String {
    let pieces = encoded.split('%').enumerate().map(|(place, piece)| match piece.split_at_checked(2) {
        Some((digits, rest)) if place > 0 => digits.to_ascii_lowercase() + rest,
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("%")
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(text: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.learn_text(text);
        secrets
    }

    #[test]
    fn a_secret_is_known_in_every_form_it_is_written_in() {
        let secrets = knowing("password='p&ss/w0rd é'");
        for form in ["p&ss/w0rd é", "p%26ss%2Fw0rd%20%C3%A9", "p%26ss%2fw0rd%20%c3%a9", "p&amp;ss/w0rd é"] {
            assert_eq!(secrets.hide(&format!("got {form}.")), "got ***.");
        }
        assert_eq!(secrets.hide(&format!("got {}", STANDARD.encode("p&ss/w0rd é"))), "got ***");
    }

    #[test]
    fn what_basic_makes_of_a_user_is_known_and_the_other_way_round() {
        let basic = STANDARD.encode("user:hunter2-x");
        assert_eq!(knowing("http://user:hunter2-x@h/").hide_known(&format!("saw {basic}")), "saw ***");
        let secrets = Secrets::default();
        secrets.learn_header("Authorization", &format!("Basic {basic}"));
        assert_eq!(secrets.hide_known("user hunter2-x"), "user ***");
    }

    #[test]
    fn the_parts_of_a_header_are_known() {
        let secrets = Secrets::default();
        secrets.learn_header("Cookie", "theme=dark; sid=abc12345def; lang=en");
        assert_eq!(secrets.hide_known("sid abc12345def, theme dark"), "sid ***, theme dark");
    }

    #[test]
    fn ordinary_words_are_not_masked_throughout_whoever_uses_them_as_a_password() {
        let secrets = knowing("--password true --token 1 --secret localhost --pass 8080 API_KEY=production PIN=12345");
        let text = "true, 1, localhost:8080 in production, port 12345";
        assert_eq!(secrets.hide_known(text), text);
    }

    #[test]
    fn a_short_secret_is_no_part_of_a_word_and_a_spared_word_is_none() {
        let secrets = knowing("--password hunter2 --token ledger-api7");
        secrets.spare("ledger-api7");
        assert_eq!(secrets.hide_known("hunter2, hunter22, (hunter2)"), "***, hunter22, (***)");
        assert_eq!(secrets.hide_known("restart ledger-api7"), "restart ledger-api7");
    }

    #[test]
    fn a_clone_knows_what_is_learned_later() {
        let secrets = Secrets::default();
        let clone = secrets.clone();
        secrets.keep("hunter2-later");
        assert_eq!(clone.hide_known("hunter2-later"), "***");
        assert!(!format!("{clone:?}").contains("hunter2"));
    }

    #[test]
    fn the_fields_of_a_body_are_known() {
        let secrets = Secrets::default();
        secrets.learn_body(br#"{"user":"bob","login":{"password":"body-SECRET20"},"pins":[{"pin":87654321}]}"#);
        secrets.learn_body(b"user=bob&passwd=form-SECRET21");
        secrets.learn_body(b"AUTH default redis-SECRET22\r\n");
        let shown = "bob body-SECRET20 87654321 form-SECRET21 redis-SECRET22";
        assert_eq!(secrets.hide_known(shown), "bob *** *** *** ***");
    }
}
