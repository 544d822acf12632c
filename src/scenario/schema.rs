//! The JSON Schema of scenario files, for editors: `gapless schema scenario`.
//!
//! It says what a value looks like by itself. What values mean together (two paces for one cohort, a file that is
//! not there, a pattern that does not compile) only loading the scenario tells.

#[cfg(test)]
pub(crate) mod objection;

use serde_json::{Map, Value, json};

use crate::model::bound::{Dimension, Metric};
use crate::model::{Cause, FailureClass, JobResult, KillWho, UnitVerb};

/// `1m30s`: numbers with units, larger ones first.
const DURATION: &str = r"^([0-9.]+d)?([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?([0-9.]+us)?([0-9.]+ns)?$";

/// The schema, JSON Schema 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(
        "A scenario of gapless: what is loaded, what is done to its service under load, and what must hold.",
        json!({
            "name": described(name(), "Unique in a run; the name of its record."),
            "description": { "type": "string", "description": "What the scenario shows." },
            "target": target(),
            "load": { "type": "array", "items": load(), "maxItems": 1000,
                "description": "Cohorts: clients with one rate and one connection policy. Without any: keep-alive at 200/s and new at 50/s." },
            "units": units(),
            "run": run(),
            "steps": { "type": "array", "items": step(), "maxItems": 1000, "description": "What is done, in order." },
            "expect": expect(),
        }),
    );
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("gapless scenario");
    schema["required"] = json!(["name"]);
    schema
}

/// A table that has these keys and no others.
fn table(description: &str, properties: impl Into<Value>) -> Value {
    let properties: Value = properties.into();
    json!({ "type": "object", "description": description, "properties": properties, "additionalProperties": false })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$", "maxLength": 100 })
}

fn word(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn switch(default: bool, description: &str) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

fn duration(description: &str) -> Value {
    json!({ "type": "string", "pattern": DURATION, "minLength": 2, "description": description })
}

fn whole(least: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "description": description })
}

fn command(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "description": description })
}

fn one_of(words: impl Iterator<Item = &'static str>, description: &str) -> Value {
    json!({ "enum": words.collect::<Vec<_>>(), "description": description })
}

/// The keys that `[target]` and `[[load]]` share.
fn request() -> Value {
    json!({
        "url": { "type": "string", "pattern": "^(http|https|tcp)://", "description": "http, https or tcp." },
        "unix": { "type": "string", "pattern": "^/", "maxLength": 107, "description": "Connect to this socket instead of to the URL's host." },
        "method": { "type": "string", "pattern": "^[^a-z\\s]+$", "default": "GET" },
        "headers": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Values of secret headers are masked in the record." },
        "body": { "type": "string", "description": "What is sent." },
        "body_file": word("A file with the body; a relative path counts from the scenario's folder."),
        "expect_status": {
            "type": "array", "minItems": 1, "default": ["2xx"],
            "items": { "anyOf": [{ "type": "integer", "minimum": 100, "maximum": 599 }, { "type": "string", "pattern": "^([1-5]xx|[1-5][0-9][0-9])$" }] },
        },
        "expect_body": { "type": "string", "description": "A regular expression (regex-lite) that the body must match somewhere." },
    })
}

fn target() -> Value {
    let own = json!({
        "timeout": duration("From the due time until the answer must be whole; 10s unless given."),
        "connect_timeout": duration("From the due time until the connection must be there; the same as timeout unless given."),
        "ca_file": word("PEM file with the CAs to trust; https only."),
        "insecure": switch(false, "Trust any certificate; https only."),
        "front": switch(false, "A proxy in front of the service listens there: nginx, HAProxy, a load balancer."),
    });
    table("What is sent where, and what must come back.", joined(request(), own))
}

fn load() -> Value {
    let own = json!({
        "name": described(name(), "Unique in the scenario."),
        "rate": { "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000, "description": "Open loop: requests per second, whatever the target does." },
        "clients": described(connections(), "Closed loop: each is due again when its last request ended."),
        "health": table("A load balancer's check instead of a load.", json!({
            "interval": duration("From one check to the next."),
            "rise": whole(1, "Successes in a row until it counts as healthy."),
            "fall": whole(1, "Failures in a row until it counts as unhealthy."),
        })),
        "reuse": switch(true, "Keep connections and use them again; false: every request has its own."),
        "connections": described(connections(), "With reuse: at most so many; a due request waits for a free one. 16 unless given."),
        "connect_delay": duration("A pause between a new connection and its first request."),
        "path": { "type": "string", "pattern": "^/", "description": "Path and query, instead of the URL's." },
    });
    let mut load = table("Clients with one rate and one connection policy.", joined(request(), own));
    load["required"] = json!(["name"]);
    load
}

fn connections() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 65535 })
}

