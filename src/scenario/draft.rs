//! The text of a scenario for units that are there: what `init` writes and `try` runs.

use std::fmt::Write as _;

use toml::Value;

use super::plan::{Connections, Pace};
use super::schema;
use crate::model::UnitName;
use crate::secrets::masked_arguments;
use crate::visible::{escape, is_unsafe};

/// What a scenario is written from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub name: String,
    /// Why the target is this one.
    pub reason: String,
    /// `[target]`, key by key.
    pub target: TargetKeys,
    pub service: Option<UnitName>,
    /// The socket in front of it.
    pub socket: Option<UnitName>,
    pub loads: Vec<DraftLoad>,
    pub step: DraftStep,
    /// `[run] max_unseen`, where it is not the default.
    pub max_unseen: Option<String>,
    /// `[run] cooldown`, where it is not the default.
    pub cooldown: Option<&'static str>,
    /// Lines of `[expect]` beside the usual ones, or instead of them.
    pub expect: Vec<String>,
    /// What limits the run, one sentence each.
    pub notes: Vec<String>,
}

/// Keys of `[target]` with their values.
pub(crate) type TargetKeys = Vec<(&'static str, Value)>;

/// A `[[load]]` entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftLoad {
    pub pace: Pace,
    pub connections: Connections,
}

impl DraftLoad {
    /// As TOML.
    pub(crate) fn text(&self) -> String {
        let pace = match self.pace {
            Pace::Rate(rate) => format!("rate = {rate}"),
            Pace::Clients(clients) => format!("clients = {clients}"),
            Pace::OnDemand | Pace::Health { .. } => String::new(),
        };
        let (name, connections) = match self.connections {
            Connections::Reused(most) => ("keep-alive", format!("reuse = true\nconnections = {most}")),
            Connections::New => ("new", "reuse = false".to_owned()),
        };
        format!("[[load]]\nname = \"{name}\"\n{pace}\n{connections}\n")
    }
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
    /// The words of `exec`; empty for actions on units.
    pub command: Vec<String>,
}

impl DraftStep {
    /// What is done, and to which unit.
    fn in_words(&self, unit: &str) -> String {
        let (action, command) = (self.action, masked_arguments(&self.command).join(" "));
        if command.is_empty() { format!("{action} of {unit}") } else { format!("{command} with {unit}") }
    }

    /// The value of its key.
    fn value(&self) -> String {
        if self.command.is_empty() { quoted(self.role) } else { written(&Value::from(self.command.clone())) }
    }
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
        let what = step.in_words(&unit);
        writeln!(out, "# {} under load. It runs as it is: gapless run FILE", escape(&what))?;
        writeln!(out, "name = {}", quoted(&self.name))?;
        writeln!(out, "description = {}\n", quoted(&format!("{what} under load")))?;
        self.write_target(out)?;
        self.write_load(out)?;
        writeln!(out, "# The units are there already: they are taken as they are found, and left so.\n[units]")?;
        for (role, unit) in [("service", &self.service), ("socket", &self.socket)] {
            if let Some(unit) = unit {
                writeln!(out, "{role} = {}", quoted(unit.as_str()))?;
            }
        }
        writeln!(out)?;
        let of_run = [("max_unseen", self.max_unseen.as_deref()), ("cooldown", self.cooldown)];
        let of_run: Vec<_> = of_run.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        for (place, (key, value)) in of_run.iter().enumerate() {
            let head = if place == 0 { "[run]\n" } else { "" };
            let end = if place + 1 == of_run.len() { "\n" } else { "" };
            writeln!(out, "{head}{key} = {}{end}", quoted(value))?;
        }
        for note in &self.notes {
            writeln!(out, "# {}", escape(note))?;
        }
        writeln!(out, "[[steps]]\n{} = {}", step.action, step.value())?;
        if let Some(signal) = &step.signal {
            writeln!(out, "signal = {}", quoted(signal))?;
        }
        writeln!(out, "times = {}\nevery = {} # {}\n", step.times, quoted(&step.every), meaning("steps", "every"))?;
        writeln!(out, "[expect]")?;
        let is_given = |key: &str| self.expect.iter().any(|line| line.split(['=', ' ']).next() == Some(key));
        for key in ["dropped", "wrong"].into_iter().filter(|key| !is_given(key)) {
            writeln!(out, "{key} = 0 # {}", meaning("expect", key))?;
        }
        self.expect.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        if !is_given("p99") {
            writeln!(out, "# p99 = \"500ms\" # how long users may wait, restarts included")?;
        }
        Ok(())
    }

    fn write_target(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "[target]\n# {}", escape(&self.reason))?;
        for (key, value) in &self.target {
            let comment = match *key {
                "insecure" => "its certificate is not checked; name its CA as ca_file to have it checked",
                "expect_body" | "front" | "timeout" => meaning("target", key),
                _ => "",
            };
            let comment = if comment.is_empty() { String::new() } else { format!(" # {comment}") };
            writeln!(out, "{key} = {}{comment}", written(value))?;
        }
        writeln!(out)
    }

    fn write_load(&self, out: &mut String) -> std::fmt::Result {
        for load in &self.loads {
            let who = match load.connections {
                Connections::Reused(_) => "Clients that keep their connections, as a proxy does.",
                Connections::New => "Clients that connect for every request: they see a listener that is gone.",
            };
            writeln!(out, "# {who}\n{}", load.text())?;
        }
        Ok(())
    }
}

