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