fn units() -> Value {
    table(
        "The units that steps act on.",
        json!({
            "service": { "type": "string", "pattern": "^[A-Za-z0-9:_.\\\\@-]+\\.service$", "description": "The role `service`." },
            "socket": { "type": "string", "pattern": "^[A-Za-z0-9:_.\\\\@-]+\\.socket$", "description": "The role `socket`." },
            "files": { "type": "array", "items": { "type": "string", "minLength": 1 },
                "description": "Unit files to install for this run only; {scenario_dir} in them is replaced." },
            "prepare": { "type": "array", "items": command("A program and its arguments."),
                "description": "Commands that run before anything starts; skipped while nothing they depend on changed." },
        }),
    )
}

fn run() -> Value {
    table(
        "Times and limits of the run.",
        json!({
            "warmup": duration("Load before the first counted request; 1s unless given. 0s waits for nothing."),
            "cooldown": duration("Load after the last step; 2s unless given."),
            "ready_timeout": duration("How long to wait for readiness; 30s unless given."),
            "pace": switch(true, "Space the steps so that the harness itself never trips a start limit."),
            "restore": switch(true, "Put units back into the state they were found in."),
            "seed": whole(0, "Of whatever is drawn at random."),
            "abort": table("When to give up early.", json!({
                "outage": duration("No `ok` for so long while requests were due."),
                "dropped": whole(1, "So many dropped requests."),
            })),
            "max_unseen": { "type": "string", "pattern": format!("^none$|{DURATION}"), "minLength": 2,
                "description": "The longest listener gap that may go unseen in a run that passes; 500ms unless given. none turns the rule off, and every report says so." },
        }),
    )
}

fn step() -> Value {
    let unit = |description: &str| word(&format!("{description}: a unit, or its role (`service`, `socket`)."));
    let verbs: Map<String, Value> = UnitVerb::ALL
        .iter()
        .map(|verb| (verb.name().to_owned(), unit(&format!("{} this", verb.name().replace('_', " ")))))
        .collect();
    let own = json!({
        "kill": unit("Send a signal to this"),
        "daemon_reload": { "const": true, "description": "systemd reads its unit files again." },
        "exec": command("A program and its arguments, run without a shell in the scenario's folder."),
        "wait": duration("A pause under load."),
        "request": table("Requests one after the other, beside the load.", json!({
            "path": { "type": "string", "pattern": "^/" },
            "times": whole(1, "How many; 1 unless given."),
            "every": duration("From the end of one to the start of the next."),
        })),
        "gate": bounds("Go on only if this holds so far.", Map::new()),
        "signal": word("With kill: TERM, KILL, HUP, ..., as in signal(7)."),
        "who": one_of([KillWho::All, KillWho::Main, KillWho::Control].into_iter().map(KillWho::name), "With kill: to whom; all unless given."),
        "replaces": unit("With exec: the command is to bring a new incarnation of this"),
        "times": whole(1, "How often; 1 unless given."),
        "every": duration("Start to start, but never before the last one is over. Does not delay the first."),
        "after": duration("A pause before each."),
        "ready": switch(true, "Wait for the target to answer again before the step is over."),
        "expect": step_expect(),
    });
    table("One action, and when it is done.", joined(Value::Object(verbs), own))
}

fn step_expect() -> Value {
    let job = one_of(
        JobResult::ALL.iter().map(|result| result.name()),
        "The job result that is expected; done unless given.",
    );
    bounds("What this step's events must hold to, instead of [expect].", Map::from_iter([("job".to_owned(), job)]))
}

fn expect() -> Value {
    let state = || one_of(super::file::expect::ACTIVE_STATES.iter().copied(), "ActiveState.");
    let end = table(
        "How the units must end; what the plan leads to unless given.",
        json!({ "service": state(), "socket": state(), "latent": bound(Dimension::Count), "old_processes": bound(Dimension::Count) }),
    );
    let cohorts = json!({
        "type": "object", "additionalProperties": bounds("Bounds on one cohort.", Map::new()), "description": "By the name of a [[load]].",
    });
    let beside = [("cohort".to_owned(), cohorts), ("end".to_owned(), end)];
    bounds("What must hold over the whole run; dropped = 0 and wrong = 0 unless given.", Map::from_iter(beside))
}

/// A table of bounds, and of what may stand beside them.
fn bounds(description: &str, mut properties: Map<String, Value>) -> Value {
    for name in Metric::plain_names() {
        let dimension = Metric::from_key(name).map_or(Dimension::Count, Metric::dimension);
        properties.insert(name.to_owned(), bound(dimension));
    }
    let counts = |names: Vec<&'static str>| {
        let bounds: Map<String, Value> =
            names.into_iter().map(|name| (name.to_owned(), bound(Dimension::Count))).collect();
        json!({ "type": "object", "properties": bounds, "additionalProperties": false })
    };
    properties.insert("outcome".to_owned(), counts(FailureClass::ALL.iter().map(|class| class.name()).collect()));
    properties.insert("cause".to_owned(), counts(Cause::ALL.iter().map(|cause| cause.name()).collect()));
    table(description, properties)
}

/// A bare value is the most that is allowed; `"> 0"` says otherwise.
fn bound(dimension: Dimension) -> Value {
    let text = json!({ "type": "string", "pattern": r"^\s*(<=|>=|==|<|>)?\s*[0-9]" });
    match dimension {
        Dimension::Count => json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, text] }),
        Dimension::Ratio => json!({ "anyOf": [{ "type": "number", "minimum": 0 }, text] }),
        Dimension::Time => text,
    }
}

