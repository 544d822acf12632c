//! Keeps secrets out of what is recorded and said of a scenario: out of its plan, and out of its text.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{Action, Plan};
use super::tree::{Node, Table, Value};
use crate::secrets::{
    MASK, Secrets, blotted, is_secret_key, masked as masked_text, masked_arguments, masked_header, masked_unit,
};

/// The plan as it is recorded: without secrets, without the folder it lay in, and without the bodies of its requests
/// unless they are to be shown.
#[must_use]
pub fn masked(plan: &Plan, show_bodies: bool) -> Plan {
    let mut plan = plan.clone();
    plan.description = masked_text(&plan.description);
    for target in plan.cohorts.iter_mut().map(|cohort| &mut cohort.target) {
        target.url = masked_text(&target.url);
        target.path = masked_text(&target.path);
        target.headers.iter_mut().for_each(|(name, value)| *value = masked_header(name, value));
        if !target.body.is_empty() && !show_bodies {
            target.body = MASK.into();
        }
        for request in &mut target.requests {
            request.path = masked_text(&request.path);
            request.headers.iter_mut().for_each(|(name, value)| *value = masked_header(name, value));
            if !request.body.is_empty() && !show_bodies {
                request.body = MASK.into();
            }
        }
        if let Some(ca_file) = &mut target.ca_file
            && let Ok(relative) = ca_file.strip_prefix(&plan.directory)
        {
            *ca_file = relative.to_owned();
        }
    }
    if let Some(units) = &mut plan.units {
        units.files.iter_mut().for_each(|file| file.text = masked_unit(&file.text));
        units.prepare.iter_mut().for_each(|argv| *argv = masked_arguments(argv));
    }
    for step in &mut plan.steps {
        match &mut step.action {
            Action::Exec { argv, .. } => *argv = masked_arguments(argv),
            Action::Request { path, .. } => *path = masked_text(path),
            _ => {}
        }
    }
    plan
}

/// Learns the secrets of a plan, so that they can be told wherever else they turn up: in a journal, in what a command
/// prints. The names that its reports are made of are spared.
pub fn learn_plan(secrets: &Secrets, plan: &Plan) {
    for cohort in &plan.cohorts {
        let target = &cohort.target;
        secrets.spare(&cohort.name);
        [&target.url, &target.path].into_iter().for_each(|text| secrets.learn_text(text));
        target.headers.iter().for_each(|(name, value)| secrets.learn_header(name, value));
        secrets.learn_body(&target.body);
        for request in &target.requests {
            secrets.learn_text(&request.path);
            request.headers.iter().for_each(|(name, value)| secrets.learn_header(name, value));
            secrets.learn_body(&request.body);
        }
    }
    if let Some(units) = &plan.units {
        let named = units.files.iter().map(|file| &file.unit).chain(&units.service).chain(&units.socket);
        named.for_each(|unit| [unit.as_str(), unit.stem()].into_iter().for_each(|name| secrets.spare(name)));
        units.files.iter().for_each(|file| secrets.learn_unit(&file.text));
        units.prepare.iter().for_each(|argv| secrets.learn_arguments(argv));
    }
    for step in &plan.steps {
        match &step.action {
            Action::Exec { argv, .. } => secrets.learn_arguments(argv),
            Action::Request { path, .. } => secrets.learn_text(path),
            _ => {}
        }
    }
    secrets.spare(&plan.name);
}

/// Where in the texts of a scenario secrets stand, and what is written for each instead: by the text they stand in and
/// their first byte.
#[derive(Debug, Default)]
pub(crate) struct Places {
    values: BTreeMap<(usize, usize), Place>,
    /// What was found in them.
    secrets: Secrets,
}

#[derive(Debug)]
struct Place {
    span: Range<usize>,
    /// What the string means.
    value: String,
    /// What it means without its secrets.
    shown: String,
    is_body: bool,
}

