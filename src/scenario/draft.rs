//! The text of a scenario for units that are there: what `init` writes and `try` runs.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::schema;
use crate::model::UnitName;
use crate::visible::{escape, is_unsafe};

/// What a scenario is written from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub name: String,
    /// The URL, and why it is this one.
    pub url: (String, String),
    /// The Unix socket to connect to instead of the URL's host.
    pub unix: Option<PathBuf>,
    /// Such as `2xx`; none for bytes over TCP.
    pub expect_status: Vec<String>,
    pub body: Option<String>,
    /// A regular expression that what comes back must match.
    pub expect_body: Option<String>,
    pub service: Option<UnitName>,
    /// The socket in front of it.
    pub socket: Option<UnitName>,
    /// Requests per second on kept connections and on new ones.
    pub rates: (f64, f64),
    /// At most so many kept connections.
    pub connections: u32,
    pub insecure: bool,
    /// A proxy in front of the service listens at the URL.
    pub front: bool,
    pub step: DraftStep,
    /// `[run] max_unseen`, where it is not the default.
    pub max_unseen: Option<String>,
    /// What limits the run, one sentence each.
    pub notes: Vec<String>,
}

/// The one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftStep {
    /// The action's key, such as `restart`.
    pub action: &'static str,
    /// `service` or `socket`.
    pub role: &'static str,
    pub signal: Option<String>,
    pub times: u32,
    /// Start to start, such as `3s`.
    pub every: String,
}

impl Draft {
    /// The scenario as TOML with comments.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let step = &self.step;
        let acted_on = if step.role == "socket" { &self.socket } else { &self.service };
        let unit = acted_on.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "# {} of {unit} under load. It runs as it is: gapless run FILE", step.action)?;
        writeln!(out, "name = {}", quoted(&self.name))?;
        writeln!(out, "description = {}\n", quoted(&format!("{} of {unit} under load", step.action)))?;
        self.write_target(out)?;
        self.write_load(out)?;
        writeln!(out, "# The units are there already: they are taken as they are found, and left so.\n[units]")?;
        for (role, unit) in [("service", &self.service), ("socket", &self.socket)] {
            if let Some(unit) = unit {
                writeln!(out, "{role} = {}", quoted(unit.as_str()))?;
            }
        }
        writeln!(out)?;
        if let Some(max_unseen) = &self.max_unseen {
            writeln!(out, "[run]\nmax_unseen = {}\n", quoted(max_unseen))?;
        }
        for note in &self.notes {
            writeln!(out, "# {}", escape(note))?;
        }
        writeln!(out, "[[steps]]\n{} = {}", step.action, quoted(step.role))?;
        if let Some(signal) = &step.signal {
            writeln!(out, "signal = {}", quoted(signal))?;
        }
        writeln!(out, "times = {}\nevery = {} # {}\n", step.times, quoted(&step.every), meaning("steps", "every"))?;
        writeln!(out, "[expect]")?;
        for key in ["dropped", "wrong"] {
            writeln!(out, "{key} = 0 # {}", meaning("expect", key))?;
        }
        writeln!(out, "# p99 = \"500ms\" # how long users may wait, restarts included")
    }

    fn write_target(&self, out: &mut String) -> std::fmt::Result {
        let (url, reason) = &self.url;
        writeln!(out, "[target]\n# {}\nurl = {}", escape(reason), quoted(url))?;
        if let Some(path) = &self.unix {
            writeln!(out, "unix = {}", quoted(&path.display().to_string()))?;
        }
        if !self.expect_status.is_empty() {
            let statuses: Vec<String> = self.expect_status.iter().map(|status| quoted(status)).collect();
            writeln!(out, "expect_status = [{}]", statuses.join(", "))?;
        }
        if self.insecure {
            writeln!(
                out,
                "insecure = true # its certificate is not checked; name its CA as ca_file to have it checked"
            )?;
        }
        if let Some(body) = &self.body {
            writeln!(out, "body = {}", quoted(body))?;
        }
        if let Some(pattern) = &self.expect_body {
            writeln!(out, "expect_body = {} # {}", quoted(pattern), meaning("target", "expect_body"))?;
        }
        if self.front {
            writeln!(out, "front = true # {}", meaning("target", "front"))?;
        }
        writeln!(out, "timeout = \"10s\" # {}\n", meaning("target", "timeout"))
    }

    fn write_load(&self, out: &mut String) -> std::fmt::Result {
        let (kept, new) = self.rates;
        if !self.expect_status.is_empty() {
            writeln!(out, "# Clients that keep their connections, as a proxy does.\n[[load]]\nname = \"keep-alive\"")?;
            writeln!(
                out,
                "rate = {kept} # {}\nreuse = true\nconnections = {}\n",
                meaning("load", "rate"),
                self.connections
            )?;
        }
        writeln!(
            out,
            "# Clients that connect for every request: they see a listener that is gone.\n[[load]]\nname = \"new\""
        )?;
        writeln!(out, "rate = {new}\nreuse = false\n")
    }
}

