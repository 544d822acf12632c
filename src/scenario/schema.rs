//! The JSON Schema of scenario files, for editors: `gapless schema scenario`.
//!
//! It says what a value looks like by itself. What values mean together (two paces for one cohort, a file that is
//! not there, a pattern that does not compile) only loading the scenario tells.

#[cfg(test)]
pub(crate) mod objection;

use serde_json::{Value, json};

use super::file::File;
use super::keys::{Key, Keys as _, schema_of};

/// The schema, JSON Schema 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_of::<File>();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("gapless scenario");
    schema
}

/// Every key of a scenario, in the order in which they are documented.
#[must_use]
pub fn keys() -> Vec<Key> {
    File::keys()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::objection::objection;
    use super::*;
    use crate::scenario::tree::{self, Node};

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

    /// Every key, those of tables within tables as well, with the tables it is in.
    fn all(keys: Vec<Key>, within: &str) -> Vec<(String, Key)> {
        let each = |key: Key| {
            let path = format!("{within}{}", key.name);
            let inner = all(key.keys.clone(), &format!("{path}."));
            [(path, key)].into_iter().chain(inner)
        };
        keys.into_iter().flat_map(each).collect()
    }

    #[test]
    fn every_key_is_documented_in_sentences_and_its_default_is_a_value_of_it() {
        let keys = all(keys(), "");
        assert!(keys.len() > 60, "{keys:?}");
        for (path, key) in keys {
            let description = key.schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{path}: {description:?}");
            if let Some(default) = &key.default {
                assert_eq!(objection(&key.schema, default), None, "{path}");
            }
        }
    }

    #[test]
    fn what_the_schema_calls_a_default_is_what_the_loader_takes() {
        let text = "name = \"x\"\ntarget.url = \"https://a/\"\n[[load]]\nname = \"a\"\n[units]\nservice = \"a.service\"\n\
            [[steps]]\nkill = \"service\"\n";
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.toml");
        fs::write(&file, text).expect("it is ours");
        let load = |set: Vec<String>| {
            let overrides = crate::scenario::Overrides { set, ..Default::default() };
            crate::scenario::load(&file, &overrides).expect("a default is right").plan
        };
        let said = all(keys(), "").into_iter().filter_map(|(path, key)| Some((path, key.default?)));
        for (path, default) in said {
            let table = path.rsplit_once('.').map_or("", |(table, _)| table);
            if ["load", "steps", "target", "run"].contains(&table) {
                let path = path.replace("load.", "load.a.").replace("steps.", "steps.0.");
                // A key of gRPC alone.
                let is_of_grpc = path.ends_with("expect_grpc_status");
                let others: Vec<String> =
                    is_of_grpc.then(|| "target.protocol=\"grpc\"".to_owned()).into_iter().collect();
                let said = others.iter().cloned().chain([format!("{path}={default}")]).collect();
                assert_eq!(load(said), load(others), "{path} = {default}");
            }
        }
    }
}