impl Places {
    /// What was found.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Finds those of `table` and of the tables in it.
    pub(crate) fn find(&mut self, table: &Table) {
        for entry in table.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("headers", Value::Table(headers)) => self.find_in_headers(headers),
                ("body", Value::String(body)) => {
                    self.secrets.learn_body(body.as_bytes());
                    self.add(&entry.node, body, MASK.to_owned(), true);
                }
                ("exec", Value::Array(argv)) => self.find_in_command(argv),
                (key, Value::String(value)) => self.find_in_string(key, &entry.node, value),
                (_, value) => self.find_in_value(value),
            }
        }
    }

    fn find_in_value(&mut self, value: &Value) {
        match value {
            Value::Table(table) => self.find(table),
            Value::Array(nodes) if nodes.iter().any(|node| matches!(node.value, Value::String(_))) => {
                self.find_in_command(nodes);
            }
            Value::Array(nodes) => nodes.iter().for_each(|node| self.find_in_value(&node.value)),
            _ => {}
        }
    }

    fn find_in_headers(&mut self, headers: &Table) {
        for header in headers.entries() {
            let Value::String(value) = &header.node.value else { continue };
            self.secrets.learn_header(&header.key, value);
            self.add(&header.node, value, masked_header(&header.key, value), false);
        }
    }

    fn find_in_string(&mut self, key: &str, node: &Node, value: &str) {
        if is_secret_key(key) {
            self.secrets.keep(value);
            self.add(node, value, MASK.to_owned(), false);
        } else {
            self.secrets.learn_text(value);
            self.add(node, value, masked_text(value), false);
        }
    }

    fn find_in_command(&mut self, argv: &[Node]) {
        let word = |node: &Node| match &node.value {
            Value::String(word) => word.clone(),
            _ => String::new(),
        };
        let words: Vec<String> = argv.iter().map(word).collect();
        self.secrets.learn_arguments(&words);
        for ((node, word), shown) in argv.iter().zip(&words).zip(masked_arguments(&words)) {
            self.add(node, word, shown, false);
        }
    }

    fn add(&mut self, node: &Node, value: &str, shown: String, is_body: bool) {
        if value != shown && !value.is_empty() {
            let span = node.place.start..node.place.end;
            let place = Place { span: span.clone(), value: value.to_owned(), shown, is_body };
            self.values.insert((node.place.source, span.start), place);
        }
    }

    /// `text`, the one of index `source`, without its secrets, and without bodies unless they are to be shown.
    pub(crate) fn mask(&self, source: usize, text: &str, show_bodies: bool) -> String {
        self.with(source, text, masked_text, |place, written| {
            if place.is_body && show_bodies { written.to_owned() } else { place.masked(written) }
        })
    }

    /// `text` with the secrets in it blotted out, so that everything keeps its line and column.
    pub(crate) fn blot(&self, source: usize, text: &str) -> String {
        let blotted = self.with(source, text, blotted, Place::blot);
        self.secrets.blot_known(&blotted)
    }

    fn with(
        &self,
        source: usize,
        text: &str,
        between: impl Fn(&str) -> String,
        instead: impl Fn(&Place, &str) -> String,
    ) -> String {
        let mut shown = String::new();
        let mut done = 0;
        for place in self.values.range((source, 0)..(source + 1, 0)).map(|(_, place)| place) {
            let (Some(before), Some(written)) = (text.get(done..place.span.start), text.get(place.span.clone())) else {
                continue;
            };
            shown.push_str(&between(before));
            shown.push_str(&instead(place, written));
            done = place.span.end;
        }
        shown + &between(text.get(done..).unwrap_or_default())
    }
}

impl Place {
    /// The string as written, with what is secret of it blotted out: all of it, where more than the text itself tells.
    fn blot(&self, written: &str) -> String {
        let inner = written.trim_matches(['"', '\'']);
        let start = written.find(inner).unwrap_or_default();
        let blotted = if inner == self.value && masked_text(inner) == self.shown {
            blotted(inner)
        } else {
            inner.chars().map(|c| if c == '\n' { c } else { '*' }).collect()
        };
        [&written[..start], &blotted, &written[start + inner.len()..]].concat()
    }