fn joined(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::objection::objection;
    use super::*;
    use crate::scenario::tree::{self, Node};
    use crate::scenario::{ScenarioErrors, load_text};

    fn document(path: &Path) -> Value {
        let text = fs::read_to_string(path).expect("it is a part of the source");
        let (table, errors) = tree::parse_document(&text, 0);
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        of_table(&table)
    }

    fn of_table(table: &tree::Table) -> Value {
        table.entries().iter().map(|entry| (entry.key.clone(), of_node(&entry.node))).collect()
    }

    fn of_node(node: &Node) -> Value {
        match &node.value {
            tree::Value::String(text) => json!(text),
            tree::Value::Integer(number) => u64::try_from(*number).map_or_else(|_| json!(-1), |n| json!(n)),
            tree::Value::Float(number) => json!(number),
            tree::Value::Boolean(value) => json!(value),
            tree::Value::Other(kind) => panic!("no scenario has {kind}"),
            tree::Value::Array(nodes) => nodes.iter().map(of_node).collect(),
            tree::Value::Table(table) => of_table(table),
        }
    }

    fn scenarios_below(folder: &str) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)]);
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() && !path.ends_with("venv") {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "toml") {
                    found.push(path);
                }
            }
        }
        found
    }

    #[test]
    fn every_good_scenario_is_what_the_schema_says() {
        let good: Vec<PathBuf> =
            ["tests/good_scenarios", "scenarios", "src/demo"].into_iter().flat_map(scenarios_below).collect();
        assert!(good.len() >= 5, "{good:?}");
        for path in good {
            assert_eq!(objection(&schema(), &document(&path)), None, "{}", path.display());
        }
    }

    #[test]
    fn the_schema_objects_to_what_is_wrong_in_itself() {
        let wrong = [
            "bound_negative",
            "clients_zero",
            "cohort_without_name",
            "connections_huge",
            "daemon_reload_false",
            "end_state_unknown",
            "header_value_no_string",
            "job_unknown",
            "load_single_brackets",
            "method_lower_case",
            "metric_unknown",
            "name_empty",
            "name_hidden",
            "name_missing",
            "name_no_string",
            "name_with_slash",
            "outcome_no_table",
            "outcome_unknown",
            "pace_a_number",
            "path_without_slash",
            "prepare_no_array_of_arrays",
            "rate_a_string",
            "rate_negative",
            "rate_zero",
            "reuse_a_word",
            "run_is_no_table",
            "seed_negative",
            "status_no_array",
            "status_none",
            "status_unknown",
            "step_expects_end",
            "target_double_brackets",
            "timeout_a_number",
            "timeout_unknown_unit",
            "timeout_without_unit",
            "times_a_fraction",
            "times_zero",
            "unit_of_the_wrong_type",
        ];
        let accepted: Vec<&str> = wrong
            .into_iter()
            .filter(|name| {
                let path =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_scenarios").join(name).with_extension("toml");
                objection(&schema(), &document(&path)).is_none()
            })
            .collect();
        assert_eq!(accepted, [""; 0]);
    }

    fn mistakes(text: &str) -> ScenarioErrors {
        load_text("x.toml", text, Path::new("/")).expect_err("it has an unknown key")
    }

    /// The keys that the loader knows in a table, as it tells whoever mistypes one.
    fn known(before: &str) -> BTreeSet<String> {
        let errors = mistakes(&format!("{before}zzzzzzzzzzzz = 1\n"));
        let mut advice = errors.mistakes().iter().filter_map(|mistake| mistake.advice());
        let list = advice.find_map(|advice| advice.strip_prefix("known here: ")).expect("it lists them");
        list.split(", ").map(|key| key.trim_end_matches(".NAME").to_owned()).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_the_loader_knows() {
        let schema = schema();
        for (before, place) in [
            ("", "/properties"),
            ("[target]\n", "/properties/target/properties"),
            ("[[load]]\n", "/properties/load/items/properties"),
            ("[units]\n", "/properties/units/properties"),
            ("[run]\n", "/properties/run/properties"),
            ("[[steps]]\n", "/properties/steps/items/properties"),
            ("[expect]\n", "/properties/expect/properties"),
            ("[expect.end]\n", "/properties/expect/properties/end/properties"),
            ("[[steps]]\nwait = \"1s\"\n[steps.expect]\n", "/properties/steps/items/properties/expect/properties"),
        ] {
            let of_schema = schema.pointer(place).and_then(Value::as_object).expect("a table");
            let known = known(before);
            for key in &known {
                assert!(of_schema.contains_key(key), "{place} lacks {key}");
            }
            for key in of_schema.keys().filter(|key| !known.contains(*key)) {
                let errors = mistakes(&format!("{before}{key} = 1\n"));
                let told = errors.mistakes().iter().any(|mistake| mistake.message().contains("is not supported yet"));
                assert!(told, "{place} has {key}, which the loader does not know");
            }
        }
    }
}