/// A value as TOML, on one line.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries: Vec<_> =
                table.iter().map(|(key, value)| format!("{} = {}", quoted(key), written(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
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

    fn target(keys: &[(&'static str, &str)]) -> TargetKeys {
        keys.iter().map(|(key, value)| (*key, Value::from(*value))).collect()
    }

    fn draft() -> Draft {
        Draft {
            name: "ledger-api".to_owned(),
            reason: "GET /health answered 200.".to_owned(),
            target: target(&[("url", "http://127.0.0.1:8008/health"), ("timeout", "10s")]),
            service: Some(UnitName::new("ledger-api.service").unwrap()),
            socket: Some(UnitName::new("ledger-api.socket").unwrap()),
            loads: vec![
                DraftLoad { pace: Pace::Rate(200.0), connections: Connections::Reused(16) },
                DraftLoad { pace: Pace::Rate(50.0), connections: Connections::New },
            ],
            expect: Vec::new(),
            max_unseen: None,
            cooldown: None,
            step: DraftStep {
                action: "restart",
                role: "service",
                signal: None,
                times: 5,
                every: "3s".to_owned(),
                command: Vec::new(),
            },
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
        let url = ("url", "http://localhost/");
        let unix = Draft { target: target(&[url, ("unix", "/run/a \"b\".sock")]), socket: None, ..draft() };
        assert_eq!(
            parsed(&unix).plan.cohorts[0].target.connect,
            crate::scenario::plan::Destination::Unix("/run/a \"b\".sock".into())
        );
        let new = vec![DraftLoad { pace: Pace::Rate(50.0), connections: Connections::New }];
        let keys = [("url", "tcp://127.0.0.1:9"), ("body", "PING \"a\"\r\n"), ("expect_body", "^\\+PONG")];
        let said = parsed(&Draft { target: target(&keys), loads: new, ..draft() }).plan.cohorts.remove(0).target;
        assert_eq!((said.body.as_slice(), said.expect_body.as_deref()), (&b"PING \"a\"\r\n"[..], Some("^\\+PONG")));
        let clients = vec![DraftLoad { pace: Pace::Clients(3), connections: Connections::Reused(3) }];
        let expect = vec!["dropped = \">= 1\"".to_owned()];
        assert_eq!(parsed(&Draft { loads: clients, expect, ..draft() }).plan.cohorts.len(), 1);
        let step = DraftStep { action: "kill", signal: Some("KILL".to_owned()), ..draft().step };
        assert_eq!(parsed(&Draft { step, ..draft() }).plan.steps.len(), 1);
        let step = DraftStep { role: "socket", ..draft().step };
        assert_eq!(parsed(&Draft { step, service: None, ..draft() }).plan.steps.len(), 1);
    }
}
