//! Pages of section 5 of the manual, from the JSON Schema of a format: what is declared of a key is told once.

use std::collections::BTreeSet;

use roff::{Inline, Roff, bold, italic, roman};
use serde_json::Value;

/// The page about a format.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    /// Of the page: `gapless-scenario`.
    pub name: &'a str,
    /// In a few words.
    pub about: &'a str,
    /// The page that tells how it is used.
    pub see_also: &'a str,
    /// Tables are TOML's, `[target]`, instead of objects.
    pub is_toml: bool,
}

/// The page as roff.
#[must_use]
pub fn page(format: Format<'_>, schema: &Value) -> Vec<u8> {
    let mut page = Page { format, schema, roff: Roff::new(), told: BTreeSet::new() };
    let title = format.name.to_uppercase();
    page.roff.control("TH", [title.as_str(), "5", "", concat!("gapless ", env!("CARGO_PKG_VERSION")), "gapless"]);
    page.roff.control("SH", ["NAME"]);
    page.roff.text([roman(format!("{} - {}", format.name, format.about))]);
    if let Some(description) = schema["description"].as_str() {
        page.roff.control("SH", ["DESCRIPTION"]);
        page.roff.text(marked(description));
    }
    page.table("", if format.is_toml { "TOP LEVEL" } else { "THE OBJECT" }, schema);
    page.roff.control("SH", ["SEE ALSO"]);
    page.roff.text([bold(format.see_also), roman("(1)")]);
    page.roff.render().into_bytes()
}

struct Page<'a> {
    format: Format<'a>,
    schema: &'a Value,
    roff: Roff,
    /// Definitions that have a section already.
    told: BTreeSet<String>,
}

impl<'a> Page<'a> {
    /// A section for a table, and those of the tables within it.
    fn table(&mut self, path: &str, heading: &str, table: &'a Value) {
        let Some(properties) = table["properties"].as_object() else { return };
        self.roff.control("SH", [heading]);
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, value) in properties {
            self.roff.control("TP", []);
            let mut head = vec![bold(name.as_str())];
            let kind = self.kind(value);
            if !kind.is_empty() {
                head.extend([roman(" "), italic(kind)]);
            }
            if self.format.is_toml && required.contains(&name.as_str()) {
                head.push(roman(" (required)"));
            }
            self.roff.text(head);
            let mut text = value["description"].as_str().map(marked).unwrap_or_default();
            if let Some(default) = value.get("default") {
                text.push(roman(format!(" [default: {}]", plain(default))));
            }
            self.roff.text(text);
        }
        for (name, value) in properties {
            self.within(path, name, value);
        }
    }

    /// The sections of the tables that a value holds.
    fn within(&mut self, path: &str, name: &str, value: &'a Value) {
        let (value, is_array) = value.get("items").map_or((value, false), |items| (items, true));
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for value in std::iter::once(value).chain(value["anyOf"].as_array().into_iter().flatten()) {
            if let Some(definition) = definition_name(value) {
                if self.told.insert(definition.to_owned()) {
                    self.table("", definition, &self.schema["$defs"][definition]);
                }
                continue;
            }
            let heading = match (self.format.is_toml, is_array) {
                (true, true) => format!("[[{path}]]"),
                (true, false) => format!("[{path}]"),
                (false, _) => path.clone(),
            };
            self.table(&path, &heading, value);
        }
    }

    /// What kind of value it is, in a few words.
    fn kind(&self, value: &Value) -> String {
        if let Some(definition) = definition_name(value) {
            let defined = &self.schema["$defs"][definition];
            return if defined.get("properties").is_some() { definition.to_owned() } else { self.kind(defined) };
        }
        let alternatives = value["anyOf"].as_array().or_else(|| value["oneOf"].as_array());
        if let Some(words) = value["enum"].as_array() {
            return words.iter().map(plain).collect::<Vec<_>>().join(" | ");
        }
        if let Some(alternatives) = alternatives {
            let kinds = alternatives.iter().map(|value| self.kind(value));
            return kinds.filter(|kind| !kind.is_empty()).collect::<Vec<_>>().join(" | ");
        }
        if let Some(word) = value.get("const") {
            return plain(word);
        }
        match &value["type"] {
            Value::String(kind) if kind == "array" => format!("array of {}", self.kind(&value["items"])),
            Value::String(kind) if kind == "object" && self.format.is_toml => "table".to_owned(),
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.iter().map(plain).collect::<Vec<_>>().join(" | "),
            _ => String::new(),
        }
    }
}

fn definition_name(value: &Value) -> Option<&str> {
    value["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text with its `code` in bold.
fn marked(text: &str) -> Vec<Inline> {
    let part = |(place, part): (usize, &str)| if place % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Key;
    use crate::scenario::schema::{keys, schema};

    #[test]
    fn every_key_of_a_scenario_is_on_the_page_with_its_default() {
        fn assert_told(page: &str, keys: &[Key]) {
            for key in keys {
                assert!(page.contains(&format!("\\fB{}\\fR", key.name)), "{} is missing", key.name);
                assert_told(page, &key.keys);
            }
        }
        let format = Format { name: "x", about: "x", see_also: "x", is_toml: true };
        let page = String::from_utf8(page(format, &schema())).expect("UTF-8");
        assert_told(&page, &keys());
        assert!(page.contains("[default: GET]"), "{page}");
    }
}