/// The first sentence of what a key is declared to mean.
fn meaning(table: &str, key: &str) -> &'static str {
    let tables = schema::keys();
    let declared = tables.iter().find(|declared| declared.name == table);
    let doc = declared.and_then(|table| table.keys.iter().find(|declared| declared.name == key)).map(|key| key.doc);
    let doc = doc.unwrap_or_default();
    doc.find(". ").map_or(doc, |end| &doc[..=end])
}

/// A TOML string, nothing in which a terminal would obey.
fn quoted(text: &str) -> String {
    if !text.contains(is_unsafe) {
        return toml::Value::String(text.to_owned()).to_string();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_unsafe(c) => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::load_text;

    fn draft() -> Draft {
        Draft {
            name: "ledger-api".to_owned(),
            url: ("http://127.0.0.1:8008/health".to_owned(), "GET /health answered 200.".to_owned()),
            unix: None,
            expect_status: vec!["2xx".to_owned()],
            body: None,
            expect_body: None,
            service: Some(UnitName::new("ledger-api.service").unwrap()),
            socket: Some(UnitName::new("ledger-api.socket").unwrap()),
            rates: (200.0, 50.0),
            connections: 16,
            insecure: false,
            front: false,
            max_unseen: None,
            step: DraftStep { action: "restart", role: "service", signal: None, times: 5, every: "3s".to_owned() },
            notes: vec!["5 starts in 10 s are allowed.".to_owned()],
        }
    }

    fn parsed(draft: &Draft) -> crate::scenario::Scenario {
        let loaded = load_text("draft.toml", &draft.text(), Path::new("/"));
        loaded.unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false, 100)))
    }

    #[test]
    fn what_is_written_is_a_scenario() {
        insta::assert_snapshot!(draft().text());
        let plan = parsed(&draft()).plan;
        assert_eq!((plan.name.as_str(), plan.cohorts.len(), plan.steps[0].times), ("ledger-api", 2, 5));
    }

    #[test]
    fn every_form_of_it_is_a_scenario() {
        let unix = Draft { unix: Some("/run/a \"b\".sock".into()), socket: None, ..draft() };
        assert_eq!(
            parsed(&unix).plan.cohorts[0].target.connect,
            crate::scenario::plan::Destination::Unix("/run/a \"b\".sock".into())
        );
        let url = ("tcp://127.0.0.1:9".to_owned(), "It does not speak HTTP.".to_owned());
        assert_eq!(parsed(&Draft { url, expect_status: Vec::new(), ..draft() }).plan.cohorts.len(), 1);
        let url = ("tcp://127.0.0.1:9".to_owned(), "As it was given.".to_owned());
        let [body, expect_body] = ["PING \"a\"\r\n", "^\\+PONG"].map(|text| Some(text.to_owned()));
        let said = parsed(&Draft { url, expect_status: Vec::new(), body, expect_body, ..draft() })
            .plan
            .cohorts
            .remove(0)
            .target;
        assert_eq!((said.body.as_slice(), said.expect_body.as_deref()), (&b"PING \"a\"\r\n"[..], Some("^\\+PONG")));
        let step = DraftStep { action: "kill", signal: Some("KILL".to_owned()), ..draft().step };
        assert_eq!(parsed(&Draft { step, ..draft() }).plan.steps.len(), 1);
        let step = DraftStep { role: "socket", ..draft().step };
        assert_eq!(parsed(&Draft { step, service: None, rates: (0.5, 1.0), ..draft() }).plan.steps.len(), 1);
    }
}
