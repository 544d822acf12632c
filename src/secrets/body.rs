//! Secrets in the bodies of requests: in fields of JSON, of forms, of XML, and of protocols that log in by a line.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value;

use super::known::Secrets;
use super::name::is_secret_parameter;

/// How Redis, FTP, POP and SMTP log in.
static LOGIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?im)^(?:AUTH|PASS|LOGIN)[ \t]+(?:\S+[ \t]+)?(\S+)[ \t\r]*$").ok());

impl Secrets {
    /// Learns what a body tells: the values of its fields, those for certain that are called like secrets.
    pub fn learn_body(&self, body: &[u8]) {
        let Ok(text) = std::str::from_utf8(body) else { return };
        match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => self.learn_json("", &value),
            _ => self.learn_plain(text),
        }
        self.learn_text(text);
    }

    fn learn_json(&self, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.learn_json(name, value)),
            Value::Array(values) => values.iter().for_each(|value| self.learn_json(name, value)),
            Value::String(text) => self.learn_field(name, text),
            Value::Number(number) if is_secret_parameter(name) => self.keep(&number.to_string()),
            _ => {}
        }
    }

    fn learn_plain(&self, text: &str) {
        for field in text.split(['&', ';', '\n']) {
            match field.split_once('=') {
                Some((name, value)) => self.learn_field(name.trim(), value.trim()),
                None => self.suspect(field.trim()),
            }
        }
        let logins = LOGIN.iter().flat_map(|login| login.captures_iter(text));
        logins.filter_map(|captures| captures.get(1)).for_each(|found| self.keep(found.as_str()));
    }

    fn learn_field(&self, name: &str, value: &str) {
        if is_secret_parameter(name) { self.keep(value) } else { self.suspect(value) }
    }
}