    /// The string without its secrets, in the quotes it was written in where it can be.
    fn masked(&self, written: &str) -> String {
        let inner = written.trim_matches(['"', '\'']);
        let quotes = (written.len() - inner.len()) / 2;
        if inner == self.value && !self.shown.contains(['"', '\'', '\\', '\n']) {
            return [&written[..quotes], &self.shown, &written[written.len() - quotes..]].concat();
        }
        toml::Value::from(self.shown.as_str()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::tree::parse_document;

    fn places(text: &str) -> Places {
        let (table, errors) = parse_document(text, 0);
        assert!(errors.is_empty(), "{errors:?}");
        let mut places = Places::default();
        places.find(&table);
        places
    }

    fn mask(text: &str) -> String {
        let places = places(text);
        assert_eq!(places.blot(0, text).chars().count(), text.chars().count(), "{text}");
        places.mask(0, text, false)
    }

    #[test]
    fn secret_headers_are_masked_wherever_they_stand_and_others_are_not() {
        let text = "[target]\nheaders = { Accept = \"a\", authorization = \"hunter2\" }\n[[load]]\nheaders.X-My-Token = 'hunter2'\n";
        let masked =
            "[target]\nheaders = { Accept = \"a\", authorization = \"***\" }\n[[load]]\nheaders.X-My-Token = '***'\n";
        assert_eq!(mask(text), masked);
        assert_eq!(mask("headers = { X-Custom = \"Bearer hunter2-x\" }"), "headers = { X-Custom = \"***\" }");
    }

    #[test]
    fn credentials_leave_a_url_and_the_rest_of_it_stays() {
        assert_eq!(mask("url = \"http://u:p@h:80/x@y\""), "url = \"http://***@h:80/x@y\"");
        assert_eq!(mask("url = \"http://h/x@y\""), "url = \"http://h/x@y\"");
        assert_eq!(mask("url = \"http:\\u002f/u:p@h\""), "url = \"http://***@h\"");
        assert_eq!(mask("url = \"http://u:p\\u0040h\""), "url = \"http://***@h\"");
    }

    #[test]
    fn credentials_leave_the_query_of_a_url_and_of_a_path() {
        assert_eq!(mask("url = \"http://u:p@h/?token=x&a=b\""), "url = \"http://***@h/?token=***&a=b\"");
        assert_eq!(mask("url = 'http://h/?a=b&key=x'\n"), "url = 'http://h/?a=b&key=***'\n");
        assert_eq!(mask("[[load]]\npath = \"/?key=x\""), "[[load]]\npath = \"/?key=***\"");
        assert_eq!(mask("[[steps]]\nrequest = { path = '/?sid=x' }"), "[[steps]]\nrequest = { path = '/?sid=***' }");
        assert_eq!(mask("path = \"/?k\\u0065y=x\""), "path = \"/?key=***\"");
    }

    #[test]
    fn credentials_leave_a_command_and_the_rest_of_it_stays() {
        let text =
            "prepare = [[\"a\", \"--token\", 'hunter2']]\n[[steps]]\nexec = [\"b\", \"X_SECRET=hunter2\", 'c']\n";
        let masked = "prepare = [[\"a\", \"--token\", '***']]\n[[steps]]\nexec = [\"b\", \"X_SECRET=***\", 'c']\n";
        assert_eq!(mask(text), masked);
    }

    #[test]
    fn a_body_is_shown_whole_or_not_at_all() {
        let text = "body = '{\"password\":\"hunter2\",\"a\":1}'\nurl = 'http://u:p@h'\n";
        assert_eq!(mask(text), "body = '***'\nurl = 'http://***@h'\n");
        let shown = places(text).mask(0, text, true);
        assert_eq!(shown, "body = '{\"password\":\"hunter2\",\"a\":1}'\nurl = 'http://***@h'\n");
    }

    #[test]
    fn comments_and_unknown_keys_lose_their_secrets() {
        assert_eq!(mask("# was: token=hunter2\na = 1\n"), "# was: token=***\na = 1\n");
        assert_eq!(mask("api_token = 'hunter2'\n"), "api_token = '***'\n");
    }

    proptest! {
        #[test]
        fn a_secret_never_stays_in_the_text(before in "[a-z =\"é\n]{0,20}", quote in "[\"']") {
            let comment = before.replace('\n', "\n#");
            let text = format!("#{comment}\nheaders = {{ Cookie = {quote}hunter2{quote} }}\nurl = {quote}http://u:hunter2@h{quote}\n");
            let masked = mask(&text);
            prop_assert!(!masked.contains("hunter2"));
            prop_assert!(!places(&text).blot(0, &text).contains("hunter2"));
        }
    }
}
