//! Keeps secrets out of records: values of secret headers, and credentials in URLs.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::Plan;
use super::tree::{Node, Table, Value};

/// What stands for a secret.
const MASK: &str = "***";
/// Headers that hold secrets, lower case.
const SECRET_HEADERS: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
/// Parts of the names of such headers, lower case.
const SECRET_PARTS: &[&str] = &["token", "secret", "password", "key"];

/// The plan as it is recorded. Its URLs hold no credentials in the first place.
#[must_use]
pub fn masked(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for (name, value) in plan.cohorts.iter_mut().flat_map(|cohort| &mut cohort.target.headers) {
        if is_secret_header(name) {
            MASK.clone_into(value);
        }
    }
    plan
}

/// Whether the value of that header is a secret.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_HEADERS.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Where the secrets of a scenario stand, and what for each is written instead.
///
/// By the text they stand in and their first byte.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeMap<(usize, usize), Secret>);

#[derive(Debug)]
struct Secret {
    span: Range<usize>,
    is_url: bool,
}

impl Secrets {
    /// Finds those of `table` and of the tables in it.
    pub(crate) fn find(&mut self, table: &Table) {
        for entry in table.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("headers", Value::Table(headers)) => self.find_in_headers(headers),
                ("url", _) => self.add(&entry.node, true),
                (_, value) => self.find_in_value(value),
            }
        }
    }

    fn find_in_value(&mut self, value: &Value) {
        match value {
            Value::Table(table) => self.find(table),
            Value::Array(nodes) => nodes.iter().for_each(|node| self.find_in_value(&node.value)),
            _ => {}
        }
    }

    fn find_in_headers(&mut self, headers: &Table) {
        for header in headers.entries().iter().filter(|header| is_secret_header(&header.key)) {
            self.add(&header.node, false);
        }
    }

    fn add(&mut self, node: &Node, is_url: bool) {
        let span = node.place.start..node.place.end;
        self.0.insert((node.place.source, span.start), Secret { span, is_url });
    }

    /// `text`, the one of index `source`, without its secrets.
    pub(crate) fn mask(&self, source: usize, text: &str) -> String {
        let mut masked = String::new();
        let mut done = 0;
        for secret in self.0.range((source, 0)..(source + 1, 0)).map(|(_, secret)| secret) {
            let (Some(before), Some(written)) = (text.get(done..secret.span.start), text.get(secret.span.clone()))
            else {
                continue;
            };
            masked.push_str(before);
            masked.push_str(&if secret.is_url { masked_url(written) } else { quoted_mask() });
            done = secret.span.end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked
    }
}

fn quoted_mask() -> String {
    format!("\"{MASK}\"")
}

/// A URL as written, quotes and all, its credentials masked.
fn masked_url(written: &str) -> String {
    let Some((scheme, rest)) = written.split_once("://") else {
        // Written with escapes, or not a URL: nothing of it is safe to show.
        return quoted_mask();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None if rest.contains('\\') => quoted_mask(),
        None => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::tree::parse_document;

    fn mask(text: &str) -> String {
        let (table, errors) = parse_document(text, 0);
        assert!(errors.is_empty(), "{errors:?}");
        let mut secrets = Secrets::default();
        secrets.find(&table);
        secrets.mask(0, text)
    }

    #[test]
    fn secret_headers_are_masked_wherever_they_stand_and_others_are_not() {
        let text = "[target]\nheaders = { Accept = \"a\", authorization = \"hunter2\" }\n[[load]]\nheaders.X-My-Token = 'hunter2'\n";
        let masked =
            "[target]\nheaders = { Accept = \"a\", authorization = \"***\" }\n[[load]]\nheaders.X-My-Token = \"***\"\n";
        assert_eq!(mask(text), masked);
    }

    #[test]
    fn credentials_leave_a_url_and_the_rest_of_it_stays() {
        assert_eq!(mask("url = \"http://u:p@h:80/x@y\""), "url = \"http://***@h:80/x@y\"");
        assert_eq!(mask("url = \"http://h/x@y\""), "url = \"http://h/x@y\"");
        assert_eq!(mask("url = \"http:\\u002f/u:p@h\""), "url = \"***\"");
        assert_eq!(mask("url = \"http://u:p\\u0040h\""), "url = \"***\"");
    }

    #[test]
    fn the_names_of_secret_headers_are_known_in_any_case() {
        for name in ["Authorization", "COOKIE", "X-Api-Key", "My-Secret-Thing", "x-csrf-token", "X-PASSWORD"] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["Accept", "Host", "User-Agent"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_never_stays_in_the_text(before in "[a-z =\"é\n]{0,20}", quote in "[\"']") {
            let comment = before.replace('\n', "\n#");
            let text = format!("#{comment}\nheaders = {{ Cookie = {quote}hunter2{quote} }}\nurl = {quote}http://u:hunter2@h{quote}\n");
            let masked = mask(&text);
            prop_assert!(!masked.contains("hunter2"));
            prop_assert!(masked[1..].starts_with(&comment));
        }
    }
}
