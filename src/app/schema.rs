//! `gapless schema`: the JSON Schema of a format.

use anyhow::Context as _;

use super::exit::Exit;
use super::output;
use crate::analysis::RunResult;
use crate::cli::{SchemaArgs, SchemaOf};

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.of {
        SchemaOf::Result => schemars::schema_for!(RunResult),
    };
    let mut bytes = serde_json::to_vec_pretty(&schema).context("cannot write the schema as JSON")?;
    bytes.push(b'\n');
    output::write(&bytes)?;
    Ok(Exit::Passed)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::analysis::simulator::stories;
    use crate::analysis::{RunResult, combine};

    /// Why `value` is not what `schema` says; the words of JSON Schema that schemars writes for a result.
    fn objection(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
            return objection(root, target, value, place);
        }
        for words in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[words].as_array() {
                let fits = choices.iter().any(|choice| objection(root, choice, value, place).is_none());
                return (!fits).then(|| format!("{place}: {value} is none of {words}"));
            }
        }
        if let Some(constant) = schema.get("const") {
            return (constant != value).then(|| format!("{place}: {value} is not {constant}"));
        }
        if let Some(names) = schema["enum"].as_array() {
            return (!names.contains(value)).then(|| format!("{place}: {value} is not in the enum"));
        }
        let is_of = |word: &str| match word {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("no type is called {other}"),
        };
        let types: Vec<&str> = match &schema["type"] {
            Value::String(word) => vec![word],
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
            other => panic!("{place}: the schema says nothing: {other}"),
        };
        if !types.into_iter().any(is_of) {
            return Some(format!("{place}: {value} is no {}", schema["type"]));
        }
        match value {
            Value::Array(items) => items.iter().find_map(|item| objection(root, &schema["items"], item, place)),
            Value::Object(fields) => {
                let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
                let missing = required.iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
                let known = |(name, field): (&String, &Value)| {
                    let place = format!("{place}.{name}");
                    let of_name = schema["properties"].get(name);
                    let of_any = schema.get("additionalProperties").filter(|any| any.is_object());
                    let of_pattern = schema["patternProperties"].as_object().and_then(|all| all.values().next());
                    match of_name.or(of_any).or(of_pattern) {
                        Some(schema) => objection(root, schema, field, &place),
                        None => Some(format!("{place} is not in the schema")),
                    }
                };
                missing.map(|name| format!("{place}: {name} is missing")).or_else(|| fields.iter().find_map(known))
            }
            _ => None,
        }
    }

    fn schema() -> Value {
        serde_json::to_value(schemars::schema_for!(RunResult)).expect("a schema is JSON")
    }

    fn result() -> Value {
        let stories =
            [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()];
        let records = stories.map(|story| story.record());
        serde_json::to_value(combine(&records).expect("there are records")).expect("a result is JSON")
    }

    #[test]
    fn every_fixture_s_result_is_what_the_schema_says() {
        let schema = schema();
        assert_eq!(objection(&schema, &schema, &result(), "result"), None);
    }

    #[test]
    fn the_schema_objects_to_what_is_not_a_result() {
        let schema = schema();
        let broken = |change: fn(&mut Value)| {
            let mut result = result();
            change(&mut result);
            objection(&schema, &schema, &result, "result")
        };
        assert!(broken(|result| result["verdict"] = "fine".into()).is_some());
        assert!(broken(|result| result["scenarios"][0]["dropped"] = (-1).into()).is_some());
        assert!(broken(|result| result["scenarios"][0]["surprise"] = 1.into()).is_some());
        let without_events = |result: &mut Value| {
            result["scenarios"][0].as_object_mut().expect("an object").remove("events");
        };
        assert!(broken(without_events).is_some());
    }
}
