//! Keeps secrets out of records: values of secret headers, credentials in URLs, their queries and in commands, and what
//! unit files put into the environment.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{Action, Plan};
use super::tree::{Node, Table, Value};

mod arguments;
mod query;
mod unit_text;

pub use self::arguments::masked_arguments;
use self::arguments::secrets_in;
use self::query::{masked_query, secrets_in_query};

/// What stands for a secret.
const MASK: &str = "***";
/// Headers that hold secrets, lower case.
const SECRET_HEADERS: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
/// Parts of the names of such headers, lower case.
const SECRET_PARTS: &[&str] = &["token", "secret", "password", "key"];

/// The plan as it is recorded: without secrets, and without the folder it lay in. Its URLs hold no users in the first
/// place.
#[must_use]
pub fn masked(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for target in plan.cohorts.iter_mut().map(|cohort| &mut cohort.target) {
        target.url = masked_query(&target.url);
        target.path = masked_query(&target.path);
        for (_, value) in target.headers.iter_mut().filter(|(name, _)| is_secret_header(name)) {
            MASK.clone_into(value);
        }
        if let Some(ca_file) = &mut target.ca_file
            && let Ok(relative) = ca_file.strip_prefix(&plan.directory)
        {
            *ca_file = relative.to_owned();
        }
    }
    if let Some(units) = &mut plan.units {
        units.files.iter_mut().for_each(|file| file.text = unit_text::masked(&file.text));
        units.prepare.iter_mut().for_each(|argv| *argv = masked_arguments(argv));
    }
    for step in &mut plan.steps {
        match &mut step.action {
            Action::Exec { argv, .. } => *argv = masked_arguments(argv),
            Action::Request { path, .. } => *path = masked_query(path),
            _ => {}
        }
    }
    plan
}

/// The secrets that are known by their place, so that they can be told wherever else they turn up: in a journal, in
/// what a command prints.
#[must_use]
pub fn secrets(plan: &Plan) -> Vec<String> {
    let headers = plan.cohorts.iter().flat_map(|cohort| &cohort.target.headers);
    let of_headers = headers.filter(|(name, _)| is_secret_header(name)).map(|(_, value)| value.clone());
    let files = plan.units.iter().flat_map(|units| &units.files);
    let of_files = files.flat_map(|file| unit_text::secrets(&file.text));
    let commands = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Exec { argv, .. } => Some(argv),
        _ => None,
    });
    let of_commands = commands.flat_map(|argv| secrets_in(argv)).map(str::to_owned);
    let paths = plan.cohorts.iter().map(|cohort| &cohort.target.path);
    let of_queries = paths.flat_map(|path| secrets_in_query(path)).map(str::to_owned);
    of_headers.chain(of_files).chain(of_commands).chain(of_queries).collect()
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
    shown: Shown,
}

/// What is written for a secret.
#[derive(Debug)]
enum Shown {
    /// The mask alone.
    Mask,
    /// The URL without its credentials.
    Url,
    /// The path and query without theirs.
    Path,
    /// This text.
    Text(String),
}

impl Secrets {
    /// Finds those of `table` and of the tables in it.
    pub(crate) fn find(&mut self, table: &Table) {
        for entry in table.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("headers", Value::Table(headers)) => self.find_in_headers(headers),
                ("url", _) => self.add(&entry.node, Shown::Url),
                ("path", Value::String(_)) => self.add(&entry.node, Shown::Path),
                ("exec", Value::Array(argv)) => self.find_in_command(argv),
                ("prepare", Value::Array(commands)) => {
                    for command in commands {
                        if let Value::Array(argv) = &command.value {
                            self.find_in_command(argv);
                        }
                    }
                }
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
            self.add(&header.node, Shown::Mask);
        }
    }

    fn find_in_command(&mut self, argv: &[Node]) {
        let word = |node: &Node| match &node.value {
            Value::String(word) => word.clone(),
            _ => String::new(),
        };
        let words: Vec<String> = argv.iter().map(word).collect();
        for ((node, word), shown) in argv.iter().zip(&words).zip(masked_arguments(&words)) {
            if *word != shown {
                self.add(node, Shown::Text(quoted(&shown)));
            }
        }
    }

    fn add(&mut self, node: &Node, shown: Shown) {
        let span = node.place.start..node.place.end;
        self.0.insert((node.place.source, span.start), Secret { span, shown });
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
            masked.push_str(&match &secret.shown {
                Shown::Mask => quoted(MASK),
                Shown::Url => masked_url(written),
                Shown::Path => masked_path(written),
                Shown::Text(text) => text.clone(),
            });
            done = secret.span.end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked
    }
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A URL as written, quotes and all, its credentials masked.
fn masked_url(written: &str) -> String {
    let Some((scheme, rest)) = written.split_once("://") else {
        // Written with escapes, or not a URL: nothing of it is safe to show.
        return quoted(MASK);
    };
    if rest.contains('\\') {
        return quoted(MASK);
    }
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let rest = masked_path(rest);
    match rest[..authority.min(rest.len())].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None => format!("{scheme}://{rest}"),
    }
}

/// A path and its query as written, with the quotes behind it, its credentials masked.
fn masked_path(written: &str) -> String {
    if written.contains('\\') && written.contains('?') {
        return quoted(MASK);
    }
    let text = written.trim_end_matches(['"', '\'']);
    masked_query(text) + &written[text.len()..]
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
    fn credentials_leave_the_query_of_a_url_and_of_a_path() {
        assert_eq!(mask("url = \"http://u:p@h/?token=x&a=b\""), "url = \"http://***@h/?token=***&a=b\"");
        assert_eq!(mask("url = 'http://h/?a=b&key=x'\n"), "url = 'http://h/?a=b&key=***'\n");
        assert_eq!(mask("[[load]]\npath = \"/?key=x\""), "[[load]]\npath = \"/?key=***\"");
        assert_eq!(mask("[[steps]]\nrequest = { path = '/?sid=x' }"), "[[steps]]\nrequest = { path = '/?sid=***' }");
        assert_eq!(mask("path = \"/?k\\u0065y=x\""), "path = \"***\"");
    }

    #[test]
    fn credentials_leave_a_command_and_the_rest_of_it_stays() {
        let text =
            "prepare = [[\"a\", \"--token\", 'hunter2']]\n[[steps]]\nexec = [\"b\", \"X_SECRET=hunter2\", 'c']\n";
        let masked = "prepare = [[\"a\", \"--token\", \"***\"]]\n[[steps]]\nexec = [\"b\", \"X_SECRET=***\", 'c']\n";
        assert_eq!(mask(text), masked);
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
